"""Providers that speak OpenAI's dialect, each with an accent: ``presets.py`` has a row for each kind of them."""
