"""Station 8: what a call used and cost, written down before its answer is complete."""
