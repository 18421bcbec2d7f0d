"""Station 5, plan: a model alias becomes one target, drawn by weight among those that may answer.

In: a screened request. Out: the route and the target. It knows the snapshot's routes and no provider's protocol.
"""

import random
from collections.abc import Sequence

from tollway.contract.snapshot import Operation, Route, Target, serves
from tollway.errors import InvalidRequest, ModelForbidden, ModelNotFound
from tollway.proxy.exchange import Planned, Screened


def plan(screened: Screened) -> Planned:
    """Chooses a target.

    Raises:
        ModelNotFound: no model of this name is configured.
        ModelForbidden: there is one, and the caller may not use it.
        InvalidRequest: none of its targets can do what is asked for.
    """
    arrival, request = screened.arrival, screened.request
    route = arrival.snapshot.routes.get(request.model)
    if route is None:
        raise ModelNotFound(
            f"The model {request.model[:128]!r} does not exist here. GET /v1/models lists those that do.", param="model"
        )
    allowed = screened.principal.record.allowed_models
    if allowed is not None and route.alias not in allowed:
        raise ModelForbidden(f"This key may not use the model {route.alias!r}.", param="model")
    planned = Planned(arrival, request, route, draw(_serving(route, arrival.operation)))
    arrival.timing.mark("plan")
    return planned


def _serving(route: Route, operation: Operation) -> Sequence[Target]:
    targets = [target for target in route.targets if serves(target.provider.kind, operation)]
    if not targets:
        raise InvalidRequest(f"The model {route.alias!r} does not serve {operation}.", param="model")
    return targets


def draw(targets: Sequence[Target]) -> Target:
    """One of the targets, each with a chance in proportion to its weight."""
    if len(targets) == 1:
        return targets[0]
    return random.choices(targets, [target.weight for target in targets])[0]  # noqa: S311 -- load spreading, no secret
