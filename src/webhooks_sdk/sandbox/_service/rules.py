"""Validation of create and update bodies, and matching of events to subscriptions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn, TypedDict, cast

from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from webhooks_sdk.sandbox._service.errors import bad_request, unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WILDCARD = "*"

_WORD = "[A-Za-z0-9_.-]+"
_match_event_name = re.compile(f"{_WORD}(?::{_WORD})?").fullmatch
_match_header = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>(?:[!-~\x80-\xff][ \t]*)*)"
).fullmatch

# White space in Python or in JavaScript, whose regular expressions JSON Schema uses.
_match_blank = re.compile(r"[\s\ufeff]*").fullmatch

# Headers that the service sets itself, or that would break the framing of the request.
_RESERVED_HEADERS = frozenset(
    name.lower()
    for name in (
        *("Host", "User-Agent", "Content-Type"),
        *("Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect"),
        *(EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER),
    )
)


class SubscriptionChanges(TypedDict, total=False):
    """The fields of a subscription that a request sets."""

    active: bool
    events: tuple[str, ...]
    header: str | None
    secret: str | None
    url: str


def matches(entries: Iterable[str], event: str) -> bool:
    """Return whether any of a subscription's `events` entries matches the event.

    An entry is a subject (matches all its actions), a `subject:action`, or the wildcard `*`.
    """
    subject = event.partition(":")[0]
    return any(entry in (WILDCARD, subject, event) for entry in entries)


def split_header(header: str) -> tuple[str, str] | None:
    """Return name and value of a `Name: Value` header; None if it is malformed."""
    match = _match_header(header)
    return None if match is None else (match["name"], match["value"].rstrip())


def read_json(body: bytes) -> object:
    """Parse the body of a request as JSON.

    Raises:
        RequestRefusedError: 400, the body is not valid JSON.
    """
    try:
        data: object = json.loads(body.decode(), parse_constant=_reject_constant)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        # Includes UnicodeEncodeError: a lone surrogate could be stored but never sent.
        raise bad_request("The body is not valid JSON.") from None
    return data


def read_object(body: bytes) -> dict[str, object]:
    """Parse the body of a request as a JSON object.

    Raises:
        RequestRefusedError: 400, the body is not a JSON object.
    """
    data = read_json(body)
    if not isinstance(data, dict):
        raise bad_request("The body must be a JSON object.")
    return cast("dict[str, object]", data)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def read_changes(data: dict[str, object]) -> SubscriptionChanges:
    """Validate the fields of a create or update.

    Raises:
        RequestRefusedError: 422, a field is unknown, has the wrong type, or has an invalid value.
    """
    if unknown := sorted(data.keys() - _FIELDS.keys()):
        raise unprocessable(f"Unknown fields: {', '.join(unknown)}.")
    return cast("SubscriptionChanges", {name: _FIELDS[name](value) for name, value in data.items()})


def _parse_active(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise unprocessable("active must be a boolean.")


def _parse_events(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise unprocessable("events must be an array of strings.")
    return tuple(_parse_entry(entry) for entry in cast("list[object]", value))


def _parse_entry(value: object) -> str:
    if isinstance(value, str) and (value == WILDCARD or _match_event_name(value)):
        return value
    raise unprocessable("Each entry of events must be a subject, a subject:action or *.")


def _parse_url(value: object) -> str:
    if isinstance(value, str) and not _match_blank(value):
        return value
    raise unprocessable("url must be a non-blank string.")


def _parse_secret(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise unprocessable("secret must be a string or null.")


def _parse_header(value: object) -> str | None:
    if value is None:
        return None
    parts = split_header(value) if isinstance(value, str) else None
    if not isinstance(value, str) or parts is None:
        raise unprocessable("header must be a string such as 'Name: Value', or null.")
    if parts[0].lower() in _RESERVED_HEADERS:
        raise unprocessable(f"header must not be {parts[0]}: the service sets it.")
    return value


_FIELDS: dict[str, Callable[[object], object]] = {
    "active": _parse_active,
    "events": _parse_events,
    "header": _parse_header,
    "secret": _parse_secret,
    "url": _parse_url,
}
