"""Which dialect each operation is asked in: the one table to extend when a dialect is added."""

from collections.abc import Mapping

from tollway.contract.snapshot import Operation
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.openai import OpenAIDialect
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.responses.dialect import ResponsesDialect


def dialects() -> Mapping[Operation, Dialect]:
    """A dialect for each operation that clients may ask for."""
    openai, messages, responses = OpenAIDialect(), MessagesDialect(), ResponsesDialect()
    return {
        "chat": openai,
        "completions": openai,
        "embeddings": openai,
        "messages": messages,
        "count_tokens": messages,
        "responses": responses,
        "moderations": openai,
        "rerank": openai,
        "images": openai,
        "image_edits": openai,
        "speech": openai,
        "transcriptions": openai,
        "translations": openai,
    }
