"""The options of a replay."""

import os
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from attrs import Attribute, field, frozen

from webhooks_sdk._core.validation import check_bool, check_count, check_number
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay._report import Progress

DEFAULT_CONCURRENCY = 16
DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_MAX_CONSECUTIVE_FAILURES = 20

_MIN_RATE, _MAX_RATE = 1e-6, 1e6  # requests per second


def _check_count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_count(attribute.name, value, error_class=InvalidArgumentError)


def _check_count_or_none(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_count(attribute.name, value, allow_none=True, error_class=InvalidArgumentError)


def _check_rate(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_number(
        attribute.name,
        value,
        minimum=_MIN_RATE,
        maximum=_MAX_RATE,
        unit="requests per second",
        allow_none=True,
        error_class=InvalidArgumentError,
    )


def _check_boolean(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_bool(attribute.name, value, error_class=InvalidArgumentError)


def _check_callback(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is None:
        return
    is_async = iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__)
    if not callable(value) or is_async:
        raise InvalidArgumentError(
            f"{attribute.name} must be a synchronous function or None, got {short_repr(value)}."
        )


@frozen(kw_only=True)
class ReplayOptions:
    """The options of a replay: the keyword arguments of `redeliver_many` as one value.

    Attributes:
        journal: The journal file, from which the run can be resumed. None for a temporary file
            that is deleted when the run ends.
        concurrency: Maximum number of requests in flight, from 1 to 1,000,000. A run starts with
            one.
        rate: Maximum number of requests per second, resends included, from 0.000001 to 1,000,000.
            None for no limit.
        max_attempts: Maximum number of requests for one event in a run, from 1 to 1,000,000. A
            resumed run counts from zero.
        max_consecutive_failures: Number of consecutive rejected, failed or unknown outcomes after
            which the run stops, from 1 to 1,000,000. None to never stop for this reason.
        resend_unknown: Whether a resumed run sends events again that may have been delivered.
        durable: Whether the journal survives a power failure, not only a crash of the process.
        on_progress: A synchronous function, called with a `Progress` about once a second while
            an outcome is awaited, and at the end.

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
