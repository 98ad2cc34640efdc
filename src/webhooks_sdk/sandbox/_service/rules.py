"""What the service takes in the body of create and update, and which events a subscription gets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn, TypedDict, cast

from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from webhooks_sdk.sandbox._service.errors import bad_request, unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERYTHING = "*"

_WORD = "[A-Za-z0-9_.-]+"
is_event_name = re.compile(f"{_WORD}(?::{_WORD})?").fullmatch
_read_header = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>(?:[!-~\x80-\xff][ \t]*)*)"
).fullmatch

# What is white space to Python or to JavaScript, whose expressions JSON Schema speaks.
_is_blank = re.compile(r"[\s\ufeff]*").fullmatch

# What the service itself says in a delivery, or what would break the delivery's framing.
_RESERVED_HEADERS = frozenset(
    name.lower()
    for name in (
        *("Host", "User-Agent", "Content-Type"),
        *("Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect"),
        *(EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER),
    )
)


class SubscriptionChanges(TypedDict, total=False):
    """The fields of a subscription that a request sets; the others stay as they are."""

    active: bool
    events: tuple[str, ...]
    header: str | None
    secret: str | None
    url: str


def matches(entries: Iterable[str], event: str) -> bool:
    """Return whether a subscription to these `events` entries receives the event.

    An entry is a subject (all its actions), a `subject:action`, or the wildcard `*`.
    """
    subject = event.partition(":")[0]
    return any(entry in (EVERYTHING, subject, event) for entry in entries)


def split_header(header: str) -> tuple[str, str] | None:
    """Return name and value of a `Name: Value` header; None if it is no such thing."""
    match = _read_header(header)
    return None if match is None else (match["name"], match["value"].rstrip())


def read_json(body: bytes) -> object:
    """Read the body of a request as JSON.

    Raises:
        RequestRefusedError: 400, it is none.
    """
    try:
        data: object = json.loads(body.decode(), parse_constant=_refuse_constant)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        # UnicodeEncodeError is a ValueError too: half a surrogate pair can be stored, never sent.
        raise bad_request("The body is no JSON.") from None
    return data


def read_object(body: bytes) -> dict[str, object]:
    """Read the body of a request as a JSON object.

    Raises:
        RequestRefusedError: 400, it is none.
    """
    data = read_json(body)
    if not isinstance(data, dict):
        raise bad_request("The body is no JSON object.")
    return cast("dict[str, object]", data)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def read_changes(data: dict[str, object]) -> SubscriptionChanges:
    """Read the fields of a create or update.

    Raises:
        RequestRefusedError: 422, a field is unknown, has the wrong type, or is not allowed.
    """
    if unknown := sorted(data.keys() - _FIELDS.keys()):
        raise unprocessable(f"Unknown fields: {', '.join(unknown)}.")
    return cast("SubscriptionChanges", {name: _FIELDS[name](value) for name, value in data.items()})


def _active(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise unprocessable("active must be a boolean.")


def _events(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise unprocessable("events must be an array of strings.")
    return tuple(_entry(entry) for entry in cast("list[object]", value))


def _entry(value: object) -> str:
    if isinstance(value, str) and (value == EVERYTHING or is_event_name(value)):
        return value
    raise unprocessable("An entry of events must be a subject, a subject:action, or *.")


def _url(value: object) -> str:
    if isinstance(value, str) and not _is_blank(value):
        return value
    raise unprocessable("url must be a string that is not blank.")


def _secret(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise unprocessable("secret must be a string or null.")


def _header(value: object) -> str | None:
    if value is None:
        return None
    parts = split_header(value) if isinstance(value, str) else None
    if not isinstance(value, str) or parts is None:
        raise unprocessable("header must be a string such as 'Name: Value', or null.")
    if parts[0].lower() in _RESERVED_HEADERS:
        raise unprocessable(f"header must not be {parts[0]}, which the service sets itself.")
    return value


_FIELDS: dict[str, Callable[[object], object]] = {
    "active": _active,
    "events": _events,
    "header": _header,
    "secret": _secret,
    "url": _url,
}
