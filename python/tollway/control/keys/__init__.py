"""API keys: made once, shown once, revoked for ever."""
