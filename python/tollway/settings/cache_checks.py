"""What no single field of a cache can tell: that its embedder is there. It serves the file and the API alike.

As in ``checks``, a field that was refused holds its default here, and no second fault may come of it.
"""

from collections.abc import Iterator

from tollway.settings.cache import CacheSettings, SemanticSettings
from tollway.settings.conversion import nearest
from tollway.settings.document import Document, Path
from tollway.settings.minilm import missing
from tollway.settings.model_checks import Finding
from tollway.settings.routing import ModelSettings
from tollway.settings.structs import Settings

BUILTIN, MINILM = "builtin", "minilm"

EMBEDDING = (
    *("azure", "cohere", "google", "mistral", "ollama", "openai"),
    *("openai_compatible", "openrouter", "together", "vertex", "vllm"),
)
"""Kinds of providers that can be asked for embeddings, as ``tollway.contract.snapshot`` has it, which settings may not
know; a test holds them together."""


def check_cache(settings: Settings, document: Document) -> Iterator[Finding]:
    """Everything wrong with caches, wherever they stand."""
    cache = settings.cache
    if isinstance(cache, CacheSettings):
        yield from _entries(cache, document)
    for path, semantic in _semantic(settings):
        if not document.is_faulty((*path, "embedder"), ("models",)):
            yield from check_embedder((*path, "embedder"), semantic.embedder, settings)


def check_embedder(path: Path, embedder: str, settings: Settings) -> Iterator[Finding]:
    """What is wrong with an embedder's name."""
    if embedder == BUILTIN:
        return
    if embedder == MINILM:
        directory = settings.cache.minilm if isinstance(settings.cache, CacheSettings) else None
        if (why := missing(directory)) is not None:
            yield path, why
        return
    if embedder not in settings.models:
        near = nearest(embedder, embedders(settings))
        yield path, f'should be {BUILTIN}, {MINILM} or a name under models; "{embedder}" is none of them{near}'
    elif embedder not in embedders(settings):
        yield path, f"no target of {embedder} can be asked for embeddings: that takes one of {', '.join(EMBEDDING)}"


def embedders(settings: Settings) -> tuple[str, ...]:
    """The names that an embedder may have."""
    serving = (alias for alias, model in settings.models.items() if _embeds(settings, model))
    return (BUILTIN, MINILM, *serving)


def _embeds(settings: Settings, model: ModelSettings) -> bool:
    providers = [settings.providers.get(target.provider) for target in model.targets]
    return any(provider is None or provider.kind in EMBEDDING for provider in providers)


def _entries(cache: CacheSettings, document: Document) -> Iterator[Finding]:
    within = cache.semantic.max_entries if cache.semantic is not None else None
    if within is not None and cache.max_entries not in (None, within) and not document.is_faulty(("cache",)):
        yield ("cache", "semantic", "max_entries"), f"cache.max_entries says {cache.max_entries:,}; one is enough"


def _semantic(settings: Settings) -> Iterator[tuple[Path, SemanticSettings]]:
    """Every semantic part with its place."""
    places: list[tuple[Path, object]] = [(("cache",), settings.cache)]
    for name, tenant in settings.tenants.items():
        places.append((("tenants", name, "cache"), tenant.cache))
        places += [(("tenants", name, "keys", each, "cache"), key.cache) for each, key in tenant.keys.items()]
    for path, cache in places:
        semantic = getattr(cache, "semantic", None)
        if isinstance(semantic, SemanticSettings):
            yield (*path, "semantic"), semantic
