"""The cache of answers: its policies, what it holds, what it saved, and what is to be forgotten."""
