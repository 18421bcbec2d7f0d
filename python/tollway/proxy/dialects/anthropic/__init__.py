"""Anthropic's Messages, as clients speak it: ``dialect.py``, and what it uses."""
