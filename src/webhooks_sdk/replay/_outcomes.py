"""What became of a target, and what one request for it means."""

from enum import StrEnum
from http import HTTPStatus
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    PermissionDeniedError,
)
from webhooks_sdk.replay._throttling.signals import is_deferred, is_resendable


class OutcomeStatus(StrEnum):
    """What became of a target. Every target of a run ends in exactly one."""

    DELIVERED = "delivered"
    """The subscriber answered 2xx."""
    REJECTED = "rejected"
    """The subscriber answered otherwise."""
    ACCEPTED = "accepted"
    """The service took it, and does not say how the subscriber answered. Not sent again."""
    FAILED = "failed"
    """The API refused, or the request was proven unsent until attempts ran out."""
    UNKNOWN = "unknown"
    """It may have been delivered: the request was sent, and no whole answer came."""
    SKIPPED = "skipped"
    """Nothing was sent: a duplicate, or done in an earlier run of the journal."""


@frozen(kw_only=True)
class Outcome:
    """What became of one target.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        status: What became of it.
        event: The attempt as the service answered it, None if it did not or nothing was sent.
        error: Why the request failed, None if it did not. For `unknown` it can be None too: a run
            that was killed leaves no error behind.
        attempts: How many requests were sent for it, over all runs of the journal. One that the
            service put off (429, or 503 with `Retry-After`) is not counted.
    """

    hook_id: UUID
    request_id: UUID
    status: OutcomeStatus
    event: WebhookEvent | None = None
    error: Exception | None = field(default=None, eq=False)
    attempts: int = 0


@frozen
class Result:
    """What came of one request.

    Attributes:
        status: What it makes of the target if nothing is sent again.
        event: The answer, if there was one.
        error: Why there was none.
        elapsed: Seconds that the request took.
    """

    status: OutcomeStatus
    event: WebhookEvent | None
    error: Exception | None
    elapsed: float

    @property
    def deferred(self) -> bool:
        """Whether the service put the request off, and did nothing."""
        return isinstance(self.error, APIError) and is_deferred(self.error)

    @property
    def resendable(self) -> bool:
        """Whether it is proven that nothing was done, for a reason that can pass."""
        return isinstance(self.error, APIError) and is_resendable(self.error)

    @property
    def stops(self) -> bool:
        """Whether every further request would fail for the same reason, nothing being done."""
        return isinstance(self.error, _STOPS) and not getattr(self.error, "outcome_unknown", False)

    @property
    def not_attempted(self) -> bool:
        """Whether the target is as it was before the request, which counts as no attempt."""
        return self.deferred or self.stops


_STOPS = (AuthenticationError, PermissionDeniedError, ClientClosedError, ConfigurationError)


def classify_result(answer: WebhookEvent | Exception, elapsed: float) -> Result:
    """Say what came of one request.

    Args:
        answer: What `send` returned, or raised.
        elapsed: Seconds that it took.
    """
    if not isinstance(answer, Exception):
        return Result(_status_of(answer), answer, None, elapsed)
    known = isinstance(answer, APIError | ClientClosedError | ConfigurationError)
    # What is not the SDK's own error says nothing about whether the request was sent.
    lost = not known or getattr(answer, "outcome_unknown", False)
    return Result(OutcomeStatus.UNKNOWN if lost else OutcomeStatus.FAILED, None, answer, elapsed)


def _status_of(event: WebhookEvent) -> OutcomeStatus:
    if event.response_status is None:
        return OutcomeStatus.ACCEPTED
    return OutcomeStatus.DELIVERED if event.delivered else OutcomeStatus.REJECTED


def is_gone(status: int | None) -> bool:
    """Whether the API does not know the target, so that it is not to be sent again."""
    return status == HTTPStatus.NOT_FOUND


def is_rate_limit(error: Exception | None) -> bool:
    """Whether the API said that too much is asked of it."""
    return isinstance(error, APIStatusError) and error.status == HTTPStatus.TOO_MANY_REQUESTS
