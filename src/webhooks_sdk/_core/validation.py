"""Validation of numbers that callers pass: times, counts and sizes.

Each check accepts any value, since callers without a type checker can pass anything, and raises the
error class that the caller names.
"""

from __future__ import annotations

from typing import TypeAlias, TypeGuard

from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import ConfigurationError

MAX_SECONDS = 1_000_000
"""The largest number of seconds: more than 11 days, and within the limits of sockets and locks."""

MAX_COUNT = 1_000_000
"""The largest number of attempts, connections, requests in flight and the like."""

MAX_BYTES = 2**31 - 1
"""The largest number of bytes: what zlib accepts on every platform."""

ErrorClass: TypeAlias = type[Exception]


def check_seconds(
    name: str,
    value: object,
    *,
    allow_zero: bool = False,
    allow_none: bool = False,
    error_class: ErrorClass = ConfigurationError,
) -> None:
    """Check that a value is a number of seconds up to `MAX_SECONDS`.

    Args:
        name: The name of the argument, for the message.
        value: The value to check.
        allow_zero: Whether 0 is valid.
        allow_none: Whether None is valid.
        error_class: The class of the error to raise.

    Raises:
        Exception: An `error_class`: the value is not an `int` or a `float`, or is out of range.
    """
    if value is None and allow_none:
        return
    if _is_number(value) and 0 <= value <= MAX_SECONDS and (value > 0 or allow_zero):
        return
    limits = "from 0 to" if allow_zero else "greater than 0 and at most"
    raise _error(
        error_class, name, f"a number of seconds {limits} {MAX_SECONDS:,}", value, allow_none
    )


def check_number(
    name: str,
    value: object,
    *,
    minimum: float,
    maximum: float,
    unit: str,
    allow_none: bool = False,
    error_class: ErrorClass = ConfigurationError,
) -> None:
    """Check that a value is an `int` or a `float` in a range.

    Args:
        name: The name of the argument, for the message.
        value: The value to check.
        minimum: The smallest valid value.
        maximum: The largest valid value.
        unit: What is counted, in the plural, such as `"requests per second"`.
        allow_none: Whether None is valid.
        error_class: The class of the error to raise.

    Raises:
        Exception: An `error_class`: the value is not a number, or is out of range.
    """
    if (value is None and allow_none) or (_is_number(value) and minimum <= value <= maximum):
        return
    expected = f"a number of {unit} from {_decimal(minimum)} to {_decimal(maximum)}"
    raise _error(error_class, name, expected, value, allow_none)


def check_count(
    name: str,
    value: object,
    *,
    minimum: int = 1,
    maximum: int = MAX_COUNT,
    allow_none: bool = False,
    error_class: ErrorClass = ConfigurationError,
) -> None:
    """Check that a value is an integer in a range.

    Args:
        name: The name of the argument, for the message.
        value: The value to check.
        minimum: The smallest valid value.
        maximum: The largest valid value, such as `MAX_COUNT` or `MAX_BYTES`.
        allow_none: Whether None is valid.
        error_class: The class of the error to raise.

    Raises:
        Exception: An `error_class`: the value is not an `int`, or is out of range.
    """
    if value is None and allow_none:
        return
    if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
        return
    raise _error(
        error_class, name, f"an integer from {minimum:,} to {maximum:,}", value, allow_none
    )


def check_bool(name: str, value: object, *, error_class: ErrorClass = ConfigurationError) -> None:
    """Check that a value is True or False.

    Raises:
        Exception: An `error_class`: it is not.
    """
    if not isinstance(value, bool):
        raise _error(error_class, name, "True or False", value, allow_none=False)


def _is_number(value: object) -> TypeGuard[int | float]:
    # A comparison with NaN is false, so NaN is in no range.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decimal(value: float) -> str:
    """Format a limit without an exponent: 0.000001, 1,000,000."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _error(
    error_class: ErrorClass, name: str, expected: str, value: object, allow_none: bool
) -> Exception:
    none = ", or None" if allow_none else ""
    return error_class(f"{name} must be {expected}{none}, got {short_repr(value)}.")
