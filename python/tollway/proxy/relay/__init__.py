"""Between stations 6 and 9: the answer on its way to the client."""
