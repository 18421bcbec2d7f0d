"""OpenAI's Responses, as clients speak it: ``dialect.py``, and what it uses."""
