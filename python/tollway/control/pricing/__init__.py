"""Prices of tenants: what one of them pays otherwise than listed."""
