"""How a replay is carried out, and what it needs of the service."""

import os
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay._report import Progress

DEFAULT_CONCURRENCY = 16
DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_MAX_CONSECUTIVE_FAILURES = 20
DEFAULT_PENDING_GRACE = 120.0
RECOVER_CONCURRENCY = 8
RECOVER_RATE = 20.0

_SLOWEST, _FASTEST = 1e-6, 1e6  # requests a second


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not _is_count(value):
        raise InvalidArgumentError(
            f"{attribute.name} must be an integer of at least 1, not {value!r}."
        )


def _count_or_none(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not _is_count(value):
        raise InvalidArgumentError(
            f"{attribute.name} must be an integer of at least 1, or None for no limit,"
            f" not {value!r}."
        )


def _rate(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not _SLOWEST <= value <= _FASTEST
    ):
        raise InvalidArgumentError(
            f"{attribute.name} must be a number of requests a second from 0.000001 to 1000000,"
            f" or None for no limit, not {value!r}."
        )


def _boolean(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{attribute.name} must be True or False, not {value!r}.")


def _callback(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidArgumentError(f"{attribute.name} must be a function, not {value!r}.")


@frozen(kw_only=True)
class ReplayOptions:
    """How a replay is carried out: the arguments of `redeliver_many` as one value.

    Attributes:
        journal: The file in which the run is journalled, and from which it can be resumed. None
            for a temporary one, which ends with the run.
        concurrency: How many requests may be under way at once. It begins with one.
        rate: How many requests a second are sent at most, from 0.000001 to 1000000, resends
            included; None for no limit.
        max_attempts: How many requests one event may take, over all runs of the journal.
        max_consecutive_failures: After how many outcomes in a row that are rejected, failed or
            unknown the run is stopped; None for never.
        resend_unknown: Whether to send again, on resuming, what may have been delivered already.
        durable: Whether the journal survives a loss of power, not just the death of the process.
        on_progress: Called with a `Progress` about once a second, and at the end.

    Raises:
        InvalidArgumentError: A value is out of its range.
    """

    journal: str | os.PathLike[str] | None = None
    concurrency: int = field(default=DEFAULT_CONCURRENCY, validator=_count)
    rate: float | None = field(default=None, validator=_rate)
    max_attempts: int = field(default=DEFAULT_MAX_ATTEMPTS, validator=_count)
    max_consecutive_failures: int | None = field(
        default=DEFAULT_MAX_CONSECUTIVE_FAILURES, validator=_count_or_none
    )
    resend_unknown: bool = field(default=False, validator=_boolean)
    durable: bool = field(default=False, validator=_boolean)
    on_progress: Callable[[Progress], object] | None = field(default=None, validator=_callback)
