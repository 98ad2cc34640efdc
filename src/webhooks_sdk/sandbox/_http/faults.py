"""Faults on demand: what is to go wrong, and which request it strikes."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from attrs import Factory, asdict, evolve, field, frozen

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

# What each kind can be told, beside what all can, and what it does if it is not told.
_SETTINGS: Final[Mapping[str, Mapping[str, float | None]]] = {
    "latency": {"seconds": 1.0},
    "rate_limited": {"retry_after": 1},
    "server_error": {"status": 500, "retry_after": None, "processed": False},
    "slow_drip": {"seconds": 10.0},
    "huge_body": {"size": 64 * 1024 * 1024},
}
_LONGEST: Final = 86_400.0
_LARGEST: Final = 1024**3


def _default(name: str, otherwise: object = None) -> Any:  # noqa: ANN401 - as attrs types it
    """Return an attrs default: what the kind of the fault does if it is not told."""
    return Factory(lambda fault: _settings(fault.kind).get(name, otherwise), takes_self=True)


def _settings(kind: object) -> Mapping[str, float | None]:
    return _SETTINGS.get(kind, {}) if isinstance(kind, str) else {}


@frozen
class Fault:
    """Something that goes wrong with requests to the API, on demand.

    Settings that a kind does not have cannot be given; `None` stands for them.

    Attributes:
        kind: What goes wrong:
            `"latency"`: the request waits for `seconds` before it is processed.
            `"unauthorized"`: 401, although the access token or the credentials are good.
            `"rate_limited"`: 429, with `Retry-After` unless `retry_after` is None.
            `"server_error"`: `status`, 500 if it is not given.
            `"reset_before"`: the connection is reset, and nothing was processed.
            `"reset_after"`: the request is processed, then the connection is reset.
            `"truncated"`: processed, but the connection ends in the middle of the answer.
            `"malformed_json"`: processed, but the body of the answer is no JSON.
            `"slow_drip"`: processed; the body comes in little pieces over `seconds`.
            `"huge_body"`: processed; blanks after the body make it `size` bytes long.
        operation: The operation that it strikes: `"token"`, `"list"`, `"get"`, `"create"`,
            `"update"`, `"delete"`, `"list_events"` or `"redeliver"`. None for all of them.
        times: How many requests it strikes, 1 or more. None for no end.
        probability: How probable it is that it strikes a request: above 0, at most 1.
        seconds: How long it takes: 1 of latency, 10 of drip, if it is not given.
        status: The status of a server error: 500 to 599.
        retry_after: The seconds of the `Retry-After` header. None for no such header.
        processed: Whether a server error comes after the request was processed.
        size: The bytes of a huge body, 64 MiB if it is not given.

    Raises:
        ValueError: There is no such kind or operation, or a setting is out of range, of the wrong
            type, or not of this kind.
    """

    kind: FaultKind
    operation: OperationName | None = field(default=None, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)
    seconds: float | None = field(default=_default("seconds"), kw_only=True)
    status: int | None = field(default=_default("status"), kw_only=True)
    retry_after: int | None = field(default=_default("retry_after"), kw_only=True)
    processed: bool = field(default=_default("processed", otherwise=False), kw_only=True)
    size: int | None = field(default=_default("size"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_choice("kind", self.kind, KINDS)
        if self.operation is not None:
            _check_choice("operation", self.operation, OPERATIONS)
        if self.times is not None:
            _check_whole("times", self.times, 1, _LARGEST)
        _check_number("probability", self.probability, 0, 1, above=True)
        self._check_settings()

    def _check_settings(self) -> None:
        settings = _settings(self.kind)
        for name in ("seconds", "status", "retry_after", "size"):
            if name not in settings and getattr(self, name) is not None:
                raise ValueError(f"A {self.kind} fault has no {name}.")
        if "seconds" in settings:
            _check_number("seconds", self.seconds, 0, _LONGEST)
        if "status" in settings:
            _check_whole("status", self.status, 500, 599)
        if self.retry_after is not None:
            _check_whole("retry_after", self.retry_after, 0, _LARGEST)
        if "size" in settings:
            _check_whole("size", self.size, 1, _LARGEST)
        # Who has no type checker may pass anything.
        if type(self.processed) is not bool:
            raise ValueError(f"processed must be true or false, not {self.processed!r}.")
        if self.processed and "processed" not in settings:
            raise ValueError(f"A {self.kind} fault has no processed.")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read a fault as the command line has it: the kind, then settings as `name=value`.

        Args:
            text: Such as `"rate_limited operation=redeliver times=3 retry_after=2"`. Between the
                words stand blanks or commas.

        Raises:
            ValueError: It is no fault.
        """
        kind, *settings = re.split(r"[\s,]+", text.strip())
        data: dict[str, object] = {"kind": kind}
        for setting in settings:
            name, sign, value = setting.partition("=")
            if not sign or name in data:
                raise ValueError(
                    f"{setting!r} in fault {text!r} must be a setting such as times=3, given once."
                )
            data[name] = _value(value)
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Fault":
        """Read a fault from its JSON form: an object with the attributes that are given.

        Raises:
            ValueError: It is no fault.
        """
        if unknown := sorted(data.keys() - _NAMES):
            raise ValueError(
                f"A fault has no {', '.join(map(repr, unknown))}; it has: {', '.join(_NAMES)}."
            )
        if "kind" not in data:
            raise ValueError(f"A fault needs a kind, one of: {', '.join(KINDS)}.")
        return cls(**cast("dict[str, FaultKind]", dict(data)))  # type: ignore[arg-type]  # checked there

    def to_dict(self) -> dict[str, object]:
        """Return its JSON form, without what its kind does not have."""
        common = {"kind", "operation", "times", "probability"}
        kept = common | _settings(self.kind).keys()
        return {name: value for name, value in asdict(self).items() if name in kept}


_NAMES: Final = tuple(Fault.__annotations__)


class FaultPlan:
    """The faults of one tenant, and which of its requests they strike.

    Args:
        draw: Returns a random number from 0 up to, but not including, 1.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._faults: tuple[Fault, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those that can still strike, oldest first; `times` is how often."""
        return self._faults

    def inject(self, faults: tuple[Fault, ...]) -> None:
        """Add faults."""
        self._faults += faults

    def clear(self) -> None:
        """Take all away."""
        self._faults = ()

    def strike(self, operation: OperationName) -> tuple[Fault, ...]:
        """Return what goes wrong with a request, and count it.

        Every latency counts; of the other faults the oldest that strikes has the request for
        itself.

        Args:
            operation: What the request asks for.
        """
        struck: list[Fault] = []
        left: list[Fault] = []
        is_taken = False
        for fault in self._faults:
            waits = fault.kind == "latency"
            if (waits or not is_taken) and self._strikes(fault, operation):
                is_taken = is_taken or not waits
                struck.append(fault)
                left.extend(_after(fault))
            else:
                left.append(fault)
        self._faults = tuple(left)
        return tuple(struck)

    def _strikes(self, fault: Fault, operation: OperationName) -> bool:
        if fault.operation not in {None, operation}:
            return False
        return fault.probability == 1 or self._draw() < fault.probability


def _after(fault: Fault) -> tuple[Fault, ...]:
    """Return what is left of a fault that has struck."""
    if fault.times is None:
        return (fault,)
    return (evolve(fault, times=fault.times - 1),) if fault.times > 1 else ()


def _value(text: str) -> object:
    if text == "none":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


def _check_number(
    name: str, value: object, least: float, most: float, *, above: bool = False
) -> None:
    # A bool is an int, and not a number is what compares to nothing.
    fits = isinstance(value, int | float) and type(value) is not bool and least <= value <= most
    if not fits or (above and value == least):
        words = f"above {least:g} and at most {most:g}" if above else f"{least:g} to {most:g}"
        raise ValueError(f"{name} must be a number, {words}, not {value!r}.")


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number, {least} to {most}, not {value!r}.")
