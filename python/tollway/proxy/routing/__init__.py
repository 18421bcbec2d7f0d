"""Station 5: where a call goes. Knows no provider."""
