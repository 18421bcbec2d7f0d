"""Where calls go: which targets there are, how they stand, and what people decided about them."""
