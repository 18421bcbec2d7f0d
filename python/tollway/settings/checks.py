"""What no single field can tell: addresses, what a kind of provider needs, secrets. ``model_checks`` has the models'.

Fields that ``conversion`` refused hold their defaults here, and entries it refused are missing; nothing below may
take that for a second fault.
"""

from collections.abc import Iterable, Iterator

from tollway.settings.addresses import KEY_LENGTH_MIN, bad_address, bad_redis, bad_secret
from tollway.settings.cache_checks import check_cache
from tollway.settings.document import Document, Path, dotted
from tollway.settings.faults import Fault
from tollway.settings.guardrail_checks import check_guardrails
from tollway.settings.limit_checks import check_limits
from tollway.settings.model_checks import Finding, check_models, not_in_order
from tollway.settings.price_checks import check_prices
from tollway.settings.providers import ProviderSettings
from tollway.settings.service_account import read_account
from tollway.settings.structs import Settings
from tollway.settings.values import Secret

_AWS_SECRETS = ("access_key_id", "secret_access_key", "session_token")
_AWS_FIELDS = ("region", *_AWS_SECRETS)
_SIGNING = frozenset({"vertex", "bedrock"})
_NEEDS_BASE_URL = frozenset({"azure", "vllm", "openai_compatible"})


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
    yield from check_models(settings, document)
    yield from check_prices(settings)
    yield from check_guardrails(settings, document)
    yield from check_limits(settings, document)
    yield from check_cache(settings, document)
    yield from _secrets(settings)
    yield from _budgets(settings, document)


def _storage(settings: Settings) -> Iterator[Finding]:
    postgres = settings.storage.postgres.reveal()
    if postgres != "embedded" and not postgres.startswith(("postgresql://", "postgres://")):
        yield ("storage", "postgres"), "should be embedded, or an address that begins with postgresql://"
    redis = settings.storage.redis
    if redis and (why := bad_redis(redis.reveal())):
        yield ("storage", "redis"), why


def _budgets(settings: Settings, document: Document) -> Iterator[Finding]:
    if document.is_written(("budgets", len(settings.budgets))):
        return  # one of them is missing, and the places of those after it are others
    names: dict[str, Path] = {}
    for at, budget in enumerate(settings.budgets):
        path: Path = ("budgets", at)
        if (other := names.setdefault(budget.name, path)) != path:
            yield (*path, "name"), f"is the name of {dotted(other)} already"
        if not budget.amount_picousd:
            yield (*path, "amount_usd"), "should be more than 0 US dollars; a tenant's monthly_budget_usd may be 0"
        if budget.rolling and budget.period == "total":
            yield (*path, "rolling"), "a total never ends, so nothing of it can fall out"
        if budget.tag is not None and not all(budget.tag.partition("=")):
            yield (*path, "tag"), "should be name=value"


def _provider(path: Path, provider: ProviderSettings, document: Document) -> Iterator[Finding]:
    kind = provider.kind
    if provider.base_url is None:
        if kind in _NEEDS_BASE_URL and not document.is_written((*path, "base_url")):
            yield path, f'"base_url" is missing; {kind} needs one'
    elif kind == "simulator":
        yield (*path, "base_url"), "the simulator is built in and has no address"
    elif why := bad_address(provider.base_url):
        yield (*path, "base_url"), why
    if provider.key is None:
        is_faulty = any(document.is_written((*path, name)) for name in (provider.key_name, "entra", "access_key_id"))
        if provider.needs_key and not is_faulty and not document.is_faulty((*path, "keys")):
            signed = ", or access_key_id and secret_access_key" if kind == "bedrock" else ""
            yield path, f'"{provider.key_name}" is missing; {kind} needs one{signed}'
    elif provider.api_key is not None and (why := bad_secret(provider.api_key)):
        yield (*path, "api_key"), why
    yield from _several(path, provider, document)
    yield from _health(path, provider, document)
    yield from _vertex(path, provider)
    yield from _entra(path, provider)
    yield from _aws(path, provider, document)
    if provider.api_version is not None and kind != "azure":
        yield (*path, "api_version"), "only azure has versions"


def _several(path: Path, provider: ProviderSettings, document: Document) -> Iterator[Finding]:
    """Several keys: for kinds that have an api_key, instead of it, and each another one."""
    path = (*path, "keys")
    if not provider.keys:
        return
    if provider.kind in ("vertex", "simulator"):
        yield path, f"{provider.kind} has no api_key, nor several"
    elif provider.api_key is not None or provider.entra is not None:
        yield path, f"stand beside {'an api_key' if provider.api_key is not None else 'entra'}; one of them is enough"
    names: dict[str, Path] = {}
    secrets: dict[str, Path] = {}
    if document.is_written((*path, len(provider.keys))):
        return  # one of them is missing, and the places of those after it are others
    for at, key in enumerate(provider.keys):
        own = (*path, at)
        if (other := names.setdefault(key.name, own)) != own:
            yield (*own, "name"), f"is the name of {dotted(other)} already"
        if not key.api_key:
            continue
        if why := bad_secret(key.api_key):
            yield (*own, "api_key"), why
        elif (other := secrets.setdefault(key.api_key.reveal(), own)) != own:
            yield (*own, "api_key"), f"is the same secret as {dotted(other)}.api_key"


def _health(path: Path, provider: ProviderSettings, document: Document) -> Iterator[Finding]:
    breaker, probe = provider.breaker, provider.probe
    yield from not_in_order(
        (*path, "breaker"),
        ("cooldown", breaker.cooldown_s),
        ("max_cooldown", breaker.max_cooldown_s),
        document,
        follows="max_cooldown",
    )
    if probe is None:
        return
    if provider.kind == "simulator":
        yield (*path, "probe"), "the simulator is built in and need not be asked"
    elif provider.kind in _SIGNING or provider.entra is not None:
        yield (*path, "probe"), f"is not for {'entra' if provider.entra else provider.kind}: it asks with a key alone"
    yield from not_in_order(
        (*path, "probe"), ("timeout", probe.timeout_s), ("every", probe.every_s), document, follows="timeout"
    )


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
    if provider.token_url is not None and (why := bad_address(provider.token_url)):
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
    if why := bad_address(entra.authority):
        yield (*path, "entra", "authority"), why
    if why := bad_secret(entra.client_secret):
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
        if secret is not None and (why := bad_secret(secret)):
            yield (*path, name), why
    for name, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
        if getattr(provider, name) is None and getattr(provider, other) and not document.is_written((*path, name)):
            yield path, f'"{name}" is missing; {other} needs it'


def _secrets(settings: Settings) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for path, secret in _keys(settings):
        text = secret.reveal()
        if len(text) < KEY_LENGTH_MIN:
            yield path, f"should have at least {KEY_LENGTH_MIN} characters"
        elif why := bad_secret(secret):
            yield path, why
        elif (other := first.setdefault(text, path)) != path:
            yield path, f"is the same secret as {dotted(other)}"


def _keys(settings: Settings) -> Iterable[tuple[Path, Secret]]:
    for name, tenant in settings.tenants.items():
        for key_name, key in tenant.keys.items():
            yield ("tenants", name, "keys", key_name, "key"), key.key
