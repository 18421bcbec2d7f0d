"""Money: what a token costs, and what was used."""
