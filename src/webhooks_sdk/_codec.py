"""JSON to models and back, strictly: the one place where values of the wire are converted.

Nothing is coerced, unknown fields are kept, and what is wrong is named by its path.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar, cast, get_args, get_origin
from uuid import UUID

from attrs import fields, has

from webhooks_sdk.errors import DecodeError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cattrs import Converter

T = TypeVar("T")

JSONObject: TypeAlias = dict[str, Any]

_MAX_PROBLEMS = 5
_DIGITS = "[0-9a-fA-F]"
_WIRE_UUID = re.compile(f"{_DIGITS}{{8}}(?:-{_DIGITS}{{4}}){{3}}-{_DIGITS}{{12}}").fullmatch
_BARE_UUID = re.compile(f"{_DIGITS}{{32}}").fullmatch
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
).fullmatch


def parse_id(value: UUID | str, name: str) -> UUID:
    """Return the argument `name` of an operation as a UUID.

    Takes a `UUID`, or its 36 characters with hyphens or 32 without, in any case.

    Raises:
        InvalidArgumentError: It is no UUID.
    """
    if isinstance(value, UUID):
        return value
    # Whoever has no type checker may pass anything, and uuid.UUID takes much that is no UUID.
    if isinstance(cast("object", value), str) and (_WIRE_UUID(value) or _BARE_UUID(value)):
        return UUID(value)
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"  # noqa: PLR2004
    raise InvalidArgumentError(
        f"{name} must be a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx), not {shown}."
    )


def parse_timestamp(value: str) -> datetime:
    """Read an RFC 3339 timestamp, and nothing looser, as an aware datetime in UTC.

    No zone means UTC. What is finer than a microsecond is cut. A leap second, which Python cannot
    express, is the second that follows.

    Raises:
        ValueError: It is no such timestamp, or no day of the calendar.
    """
    match = _RFC3339(value)
    if match is None:
        raise ValueError("expected an RFC 3339 timestamp")
    if match[1] == "60":
        at = match.start(1)
        return _leap_second(parse_timestamp(f"{value[:at]}59{value[at + 2 :]}"))
    try:
        moment = datetime.fromisoformat(value.upper())
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected an RFC 3339 timestamp of a day that exists") from None


def _leap_second(second_before: datetime) -> datetime:
    if (second_before.hour, second_before.minute) != (23, 59):
        raise ValueError("expected an RFC 3339 timestamp, a leap second only at the end of a day")
    try:
        return second_before + timedelta(seconds=1)
    except OverflowError:
        raise ValueError("expected an RFC 3339 timestamp before the year 10000") from None


def format_timestamp(moment: datetime) -> str:
    """Write a datetime as the service does: UTC, milliseconds (more if it has more), `Z`.

    No zone means UTC, as in `parse_timestamp`.
    """
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def parse_json(body: bytes) -> object:
    """Read JSON (RFC 8259): NaN and Infinity are no JSON.

    Raises:
        DecodeError: It is no JSON, or nested too deeply to read.
    """
    # Raised outside of the except blocks: what those catch holds the whole text.
    try:
        return _decode_json(body.decode().removeprefix(_BYTE_ORDER_MARK))
    except RecursionError:
        problem = "expected JSON, got one nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"expected JSON: {error.msg} at character {error.pos}"
    except UnicodeDecodeError as error:
        problem = f"expected JSON: not {error.encoding} at byte {error.start}"
    except ValueError:
        problem = "expected JSON: a number is none of JSON, or too long"
    raise DecodeError(problem)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# json.loads would make a decoder for each call.
_decode_json = json.JSONDecoder(parse_constant=_refuse_constant).decode
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def structure(data: object, shape: type[T]) -> T:
    """Build a model, or a list of models, from parsed JSON.

    Raises:
        DecodeError: The data has another shape; the message has the path of each wrong field and
            none of the values.
    """
    converter = _converter(explain=False)
    try:
        return converter.structure(data, shape)
    except Exception:  # noqa: BLE001 - whatever it was, the slower converter tells where
        return _explain(data, shape)


def _explain(data: object, shape: type[T]) -> T:
    import cattrs  # noqa: PLC0415 - see _converter

    try:
        return _converter(explain=True).structure(data, shape)
    except Exception as error:
        problems = cattrs.transform_error(error, format_exception=_describe)
        more = ", and more" if len(problems) > _MAX_PROBLEMS else ""
        raise DecodeError("; ".join(problems[:_MAX_PROBLEMS]) + more) from error


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "required field is missing"
    # The hooks below raise these two with text of their own; any other could quote a value.
    return str(error) if isinstance(error, WrongValueError) else "invalid value"


def unstructure(model: object) -> JSONObject:
    """Turn a model into the JSON-ready shape that it has on the wire, unknown fields included."""
    return cast("JSONObject", _converter(explain=False).unstructure(model))


class WrongValueError(DecodeError):
    """A value that a hook refused; the text has no part of it."""


def _exactly(kind: type[T], expected: str) -> Callable[[object, object], T]:
    def check(value: object, _: object) -> T:
        # Not isinstance: True is an int, and no JSON integer.
        if type(value) is kind:
            return value
        raise WrongValueError(f"expected {expected}, got {_json_type(value)}")

    return check


_text = _exactly(str, "a string")


def _uuid(value: object, _: object) -> UUID:
    text = _text(value, str)
    if _WIRE_UUID(text):
        return UUID(text)
    raise WrongValueError("expected a UUID")


def _timestamp(value: object, _: object) -> datetime:
    text = _text(value, str)
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise WrongValueError(str(error)) from None


_JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number with a fraction or exponent",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}


def _json_type(value: object) -> str:
    return _JSON_TYPES.get(type(value), "a value that is no JSON")


@cache
def _converter(*, explain: bool) -> Converter:
    # cattrs takes a quarter of this package's import time, and the first answer can pay for it.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.cols import is_sequence  # noqa: PLC0415

    converter = Converter(detailed_validation=explain)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(bool, _exactly(bool, "a boolean"))
    converter.register_structure_hook(int, _exactly(int, "an integer"))
    converter.register_structure_hook(UUID, _uuid)
    converter.register_structure_hook(datetime, _timestamp)
    converter.register_structure_hook_func(
        lambda shape: shape == JSONObject, _exactly(dict, "an object")
    )
    converter.register_unstructure_hook(UUID, str)
    converter.register_unstructure_hook(datetime, format_timestamp)
    converter.register_unstructure_hook_func(lambda shape: shape == JSONObject, deepcopy)

    converter.register_structure_hook_factory(
        is_sequence, _explaining_array_hook if explain else _array_hook
    )
    converter.register_structure_hook_factory(_is_model, _model_hook)
    converter.register_unstructure_hook_factory(_is_model, _wire_hook)
    return converter


def _array_hook(shape: Any, converter: Converter) -> Callable[[object, Any], Any]:  # noqa: ANN401 - cattrs' own type
    item, container = get_args(shape)[0], get_origin(shape)
    build = converter.get_structure_hook(item)
    return lambda value, kind: container([build(one, item) for one in _array(value, kind)])


def _explaining_array_hook(shape: Any, converter: Converter) -> Callable[[object, Any], Any]:  # noqa: ANN401 - cattrs' own type
    from cattrs.errors import IterableValidationError, IterableValidationNote  # noqa: PLC0415

    item, container = get_args(shape)[0], get_origin(shape)
    build = converter.get_structure_hook(item)

    def hook(value: object, kind: Any) -> Any:  # noqa: ANN401 - cattrs' own type
        built: list[Any] = []
        problems: list[Exception] = []
        for index, one in enumerate(_array(value, kind)):
            try:
                built.append(build(one, item))
            except Exception as error:  # noqa: BLE001 - all are told of, as far as they are shown
                error.add_note(IterableValidationNote("", index, item))
                problems.append(error)
            # Not every one of a million wrong items: each costs a traceback.
            if len(problems) > _MAX_PROBLEMS:
                break
        if problems:
            # ExceptionGroup's own __init__ hides cattrs' third argument from pyright.
            raise IterableValidationError("", problems, kind)  # pyright: ignore[reportCallIssue]
        return container(built)

    return hook


_array = _exactly(cast("type[list[Any]]", list), "an array")


def _is_model(shape: object) -> bool:
    return isinstance(shape, type) and has(shape) and hasattr(fields(shape), "extra")


def _model_hook(cls: type[Any], converter: Converter) -> Callable[[object, Any], Any]:
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415

    build = make_dict_structure_fn(cls, converter)
    names = frozenset(field.name for field in fields(cls)) - {"extra"}
    as_object = _exactly(cast("type[JSONObject]", dict), "an object")

    def hook(value: object, kind: Any) -> Any:  # noqa: ANN401 - cattrs' own type
        data = as_object(value, kind)
        if data.keys() <= names:
            return build(data, kind)
        known = {name: data[name] for name in names if name in data}
        known["extra"] = {name: data[name] for name in data if name not in names}
        return build(known, kind)

    return hook


def _wire_hook(cls: type[Any], converter: Converter) -> Callable[[Any], JSONObject]:
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415

    known = make_dict_unstructure_fn(cls, converter, extra=override(omit=True))
    return lambda model: {**deepcopy(model.extra), **known(model)}
