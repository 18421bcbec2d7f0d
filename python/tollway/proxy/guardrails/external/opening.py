"""External checks made of what a policy says of them."""

from tollway.contract.guardrails import Check, ModerationCheck, PresidioCheck, WebhookCheck
from tollway.proxy.guardrails.external.asking import Asker, Moderator
from tollway.proxy.guardrails.external.moderation import Moderation
from tollway.proxy.guardrails.external.presidio import Presidio
from tollway.proxy.guardrails.external.steady import Judge, Steady
from tollway.proxy.guardrails.external.webhook import Webhook
from tollway.proxy.outside import External
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics


class Opener:
    """Makes the external checks of one worker (:data:`~tollway.proxy.outside.OpenExternal`)."""

    def __init__(self, asker: Asker, moderator: Moderator, log: Log, metrics: Metrics) -> None:
        self._asker = asker
        self._moderator = moderator
        self._log = log
        self._metrics = metrics

    def __call__(self, check: Check) -> External:
        """The check, ready to be asked.

        Raises:
            ValueError: it is none of the external ones.
        """
        match check:
            case WebhookCheck():
                return self._steady(check, check.name, Webhook(check.name, check.url, check.secret, self._asker))
            case PresidioCheck():
                presidio = Presidio(
                    check.url, check.actions, self._asker, language=check.language, threshold=check.threshold
                )
                return self._steady(check, "presidio", presidio, restore=check.restore)
            case ModerationCheck():
                moderation = Moderation(
                    check.model,
                    self._moderator,
                    action=check.action,
                    categories=check.categories,
                    threshold=check.threshold,
                )
                return self._steady(check, "moderation", moderation)
        raise ValueError(f"{type(check).__name__} is a native check")

    def _steady(
        self, check: WebhookCheck | PresidioCheck | ModerationCheck, name: str, judge: Judge, *, restore: bool = False
    ) -> Steady:
        return Steady(
            name,
            judge,
            timeout_s=check.timeout_s,
            on_error=check.on_error,
            restore=restore,
            log=self._log,
            metrics=self._metrics,
        )
