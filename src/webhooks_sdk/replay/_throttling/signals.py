"""What the end of one redelivery tells a replay: send it again, or not; more at once, or fewer."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import AuthenticationError, PermissionDeniedError

if TYPE_CHECKING:
    from webhooks_sdk.errors import APIError

SILENT_AFTER = 5.0
"""Seconds after which an answer without the subscriber's status tells of one that kept silent."""

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 8.0
_DOUBLINGS = 4
_TIMEOUT, _TOO_MANY, _UNAVAILABLE = 408, 429, 503
_SERVER_ERROR = 500


class Signal(enum.Enum):
    """What a finished send says of how many there may be at once."""

    FINE = "it was answered, and nobody complained"
    NEUTRAL = "it says nothing of how many there may be at once"
    OVERLOAD = "the subscriber or the service has more than it can take"


def resendable(error: APIError) -> bool:
    """Decide whether a redelivery that failed may be sent again without asking anybody.

    It may if it is proven not carried out, and could go better next time. Credentials that are
    refused, or cannot be had, get no better.
    """
    if error.outcome_unknown or isinstance(error, AuthenticationError | PermissionDeniedError):
        return False
    status = error.status
    return status is None or status in (_TIMEOUT, _TOO_MANY) or status >= _SERVER_ERROR


def deferred(error: APIError) -> bool:
    """Decide whether the service did nothing and asks to come back later: 429, or 503 with a time.

    Such a send does not count as an attempt.
    """
    if error.outcome_unknown:
        return False
    return error.status == _TOO_MANY or (
        error.status == _UNAVAILABLE and error.retry_after is not None
    )


def backoff(resend: int, fraction: float) -> float:
    """Return how long a redelivery waits before it is sent again.

    Args:
        resend: Which resend of this redelivery it is, counted from 1.
        fraction: A random number from 0 to 1, so that those that failed together part.

    Returns:
        Seconds between half and the whole of a bound that doubles from 0.5 s to 8 s.
    """
    bound = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(resend - 1, _DOUBLINGS))
    return bound * (1 + fraction) / 2


def classify_signal(outcome: WebhookEvent | APIError, elapsed: float) -> Signal:
    """Decide what a finished redelivery says of the subscriber and of the service.

    Args:
        outcome: What `redeliver` returned or raised.
        elapsed: Seconds that it took.

    Returns:
        Distress for a subscriber that answers 429 or 5xx or kept silent, and for a service that
        fails, answers too late or loses the connection. Its 429 is neutral, since the pace answers
        that, and so are its other refusals.
    """
    if isinstance(outcome, WebhookEvent):
        return _signal_of_subscriber(outcome.response_status, elapsed)
    status = outcome.status
    if status == _TOO_MANY:
        return Signal.NEUTRAL
    if isinstance(outcome, AuthenticationError):
        return Signal.NEUTRAL
    if outcome.outcome_unknown or status is None:
        return Signal.OVERLOAD
    strained = status == _TIMEOUT or status >= _SERVER_ERROR
    return Signal.OVERLOAD if strained else Signal.NEUTRAL


def _signal_of_subscriber(status: int | None, elapsed: float) -> Signal:
    if status is None:
        # At once: the service took the event and does not say more. Late: it waited in vain.
        strained = elapsed >= SILENT_AFTER
    else:
        strained = status == _TOO_MANY or status >= _SERVER_ERROR
    return Signal.OVERLOAD if strained else Signal.FINE
