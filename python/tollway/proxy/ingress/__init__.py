"""Between stations 1 and 2: the body comes in."""
