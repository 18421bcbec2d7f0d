"""A provider that costs nothing: deterministic, OpenAI-compatible, and able to fail on request.

It answers inside the gateway (provider kind ``simulator``, no network: ``respond``) and as a server of its own
(``tollway simulate``: ``server``). It knows nothing of the gateway.
"""
