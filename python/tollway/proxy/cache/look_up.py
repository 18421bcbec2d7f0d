"""Station 4, look up: an answer that was given before, to the very same question or to one that means the same.

In: a screened request. Out: an answer in hand, or what is to become of the provider's. Entries are their tenant's
alone: the key and the namespace hash its name with all that changes an answer, and what is found is looked at again.
But for ``only``, nothing here fails a call: whatever goes wrong is a miss.
"""

import asyncio
from collections.abc import Callable

from tollway._native.chat import CacheKeys
from tollway._native.questions import Question
from tollway.contract.cache import CachePolicy, ExactCaching
from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Route
from tollway.errors import CacheMissed
from tollway.proxy.cache.comparing import Comparing
from tollway.proxy.cache.directives import CACHE, Directives, directives
from tollway.proxy.cache.entry import Call, Entry, Found
from tollway.proxy.cache.fill import NOTHING, Asked, Filler, Filling, Nothing, now_ms
from tollway.proxy.cache.fitness import OPERATIONS, SAYING
from tollway.proxy.cache.flights import Flights, Landed, Leading
from tollway.proxy.cache.port import Answers, Embedder
from tollway.proxy.cache.recall import JOINED, Recaller
from tollway.proxy.cache.semantic import Threshold, matched
from tollway.proxy.cache.tape import Following
from tollway.proxy.connection import Headers
from tollway.proxy.exchange import DRY_RUN, STRICT, Arrival, Attempted, LookedUp, Progress, Screened, user_of
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

EmbedderOf = Callable[[str, KeyRecord], Embedder | None]
"""The embedder that a policy names, ``None`` where that is the built-in one alone."""

EarlyHead = Callable[[Arrival], Headers]
"""Makes the head of a stream of which nothing is known yet."""

KEYS_INLINE_BYTES = 128 * 1024
"""The keys of larger requests are made off the event loop."""

_PLAIN = ExactCaching()


class LookUp:
    """Station 4 of one worker."""

    def __init__(
        self,
        answers: Answers,
        filler: Filler,
        recaller: Recaller,
        flights: Flights,
        early_head: EarlyHead,
        embedder_of: EmbedderOf,
        threshold: Threshold,
        comparing: Comparing,
        log: Log,
        metrics: Metrics,
        *,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._answers = answers
        self._filler = filler
        self._recaller = recaller
        self._flights = flights
        self._early_head = early_head
        self._embedder_of = embedder_of
        self._threshold = threshold
        self._comparing = comparing
        self._log = log
        self._metrics = metrics
        self._clock_ms = clock_ms

    async def look_up(self, screened: Screened, progress: Progress) -> LookedUp:
        """An answer that was kept, if there is one that serves.

        Raises:
            InvalidRequest: the client's header has a value that is none.
            CacheMissed: there is none, and the client wants nothing else.
        """
        own = screened.principal.record.cache
        policy = screened.arrival.snapshot.cache if own is None else own
        said = directives(screened.arrival.headers)
        if policy.exact is None and policy.semantic is None:
            if said.mode == "only" and DRY_RUN not in screened.arrival.headers:
                raise self._missed(screened)
            return LookedUp(screened, NOTHING)
        route = _permitted(screened)
        if route is None:
            return LookedUp(screened, NOTHING)  # the plan says why
        result = "failed"
        looked_up = LookedUp(screened, NOTHING)
        try:
            looked_up, result = await self._looked_up(screened, route, policy, said, progress)
        except Exception as error:  # noqa: BLE001 -- a defect of the cache's must not fail the call
            self._log.error("defect", error=error, request_id=screened.arrival.request_id)
        screened.arrival.timing.mark("look_up")
        if looked_up.recalled is None and said.mode == "only":
            self._metrics.looked_up(route.alias, "refused")
            raise self._missed(screened)
        self._metrics.looked_up(route.alias, result)
        progress.trail.cache = result
        return looked_up

    async def _looked_up(
        self, screened: Screened, route: Route, policy: CachePolicy, said: Directives, progress: Progress
    ) -> tuple[LookedUp, str]:
        headers = screened.arrival.connection.answer_headers
        asked = None if _is_excluded(screened, said) else await self._asked(screened, policy)
        if asked is None:
            headers.append((CACHE, b"off"))
            return LookedUp(screened, NOTHING), "off"
        if said.mode == "refresh":
            headers.append((CACHE, b"refresh"))
            return LookedUp(screened, Filling(self._filler, screened, asked)), "refresh"
        found = await self._found(screened, asked, said)
        recalled = None if found is None else await self._recalled(screened, route, asked, found, progress)
        if found is not None and recalled is not None:
            return LookedUp(screened, NOTHING, recalled), found.level
        if said.mode == "only":
            headers.append((CACHE, b"miss"))
            return LookedUp(screened, NOTHING), "miss"
        recalled, filling = await self._boarded(screened, route, asked, said, progress)
        if recalled is not None:
            return LookedUp(screened, NOTHING, recalled), "joined"
        headers.append((CACHE, b"miss"))
        return LookedUp(screened, filling), "miss"

    async def _recalled(
        self, screened: Screened, route: Route, asked: Asked, found: Found, progress: Progress
    ) -> Attempted | None:
        """The answer of an entry. For a share of those to another question, it is compared with a fresh one."""
        semantic = asked.policy.semantic
        if found.level != "semantic" or semantic is None or not semantic.shadow_share:
            return await self._recaller.found(screened, route, found, progress)

        def compare(body: bytes) -> None:
            entry, confidence, region = found.entry, found.confidence, found.region
            self._comparing.compare(screened, entry, confidence, region, body, semantic, asked.embedder)

        return await self._recaller.found(screened, route, found, progress, compare)

    async def _boarded(
        self, screened: Screened, route: Route, asked: Asked, said: Directives, progress: Progress
    ) -> tuple[Attempted | None, Filling | Nothing]:
        """The answer of an identical call that is under way, or what is to become of this one's."""
        connection, keep_alive_s = screened.arrival.connection, route.timeouts.keep_alive_s
        connection.watch()  # who hangs up waits no longer
        if screened.request.stream and keep_alive_s is not None:
            connection.keep_alive(keep_alive_s, lambda: [*self._early_head(screened.arrival), *JOINED])
        call = _call(screened, asked)
        boarded = await self._flights.board(
            asked.key, _form(screened), lambda begun_ns: self._answers.is_removed(call, begun_ns)
        )
        recalled: Attempted | None = None
        leading = boarded if isinstance(boarded, Leading) else None
        if leading is None or leading.has_waited:
            screened.arrival.timing.mark("call")  # somebody else's, but a provider was waited for
        try:
            if isinstance(boarded, Following):
                recalled = await self._joined(screened, route, boarded, progress)
            elif boarded is Landed.LANDED or (leading is not None and leading.has_waited):
                recalled = await self._landed(screened, route, asked, said, progress)
        except BaseException:
            if leading is not None:
                leading.fail()
            raise
        if recalled is not None:
            if leading is not None:
                leading.land(is_kept=True)
            return recalled, NOTHING
        return None, Filling(self._filler, screened, asked, leading)

    async def _joined(
        self, screened: Screened, route: Route, following: Following, progress: Progress
    ) -> Attempted | None:
        recalled: Attempted | None = None
        try:
            recalled = await self._recaller.joined(screened, route, following, progress)
            return recalled
        finally:
            if recalled is None:
                following.close()

    async def _landed(
        self, screened: Screened, route: Route, asked: Asked, said: Directives, progress: Progress
    ) -> Attempted | None:
        """What an identical call has left."""
        entry, policy = self._answers.find(asked.key), asked.policy
        lasting = policy.exact or policy.semantic
        if entry is None or lasting is None or not self._serves(entry, screened, said, lasting.ttl_s):
            return None
        return await self._recaller.found(screened, route, Found(entry, "joined"), progress)

    async def _asked(self, screened: Screened, policy: CachePolicy) -> Asked | None:
        """What the call is known by; ``None`` where its answer may not be kept at all."""
        at_ms, request, record = self._clock_ms(), screened.request, screened.principal.record
        scope = _scope(policy, screened)
        if scope is None:
            return None
        is_small = len(request.body) < KEYS_INLINE_BYTES
        make = request.cache_keys
        keys = make(scope, request.model) if is_small else await asyncio.to_thread(make, scope, request.model)
        most = (policy.exact or _PLAIN).max_temperature
        if not keys.is_cacheable or (keys.temperature is not None and keys.temperature > most):
            return None
        question = _question(screened, policy, keys)
        if question is None or keys.namespace is None or policy.semantic is None:
            return None if policy.exact is None else Asked(keys.key, policy, at_ms)
        embedder = self._embedder_of(policy.semantic.embedder, record)
        return Asked(keys.key, policy, at_ms, keys.namespace, question, embedder)

    async def _found(self, screened: Screened, asked: Asked, said: Directives) -> Found | None:
        exact, semantic = asked.policy.exact, asked.policy.semantic
        if exact is not None:
            entry = self._answers.find(asked.key)
            if entry is not None and self._serves(entry, screened, said, exact.ttl_s):
                return Found(entry, "exact")
        if semantic is None or asked.question is None:
            return None
        near = self._answers.near(asked.namespace, asked.question)
        if not near:
            return None
        ttl_s = semantic.ttl_s

        def serves(entry: Entry) -> bool:
            return entry.namespace == asked.namespace and self._serves(entry, screened, said, ttl_s)

        return await matched(asked.question, near, serves, semantic, self._threshold, asked.embedder)

    def _serves(self, entry: Entry, screened: Screened, said: Directives, ttl_s: float) -> bool:
        """Whether an entry that was found is this tenant's, is of this model and operation, and is not too old."""
        age_ms = self._clock_ms() - entry.filled_at_ms
        if said.max_age_s is not None and age_ms > said.max_age_s * 1000:
            return False
        if entry.warnings and screened.arrival.headers.get(STRICT) == b"true":
            return False  # whoever is strict wants to hear of it instead
        return (
            age_ms <= ttl_s * 1000
            and entry.tenant_id == screened.principal.record.tenant_id
            and entry.model == screened.request.model
            and entry.operation == screened.arrival.operation
        )

    @staticmethod
    def _missed(screened: Screened) -> CacheMissed:
        # The SDKs repeat a 504 by themselves.
        screened.arrival.connection.answer_headers.append((b"x-should-retry", b"false"))
        return CacheMissed("No answer is cached that serves this request, and it asked for nothing else.")


def _permitted(screened: Screened) -> Route | None:
    """The model's route, for those who may use it."""
    model, allowed = screened.request.model, screened.principal.record.allowed_models
    route = screened.arrival.snapshot.routes.get(model)
    return route if allowed is None or model in allowed else None


def _is_excluded(screened: Screened, said: Directives) -> bool:
    """Whether nobody need look: the client does not want it, nothing is asked of a model, or something that is hidden
    from the provider belongs into the answer."""
    arrival, guard = screened.arrival, screened.guard
    if said.mode == "off" or arrival.operation not in OPERATIONS or DRY_RUN in arrival.headers:
        return True
    return arrival.connection.upload is not None or (guard is not None and guard.session.has_originals)


def _form(screened: Screened) -> bytes | None:
    """What streams that others may hear have in common beside their key; ``None``: what is whole, what a guardrail may
    alter for this caller, and for who wants to be told of dropped fields."""
    request, guard = screened.request, screened.guard
    if not request.stream or STRICT in screened.arrival.headers or (guard is not None and guard.sees_answers):
        return None
    return b"usage" if request.include_usage else b"plain"


def _call(screened: Screened, asked: Asked) -> Call:
    record = screened.principal.record
    return Call(asked.key, record.tenant_id, record.key_id, screened.request.model, asked.at_ms)


def _scope(policy: CachePolicy, screened: Screened) -> str | None:
    """Whose answers count; ``None`` where that can't be told."""
    record = screened.principal.record
    match policy.scope:
        case "tenant":
            return record.tenant_id
        case "key":
            return f"{record.tenant_id}\0key:{record.key_id}"
        case "user":
            user = user_of(screened)
            return None if user is None else f"{record.tenant_id}\0user:{user}"


def _question(screened: Screened, policy: CachePolicy, keys: CacheKeys) -> Question | None:
    """What may be answered by an answer to another question."""
    if policy.semantic is None or keys.question is None or screened.arrival.operation not in SAYING:
        return None
    try:
        return Question(keys.question)
    except ValueError:
        return None  # too long, or without a word
