"""Faults, and the choice of the requests that they affect."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from attrs import Factory, asdict, evolve, field, frozen

from webhooks_sdk._core.validation import MAX_BYTES, check_count, check_seconds
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.sandbox._service.routes import OperationName

FaultKind: TypeAlias = Literal[
    "latency",
    "unauthorized",
    "rate_limited",
    "server_error",
    "reset_before",
    "reset_after",
    "truncated",
    "malformed_json",
    "slow_drip",
    "huge_body",
]

KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
OPERATIONS: Final[tuple[OperationName, ...]] = get_args(OperationName)

# The settings of each kind in addition to the common ones, with their defaults.
_SETTINGS: Final[Mapping[str, Mapping[str, float | None]]] = {
    "latency": {"seconds": 1.0},
    "rate_limited": {"retry_after": 1},
    "server_error": {"status": 500, "retry_after": None, "processed": False},
    "slow_drip": {"seconds": 10.0},
    "huge_body": {"size": 64 * 1024 * 1024},
}


def _default(name: str, fallback: object = None) -> Any:  # noqa: ANN401 - as attrs types it
    """Return an attrs default that depends on the kind of the fault."""
    return Factory(lambda fault: _settings(fault.kind).get(name, fallback), takes_self=True)


def _settings(kind: object) -> Mapping[str, float | None]:
    return _SETTINGS.get(kind, {}) if isinstance(kind, str) else {}


@frozen
class Fault:
    """A fault that affects requests to the API.

    Settings that the kind does not have must not be passed; their value is None, or False for
    `processed`.

    Attributes:
        kind: What goes wrong:
            `"latency"`: the request is delayed by `seconds` before it is processed.
            `"unauthorized"`: 401, although the access token or the credentials are valid.
            `"rate_limited"`: 429, with `Retry-After` unless `retry_after` is None.
            `"server_error"`: a 5xx response with `status`.
            `"reset_before"`: the connection is reset before the request is processed.
            `"reset_after"`: the request is processed, then the connection is reset.
            `"truncated"`: processed; the connection is closed in the middle of the response.
            `"malformed_json"`: processed; the response body is not valid JSON.
            `"slow_drip"`: processed; the body is sent in small chunks over `seconds`.
            `"huge_body"`: processed; the body is padded with spaces to `size` bytes.
        operation: The affected operation: `"token"`, `"list"`, `"get"`, `"create"`, `"update"`,
            `"delete"`, `"list_events"` or `"redeliver"`. None for all of them.
        times: Number of requests to affect, from 1 to 1,000,000. None for no limit.
        probability: Probability that a request is affected: above 0, at most 1.
        seconds: Duration in seconds, from 0 to 1,000,000: 1 for latency, 10 for a slow drip by
            default.
        status: The status of a server error: 500 to 599, 500 by default.
        retry_after: Seconds in the `Retry-After` header, an integer from 0 to 1,000,000. None for
            no header.
        processed: Whether a server error is sent after the request was processed.
        size: Size of a huge body in bytes, from 1 to 2,147,483,647; 64 MiB by default.

    Raises:
        ValueError: The kind or the operation is unknown, or a setting is out of range, of the wrong
            type, or not valid for the kind.
    """

    kind: FaultKind
    operation: OperationName | None = field(default=None, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)
    seconds: float | None = field(default=_default("seconds"), kw_only=True)
    status: int | None = field(default=_default("status"), kw_only=True)
    retry_after: int | None = field(default=_default("retry_after"), kw_only=True)
    processed: bool = field(default=_default("processed", fallback=False), kw_only=True)
    size: int | None = field(default=_default("size"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_choice("kind", self.kind, KINDS)
        if self.operation is not None:
            _check_choice("operation", self.operation, OPERATIONS)
        if self.times is not None:
            check_count("times", self.times, error_class=ValueError)
        _check_probability(self.probability)
        self._check_settings()

    def _check_settings(self) -> None:
        settings = _settings(self.kind)
        for name in ("seconds", "status", "retry_after", "size"):
            if name not in settings and getattr(self, name) is not None:
                raise ValueError(f"Faults of kind {self.kind!r} have no setting {name!r}.")
        if "seconds" in settings:
            check_seconds("seconds", self.seconds, allow_zero=True, error_class=ValueError)
        if "status" in settings:
            check_count("status", self.status, minimum=500, maximum=599, error_class=ValueError)
        if self.retry_after is not None:
            check_count("retry_after", self.retry_after, minimum=0, error_class=ValueError)
        if "size" in settings:
            check_count("size", self.size, maximum=MAX_BYTES, error_class=ValueError)
        if type(self.processed) is not bool:
            raise ValueError(f"processed must be true or false, got {short_repr(self.processed)}.")
        if self.processed and "processed" not in settings:
            raise ValueError(f"Faults of kind {self.kind!r} have no setting 'processed'.")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Parse a fault from text: the kind, followed by settings as `name=value`.

        Args:
            text: For example `"rate_limited operation=redeliver times=3 retry_after=2"`. Spaces or
                commas separate the words.

        Raises:
            ValueError: The text does not describe a valid fault.
        """
        kind, *settings = re.split(r"[\s,]+", text.strip())
        data: dict[str, object] = {"kind": kind}
        for setting in settings:
            name, separator, value = setting.partition("=")
            if not separator or name in data:
                raise ValueError(
                    f"{setting!r} in the fault {text!r} is not a setting such as times=3, or is"
                    " repeated."
                )
            data[name] = _parse_value(value)
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Fault":
        """Build a fault from its JSON form: an object with the attributes to set.

        Raises:
            ValueError: The object does not describe a valid fault.
        """
        if unknown := sorted(data.keys() - _NAMES):
            raise ValueError(
                f"Unknown settings of a fault: {', '.join(map(repr, unknown))}. Valid settings are:"
                f" {', '.join(_NAMES)}."
            )
        if "kind" not in data:
            raise ValueError(f"A fault must have a kind, one of: {', '.join(KINDS)}.")
        return cls(**cast("dict[str, FaultKind]", dict(data)))  # type: ignore[arg-type]  # checked there

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, with the settings of the kind only."""
        common = {"kind", "operation", "times", "probability"}
        names = common | _settings(self.kind).keys()
        return {name: value for name, value in asdict(self).items() if name in names}


_NAMES: Final = tuple(Fault.__annotations__)


class ActiveFaults:
    """The faults of one tenant.

    Args:
        draw: Returns a random number from 0 up to, but not including, 1.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._faults: tuple[Fault, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in effect, oldest first; `times` is the number of requests left."""
        return self._faults

    def inject(self, faults: tuple[Fault, ...]) -> None:
        """Add faults."""
        self._faults += faults

    def clear(self) -> None:
        """Remove all faults."""
        self._faults = ()

    def take(self, operation: OperationName) -> tuple[Fault, ...]:
        """Return the faults that affect a request, and use each of them once.

        These are all latencies that apply, and the oldest other fault that applies.

        Args:
            operation: The operation of the request.
        """
        taken: list[Fault] = []
        remaining: list[Fault] = []
        has_other = False
        for fault in self._faults:
            is_latency = fault.kind == "latency"
            if (is_latency or not has_other) and self._applies(fault, operation):
                has_other = has_other or not is_latency
                taken.append(fault)
                remaining.extend(_used_once(fault))
            else:
                remaining.append(fault)
        self._faults = tuple(remaining)
        return tuple(taken)

    def _applies(self, fault: Fault, operation: OperationName) -> bool:
        if fault.operation not in {None, operation}:
            return False
        return fault.probability == 1 or self._draw() < fault.probability


def _used_once(fault: Fault) -> tuple[Fault, ...]:
    """Return what remains of a fault after one use; empty if it is used up."""
    if fault.times is None:
        return (fault,)
    return (evolve(fault, times=fault.times - 1),) if fault.times > 1 else ()


def _parse_value(text: str) -> object:
    if text == "none":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {short_repr(value)}.")


def _check_probability(value: object) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return
    raise ValueError(
        f"probability must be a number greater than 0 and at most 1, got {short_repr(value)}."
    )
