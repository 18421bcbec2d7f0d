"""Station 4, look up: an answer that was given before, to the same question or to one that means the same."""
