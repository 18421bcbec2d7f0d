"""What a request only names by its address: fetched for providers that need the bytes, and only from public hosts."""
