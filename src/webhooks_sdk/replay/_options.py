"""The options of a replay."""

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

_MIN_RATE, _MAX_RATE = 1e-6, 1e6  # requests per second


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not _is_count(value):
        raise InvalidArgumentError(
            f"{attribute.name} must be an integer of at least 1, not {value!r}."
        )


def _check_count_or_none(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not _is_count(value):
        raise InvalidArgumentError(
            f"{attribute.name} must be an integer of at least 1, or None for no limit,"
            f" not {value!r}."
        )


def _check_rate(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not _MIN_RATE <= value <= _MAX_RATE
    ):
        raise InvalidArgumentError(
            f"{attribute.name} must be a number of requests per second from 0.000001 to 1000000,"
            f" or None for no limit, not {value!r}."
        )


def _check_boolean(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{attribute.name} must be True or False, not {value!r}.")


def _check_callback(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidArgumentError(f"{attribute.name} must be callable, not {value!r}.")


@frozen(kw_only=True)
class ReplayOptions:
    """The options of a replay: the keyword arguments of `redeliver_many` as one value.

    Attributes:
        journal: The journal file, from which the run can be resumed. None for a temporary file
            that is deleted when the run ends.
        concurrency: Maximum number of requests in flight. A run starts with one.
        rate: Maximum number of requests per second, resends included, from 0.000001 to 1000000.
            None for no limit.
        max_attempts: Maximum number of requests for one event, over all runs of the journal.
        max_consecutive_failures: Number of consecutive rejected, failed or unknown outcomes after
            which the run stops. None to never stop for this reason.
        resend_unknown: Whether a resumed run sends events again that may have been delivered.
        durable: Whether the journal survives a power failure, not only a crash of the process.
        on_progress: Called with a `Progress` about once a second, and at the end.

    Raises:
        InvalidArgumentError: A value is out of range.
    """

    journal: str | os.PathLike[str] | None = None
    concurrency: int = field(default=DEFAULT_CONCURRENCY, validator=_check_count)
    rate: float | None = field(default=None, validator=_check_rate)
    max_attempts: int = field(default=DEFAULT_MAX_ATTEMPTS, validator=_check_count)
    max_consecutive_failures: int | None = field(
        default=DEFAULT_MAX_CONSECUTIVE_FAILURES, validator=_check_count_or_none
    )
    resend_unknown: bool = field(default=False, validator=_check_boolean)
    durable: bool = field(default=False, validator=_check_boolean)
    on_progress: Callable[[Progress], object] | None = field(
        default=None, validator=_check_callback
    )
