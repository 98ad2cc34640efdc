"""Strict conversion between JSON and models.

Nothing is coerced, unknown fields are kept, and errors name the path of each invalid field.
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

from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import DecodeError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cattrs import Converter

T = TypeVar("T")

JSONObject: TypeAlias = dict[str, Any]

_MAX_PROBLEMS = 5
_HEX = "[0-9a-fA-F]"
_match_uuid = re.compile(f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}").fullmatch
_match_hex_uuid = re.compile(f"{_HEX}{{32}}").fullmatch
_match_timestamp = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
).fullmatch


def parse_id(value: UUID | str, name: str) -> UUID:
    """Return the argument `name` of an operation as a UUID.

    Accepts a `UUID`, or a string of 36 characters with hyphens or 32 without, in any case.

    Raises:
        InvalidArgumentError: The value is not a UUID.
    """
    if isinstance(value, UUID):
        return value
    # uuid.UUID is too lenient: it also accepts braces, a URN prefix and misplaced hyphens.
    if isinstance(cast("object", value), str) and (_match_uuid(value) or _match_hex_uuid(value)):
        return UUID(value)
    raise InvalidArgumentError(
        f"{name} must be a UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx), got {short_repr(value)}."
    )


def parse_timestamp(value: str) -> datetime:
    """Parse an RFC 3339 timestamp, strictly, into an aware datetime in UTC.

    A missing offset means UTC. Fractions are truncated to microseconds. A leap second, which Python
    cannot represent, becomes the following second.

    Raises:
        ValueError: The value is not an RFC 3339 timestamp, or the date does not exist.
    """
    match = _match_timestamp(value)
    if match is None:
        raise ValueError("expected an RFC 3339 timestamp")
    if match[1] == "60":
        start, end = match.span(1)
        return _resolve_leap_second(parse_timestamp(f"{value[:start]}59{value[end:]}"))
    try:
        moment = datetime.fromisoformat(value.upper())
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected an RFC 3339 timestamp with a valid date") from None


def _resolve_leap_second(second_before: datetime) -> datetime:
    if (second_before.hour, second_before.minute) != (23, 59):
        raise ValueError(
            "expected an RFC 3339 timestamp with a leap second only at the end of a day"
        )
    try:
        return second_before + timedelta(seconds=1)
    except OverflowError:
        raise ValueError("expected an RFC 3339 timestamp before the year 10000") from None


def format_timestamp(moment: datetime) -> str:
    """Format a datetime as the service does: in UTC, with milliseconds and `Z`.

    Microseconds are added if needed. A naive datetime is in UTC, as in `parse_timestamp`.
    """
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def parse_json(body: bytes) -> object:
    """Parse JSON (RFC 8259), which excludes NaN and Infinity.

    Raises:
        DecodeError: The body is not valid JSON, or is nested too deeply.
    """
    # Raised outside the except blocks, since the exceptions caught there hold the whole text.
    try:
        return _decode_json(body.decode().removeprefix(_BYTE_ORDER_MARK))
    except RecursionError:
        problem = "expected JSON, but it is nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"expected JSON: {error.msg} at character {error.pos}"
    except UnicodeDecodeError as error:
        problem = f"expected JSON: invalid {error.encoding} at byte {error.start}"
    except ValueError:
        problem = "expected JSON: a number is invalid or too long"
    raise DecodeError(problem)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


# json.loads with parse_constant would create a decoder for each call.
_decode_json = json.JSONDecoder(parse_constant=_reject_constant).decode
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def structure(data: object, target: type[T]) -> T:
    """Build a model, or a list of models, from parsed JSON.

    Raises:
        DecodeError: The data does not match the target type. The message has the path of each
            invalid field and none of the values.
    """
    converter = _converter(detailed=False)
    try:
        return converter.structure(data, target)
    except Exception:  # noqa: BLE001 - the slower, detailed converter finds the cause
        return _structure_with_details(data, target)


def _structure_with_details(data: object, target: type[T]) -> T:
    import cattrs  # noqa: PLC0415 - see _converter

    try:
        return _converter(detailed=True).structure(data, target)
    except Exception as error:
        problems = cattrs.transform_error(error, format_exception=_format_problem)
        more = ", and more" if len(problems) > _MAX_PROBLEMS else ""
        raise DecodeError("; ".join(problems[:_MAX_PROBLEMS]) + more) from error


def _format_problem(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "required field is missing"
    # The message of any other exception could quote a value.
    return str(error) if isinstance(error, InvalidValueError) else "invalid value"


def unstructure(model: object) -> JSONObject:
    """Convert a model to a JSON-ready dict, unknown fields included."""
    return cast("JSONObject", _converter(detailed=False).unstructure(model))


class InvalidValueError(DecodeError):
    """A structure hook of the converter rejected a value. The message does not quote it."""


def _exact_type_hook(kind: type[T], expected: str) -> Callable[[object, object], T]:
    def check(value: object, _: object) -> T:
        # Not isinstance: True is an int, but not a JSON integer.
        if type(value) is kind:
            return value
        raise InvalidValueError(f"expected {expected}, got {_json_type(value)}")

    return check


_structure_text = _exact_type_hook(str, "a string")


def _structure_uuid(value: object, _: object) -> UUID:
    text = _structure_text(value, str)
    if _match_uuid(text):
        return UUID(text)
    raise InvalidValueError("expected a UUID")


def _structure_timestamp(value: object, _: object) -> datetime:
    text = _structure_text(value, str)
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise InvalidValueError(str(error)) from None


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
    return _JSON_TYPES.get(type(value), "a value that is not JSON")


@cache
def _converter(*, detailed: bool) -> Converter:
    # cattrs takes a quarter of this package's import time, so import it on first use.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.cols import is_sequence  # noqa: PLC0415

    converter = Converter(detailed_validation=detailed)
    converter.register_structure_hook(str, _structure_text)
    converter.register_structure_hook(bool, _exact_type_hook(bool, "a boolean"))
    converter.register_structure_hook(int, _exact_type_hook(int, "an integer"))
    converter.register_structure_hook(UUID, _structure_uuid)
    converter.register_structure_hook(datetime, _structure_timestamp)
    converter.register_structure_hook_func(
        lambda target: target == JSONObject, _exact_type_hook(dict, "an object")
    )
    converter.register_unstructure_hook(UUID, str)
    converter.register_unstructure_hook(datetime, format_timestamp)
    converter.register_unstructure_hook_func(lambda target: target == JSONObject, deepcopy)

    converter.register_structure_hook_factory(
        is_sequence, _detailed_array_hook if detailed else _array_hook
    )
    converter.register_structure_hook_factory(_is_model, _model_hook)
    converter.register_unstructure_hook_factory(_is_model, _model_unstructure_hook)
    return converter


def _array_hook(target: Any, converter: Converter) -> Callable[[object, Any], Any]:  # noqa: ANN401 - cattrs' own type
    item_type, container = get_args(target)[0], get_origin(target)
    build = converter.get_structure_hook(item_type)
    return lambda value, kind: container(
        [build(item, item_type) for item in _structure_array(value, kind)]
    )


def _detailed_array_hook(target: Any, converter: Converter) -> Callable[[object, Any], Any]:  # noqa: ANN401 - cattrs' own type
    from cattrs.errors import IterableValidationError, IterableValidationNote  # noqa: PLC0415

    item_type, container = get_args(target)[0], get_origin(target)
    build = converter.get_structure_hook(item_type)

    def hook(value: object, kind: Any) -> Any:  # noqa: ANN401 - cattrs' own type
        built: list[Any] = []
        problems: list[Exception] = []
        for index, item in enumerate(_structure_array(value, kind)):
            try:
                built.append(build(item, item_type))
            except Exception as error:  # noqa: BLE001 - reported below
                error.add_note(IterableValidationNote("", index, item_type))
                problems.append(error)
            # Stop early: each invalid item of a long list would cost a traceback.
            if len(problems) > _MAX_PROBLEMS:
                break
        if problems:
            # pyright only sees ExceptionGroup.__init__, which lacks cattrs' third argument.
            raise IterableValidationError("", problems, kind)  # pyright: ignore[reportCallIssue]
        return container(built)

    return hook


_structure_array = _exact_type_hook(cast("type[list[Any]]", list), "an array")


def _is_model(target: object) -> bool:
    return isinstance(target, type) and has(target) and hasattr(fields(target), "extra")


def _model_hook(cls: type[Any], converter: Converter) -> Callable[[object, Any], Any]:
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415

    build = make_dict_structure_fn(cls, converter)
    names = frozenset(field.name for field in fields(cls)) - {"extra"}
    structure_object = _exact_type_hook(cast("type[JSONObject]", dict), "an object")

    def hook(value: object, kind: Any) -> Any:  # noqa: ANN401 - cattrs' own type
        data = structure_object(value, kind)
        if data.keys() <= names:
            return build(data, kind)
        known = {name: data[name] for name in names if name in data}
        known["extra"] = {name: data[name] for name in data if name not in names}
        return build(known, kind)

    return hook


def _model_unstructure_hook(cls: type[Any], converter: Converter) -> Callable[[Any], JSONObject]:
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415

    known = make_dict_unstructure_fn(cls, converter, extra=override(omit=True))
    return lambda model: {**deepcopy(model.extra), **known(model)}
