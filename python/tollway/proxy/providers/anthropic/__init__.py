"""Anthropic's Messages API for clients that speak OpenAI's chat."""
