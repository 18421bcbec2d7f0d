"""The public dialects: what clients read and write."""
