"""Stations 3 (and later 7): what may be said."""
