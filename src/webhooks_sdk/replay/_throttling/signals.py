"""Classifies a finished redelivery: may it be sent again, and does it indicate an overload?"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import AuthenticationError, PermissionDeniedError

if TYPE_CHECKING:
    from webhooks_sdk.errors import APIError

# Seconds. A response without the subscriber's status that takes at least this long means that the
# service waited for the subscriber in vain.
_UNRESPONSIVE_AFTER = 5.0

_MIN_BACKOFF = 0.5
_MAX_BACKOFF = 8.0
_MAX_DOUBLINGS = 4
_TIMEOUT, _TOO_MANY, _UNAVAILABLE = 408, 429, 503
_SERVER_ERROR = 500


class Signal(enum.Enum):
    """What a finished redelivery indicates about the load."""

    HEALTHY = "healthy"
    """It shows no overload."""
    NEUTRAL = "neutral"
    """It says nothing about the load."""
    OVERLOAD = "overload"
    """The subscriber or the service is overloaded."""


def is_resendable(error: APIError) -> bool:
    """Return whether a redelivery that failed may be sent again automatically.

    It may if it is proven that the service did nothing, for a reason that can pass. Credentials
    that were rejected, or could not be obtained, do not qualify.
    """
    if error.outcome_unknown or isinstance(error, AuthenticationError | PermissionDeniedError):
        return False
    status = error.status
    return status is None or status in (_TIMEOUT, _TOO_MANY) or status >= _SERVER_ERROR


def is_deferred(error: APIError) -> bool:
    """Return whether the service did nothing and asked to wait: 429, or 503 with `Retry-After`.

    A deferred request does not count as an attempt.
    """
    if error.outcome_unknown:
        return False
    return error.status == _TOO_MANY or (
        error.status == _UNAVAILABLE and error.retry_after is not None
    )


def backoff(resend: int, jitter: float) -> float:
    """Return how long to wait before a redelivery is sent again.

    Args:
        resend: The number of the resend, from 1.
        jitter: A random number from 0 to 1, which spreads redeliveries that failed together.

    Returns:
        Seconds: between half of a bound and all of it. The bound doubles from 0.5 s to 8 s.
    """
    bound = min(_MAX_BACKOFF, _MIN_BACKOFF * 2.0 ** min(resend - 1, _MAX_DOUBLINGS))
    return bound * (1 + jitter) / 2


def classify_signal(outcome: WebhookEvent | APIError, elapsed: float) -> Signal:
    """Classify a finished redelivery by what it indicates about the load.

    Args:
        outcome: What `redeliver` returned or raised.
        elapsed: Seconds that it took.

    Returns:
        `OVERLOAD` if the subscriber returned 429 or 5xx or did not respond, or if the service
        failed, timed out or lost the connection. The service's own 429 is neutral, since the rate
        limiter handles it, and so are its other rejections.
    """
    if isinstance(outcome, WebhookEvent):
        return _classify_subscriber(outcome.response_status, elapsed)
    status = outcome.status
    if status == _TOO_MANY:
        return Signal.NEUTRAL
    if isinstance(outcome, AuthenticationError):
        return Signal.NEUTRAL
    if outcome.outcome_unknown or status is None:
        return Signal.OVERLOAD
    overloaded = status == _TIMEOUT or status >= _SERVER_ERROR
    return Signal.OVERLOAD if overloaded else Signal.NEUTRAL


def _classify_subscriber(status: int | None, elapsed: float) -> Signal:
    if status is None:
        overloaded = elapsed >= _UNRESPONSIVE_AFTER
    else:
        overloaded = status == _TOO_MANY or status >= _SERVER_ERROR
    return Signal.OVERLOAD if overloaded else Signal.HEALTHY
