"""What no single field can tell: addresses, what a kind of provider needs, secrets, and who can answer for a model.

Fields that ``conversion`` refused hold their defaults here, and entries it refused are missing; nothing below may
take that for a second fault.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from tollway.settings.document import Document, Path, dotted
from tollway.settings.faults import Fault
from tollway.settings.service_account import read_account
from tollway.settings.structs import ProviderSettings, Secret, Settings

KEY_LENGTH_MIN = 16
_AWS_SECRETS = ("access_key_id", "secret_access_key", "session_token")
_AWS_FIELDS = ("region", *_AWS_SECRETS)
_NEEDS_BASE_URL = frozenset({"azure", "vllm", "openai_compatible"})

Finding = tuple[Path, str]


def check(settings: Settings, document: Document) -> list[Fault]:
    """Everything wrong between the fields of ``settings``."""
    return [
        Fault(dotted(path), (mark := document.mark(path)).line, mark.column, message)
        for path, message in _findings(settings, document)
    ]


def _findings(settings: Settings, document: Document) -> Iterator[Finding]:
    yield from _storage(settings)
    for name, provider in settings.providers.items():
        yield from _provider(("providers", name), provider, document)
    yield from _models(settings, document)
    yield from _secrets(settings)


def _storage(settings: Settings) -> Iterator[Finding]:
    postgres = settings.storage.postgres.reveal()
    if postgres != "embedded" and not postgres.startswith(("postgresql://", "postgres://")):
        yield ("storage", "postgres"), "should be embedded, or an address that begins with postgresql://"


def _provider(path: Path, provider: ProviderSettings, document: Document) -> Iterator[Finding]:
    kind = provider.kind
    if provider.base_url is None:
        if kind in _NEEDS_BASE_URL and not document.is_written((*path, "base_url")):
            yield path, f'"base_url" is missing; {kind} needs one'
    elif kind == "simulator":
        yield (*path, "base_url"), "the simulator is built in and has no address"
    elif why := _bad_address(provider.base_url):
        yield (*path, "base_url"), why
    if provider.key is None:
        is_faulty = any(document.is_written((*path, name)) for name in (provider.key_name, "entra", "access_key_id"))
        if provider.needs_key and not is_faulty:
            others = ", or access_key_id and secret_access_key" if kind == "bedrock" else ""
            yield path, f'"{provider.key_name}" is missing; {kind} needs one{others}'
    elif provider.api_key is not None and (why := _bad_secret(provider.api_key)):
        yield (*path, "api_key"), why
    yield from _vertex(path, provider)
    yield from _entra(path, provider)
    yield from _aws(path, provider, document)
    if provider.api_version is not None and kind != "azure":
        yield (*path, "api_version"), "only azure has versions"


def _vertex(path: Path, provider: ProviderSettings) -> Iterator[Finding]:
    if provider.kind != "vertex":
        for name in ("credentials", "project", "location", "token_url"):
            if getattr(provider, name) is not None:
                yield (*path, name), f"only vertex has {name}"
        return
    if provider.api_key is not None:
        yield (*path, "api_key"), "vertex has none; it needs credentials"
    if provider.location is None:
        yield path, '"location" is missing; vertex needs one'
    if provider.token_url is not None and (why := _bad_address(provider.token_url)):
        yield (*path, "token_url"), why
    if not provider.credentials:
        return
    try:
        account = read_account(provider.credentials.reveal(), any_token_uri=provider.token_url is not None)
    except ValueError as error:
        yield (*path, "credentials"), str(error)
        return
    if provider.project is None and account.project_id is None:
        yield path, '"project" is missing, and the service account names none'


def _entra(path: Path, provider: ProviderSettings) -> Iterator[Finding]:
    entra = provider.entra
    if entra is None:
        return
    if provider.kind != "azure":
        yield (*path, "entra"), "only azure has entra"
    elif provider.api_key is not None:
        yield (*path, "entra"), "stands beside an api_key; one of them is enough"
    if why := _bad_address(entra.authority):
        yield (*path, "entra", "authority"), why
    if why := _bad_secret(entra.client_secret):
        yield (*path, "entra", "client_secret"), why


def _aws(path: Path, provider: ProviderSettings, document: Document) -> Iterator[Finding]:
    """What ``bedrock`` has beside the others: a region, and credentials to sign with."""
    if provider.kind != "bedrock":
        for name in _AWS_FIELDS:
            if getattr(provider, name) is not None:
                yield (*path, name), "only bedrock has this"
        return
    if provider.region is None and not document.is_written((*path, "region")):
        yield path, '"region" is missing; bedrock needs one'
    for name in _AWS_SECRETS:
        secret = getattr(provider, name)
        if secret is not None and (why := _bad_secret(secret)):
            yield (*path, name), why
    for name, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
        if getattr(provider, name) is None and getattr(provider, other) and not document.is_written((*path, name)):
            yield path, f'"{name}" is missing; {other} needs it'


def _bad_address(address: str) -> str:
    """Why this is not the base of an HTTP address; never shows it, for it may hold a password."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("http", "https"):
        return "should begin with http:// or https://"
    if not host:
        return "names no host"
    if not address.isascii() or not address.isprintable() or " " in address:
        return "should be plain ASCII without blanks"
    if parts.username is not None or parts.password is not None:
        return "should hold no user name or password; keys go into api_key"
    if parts.query or parts.fragment or address.endswith(("?", "#")):
        return "should end before any ? or #"
    return ""


def _bad_secret(secret: Secret) -> str:
    text = secret.reveal()
    if text != text.strip():
        return "has a blank or a line break at an end"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "should be plain ASCII without blanks, as it travels in a header"
    return ""


def _models(settings: Settings, document: Document) -> Iterator[Finding]:
    for alias, model in settings.models.items():
        path = ("models", alias, "targets")
        providers = [settings.providers.get(target.provider) for target in model.targets]
        is_partial = document.is_written((*path, len(model.targets)))
        if is_partial or any(provider is None or _lacks_key(provider) for provider in providers):
            continue  # has its faults already
        if not settings.answering(model.targets):
            names = ", ".join(dict.fromkeys(target.provider for target in model.targets))
            yield path, f"no target can answer: the api_key of {names} is empty"


def _lacks_key(provider: ProviderSettings) -> bool:
    return provider.needs_key and provider.key is None


def _secrets(settings: Settings) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for path, secret in _keys(settings):
        text = secret.reveal()
        if len(text) < KEY_LENGTH_MIN:
            yield path, f"should have at least {KEY_LENGTH_MIN} characters"
        elif why := _bad_secret(secret):
            yield path, why
        elif (other := first.setdefault(text, path)) != path:
            yield path, f"is the same secret as {dotted(other)}"


def _keys(settings: Settings) -> Iterable[tuple[Path, Secret]]:
    for name, tenant in settings.tenants.items():
        for key_name, key in tenant.keys.items():
            yield ("tenants", name, "keys", key_name, "key"), key.key
