"""Station 2: may this call pass now."""
