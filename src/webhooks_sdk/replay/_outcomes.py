"""The outcome of a target, and the result of a single request."""

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
    """How a target ended. Every target of a run has exactly one outcome."""

    DELIVERED = "delivered"
    """The subscriber responded with 2xx."""
    REJECTED = "rejected"
    """The subscriber responded with another status."""
    ACCEPTED = "accepted"
    """The service accepted the request without reporting the subscriber's response.

    It may not have waited for the subscriber, or the subscriber may be down. A resumed run looks it
    up in the list, and sends it again if it failed.
    """
    FAILED = "failed"
    """The service rejected the request, or provably processed none of the attempts."""
    UNKNOWN = "unknown"
    """Possibly delivered: the request was sent, but no complete response arrived."""
    SKIPPED = "skipped"
    """Nothing was sent because nothing was left to do: see `Outcome.not_sent`."""


class NotSentReason(StrEnum):
    """Why a run sent no request for a target."""

    DUPLICATE = "duplicate"
    """`skipped`: the same target came earlier in this run."""
    DONE_EARLIER = "done earlier"
    """`skipped`: an earlier run of the journal ended with `delivered`."""
    FOUND_DELIVERED = "found delivered"
    """`skipped`: it was unknown or accepted, and the service now lists a successful attempt."""
    ACCEPTED_EARLIER = "accepted earlier"
    """`accepted`: it was accepted in an earlier run, and the list does not tell what followed."""
    UNKNOWN_EARLIER = "unknown earlier"
    """`unknown`: an earlier run left it unknown, and `resend_unknown` is False."""
    NOT_FOUND_EARLIER = "not found earlier"
    """`failed`: the service returned 404 to an earlier run, so the event cannot be redelivered."""

    @property
    def status(self) -> OutcomeStatus:
        """The status of the outcomes with this reason."""
        return _STATUS_OF_REASON.get(self, OutcomeStatus.SKIPPED)


_STATUS_OF_REASON = {
    NotSentReason.ACCEPTED_EARLIER: OutcomeStatus.ACCEPTED,
    NotSentReason.UNKNOWN_EARLIER: OutcomeStatus.UNKNOWN,
    NotSentReason.NOT_FOUND_EARLIER: OutcomeStatus.FAILED,
}


@frozen(kw_only=True)
class Outcome:
    """The outcome of one target.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        status: How the target ended.
        event: The delivery attempt that the service returned, or None.
        error: Why the request failed, None if it succeeded. Can be None for `unknown`: a run that
            was killed records no error.
        attempts: Number of requests sent for the target, over all runs of the journal. Requests
            that the service deferred (429, or 503 with `Retry-After`) do not count.
        not_sent: Why this run sent no request for the target, None if it sent one.
    """

    hook_id: UUID
    request_id: UUID
    status: OutcomeStatus
    event: WebhookEvent | None = None
    error: Exception | None = field(default=None, eq=False)
    attempts: int = 0
    not_sent: NotSentReason | None = None


@frozen
class Result:
    """The result of one request.

    Attributes:
        status: The outcome of the target, unless the request is sent again.
        event: The delivery attempt that the service returned, or None.
        error: The error, None if the request succeeded.
        elapsed: Duration of the request in seconds.
    """

    status: OutcomeStatus
    event: WebhookEvent | None
    error: Exception | None
    elapsed: float

    @property
    def deferred(self) -> bool:
        """Whether the service did nothing and asked to try again later."""
        return isinstance(self.error, APIError) and is_deferred(self.error)

    @property
    def resendable(self) -> bool:
        """Whether the service provably did nothing, for a reason that may be temporary."""
        return isinstance(self.error, APIError) and is_resendable(self.error)

    @property
    def fatal(self) -> bool:
        """Whether nothing was done and every further request would fail the same way."""
        return isinstance(self.error, _FATAL_ERRORS) and not getattr(
            self.error, "outcome_unknown", False
        )

    @property
    def counts_as_attempt(self) -> bool:
        """Whether the request counts towards `max_attempts`."""
        return not (self.deferred or self.fatal)


_FATAL_ERRORS = (AuthenticationError, PermissionDeniedError, ClientClosedError, ConfigurationError)


def classify_result(returned: WebhookEvent | Exception, elapsed: float) -> Result:
    """Classify the result of one request.

    Args:
        returned: What `send` returned or raised.
        elapsed: Duration of the request in seconds.
    """
    if not isinstance(returned, Exception):
        return Result(_status_of(returned), returned, None, elapsed)
    known = isinstance(returned, APIError | ClientClosedError | ConfigurationError)
    # An error from outside the SDK does not tell whether the request was sent.
    ambiguous = not known or getattr(returned, "outcome_unknown", False)
    status = OutcomeStatus.UNKNOWN if ambiguous else OutcomeStatus.FAILED
    return Result(status, None, returned, elapsed)


def _status_of(event: WebhookEvent) -> OutcomeStatus:
    if event.response_status is None:
        return OutcomeStatus.ACCEPTED
    return OutcomeStatus.DELIVERED if event.delivered else OutcomeStatus.REJECTED


def is_not_found(status: int | None) -> bool:
    """Return whether the service does not know the target, so that resending is pointless."""
    return status == HTTPStatus.NOT_FOUND


def is_rate_limit(error: Exception | None) -> bool:
    """Return whether the service rejected the request because of its rate limit."""
    return isinstance(error, APIStatusError) and error.status == HTTPStatus.TOO_MANY_REQUESTS
