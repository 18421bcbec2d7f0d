"""Station 1: who calls."""
