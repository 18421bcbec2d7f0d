"""External checks: texts judged by somebody else, in time and whatever happens."""
