"""Declarations of the API's operations: the request, its retry safety and the response type.

These functions are pure. `client.hooks.redeliver(...)` sends the same declaration as
`client.send(operations.redeliver(...))`, which returns the status, headers and attempts as well.

Source of every operation: developers.boldpenguin.com/docs/webhooks.
"""

from __future__ import annotations

import builtins
import enum
import json
import re
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final, Generic, Literal, NewType, TypeVar, cast, get_origin
from urllib.parse import urlsplit
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import parse_id, parse_json, structure
from webhooks_sdk._models import WebhookEvent, WebhookSubscription
from webhooks_sdk._wire.event_names import event_name_problem
from webhooks_sdk._wire.redaction import MASK, short_repr
from webhooks_sdk.errors import InvalidArgumentError

__all__ = [
    "UNSET",
    "Operation",
    "Safety",
    "Unset",
    "create",
    "delete",
    "get",
    "list",
    "list_events",
    "redeliver",
    "update",
]

T = TypeVar("T")


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = enum.auto()

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Omits a field from the request, unlike None: `update` leaves the field unchanged."""


class Safety(enum.Enum):
    """Whether an operation can be sent twice, in the terms of RFC 9110, section 9.2.

    This describes the operation, not its HTTP method: PATCH is not an idempotent method in RFC
    9110, but `update` is idempotent, since setting the same fields twice has the effect of setting
    them once.
    """

    SAFE = "safe"
    """Read-only."""

    IDEMPOTENT = "idempotent"
    """Sending it twice has the same effect as sending it once."""

    NON_IDEMPOTENT = "non-idempotent"
    """Sending it twice has the effect twice: ambiguous failures are not retried by default."""


@frozen(kw_only=True)
class Operation(Generic[T]):
    """One request to the API and how to decode its response.

    Attributes:
        name: The name used in errors and logs, such as `"redeliver"`.
        method: The HTTP method, in upper case.
        path: The path and query, relative to the URL of its endpoint: empty, or beginning with
            `/` or `?`.
        safety: Whether it can be sent twice; this determines retries.
        success: The HTTP statuses that mean success, each from 100 to 599.
        response_type: The type of the decoded response, `NoneType` if it has no body.
        hook_id: The ID of the subscription in the request, if any.
        request_id: The ID of the event in the request, if any.
        content: The body of the request, None if it has none.
        content_type: The media type of that body.
        headers: Headers in addition to those of every request.
        endpoint: `"api"`, sent with an access token, or `"token"` for the token endpoint.
        secrets: The credentials in the request, masked in errors.

    Raises:
        InvalidArgumentError: A value has the wrong type or is not valid in a request.
    """

    name: str
    method: str
    path: str
    safety: Safety
    success: frozenset[int]
    response_type: type[T]
    hook_id: UUID | None = None
    request_id: UUID | None = None
    content: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    endpoint: Literal["api", "token"] = "api"
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        for name, (is_valid, expected) in _REQUIREMENTS.items():
            if not is_valid(getattr(self, name)):
                # The value is not quoted: most of these fields may contain a credential.
                raise InvalidArgumentError(f"{name} of an Operation must be {expected}.")

    def decode(self, body: bytes) -> T:
        """Decode the body of a successful response.

        Raises:
            DecodeError: The body is not JSON, or does not match `response_type`.
        """
        if self.response_type is NoneType:
            return cast("T", None)
        return structure(parse_json(body), self.response_type)


_FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_match_field_name = re.compile(_FIELD_NAME).fullmatch
# A line break would allow header injection (RFC 9110, sections 5.1 and 5.5).
_VISIBLE = r"[^\0- \x7f\ud800-\udfff]"
_match_field_value = re.compile(rf"(?:{_VISIBLE}+(?:[ \t]+{_VISIBLE}+)*)?").fullmatch
_match_method = re.compile(r"[A-Z]+(?:-[A-Z]+)*").fullmatch
# The path follows the host in the URL, so without a separator it could change the host.
_match_path = re.compile(r"(?:[/?][!-~]*)?").fullmatch


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_method(value: object) -> bool:
    return isinstance(value, str) and bool(_match_method(value))


def _is_type(value: object) -> bool:
    # An alias such as `list[int]` or `int | str` is not a class; neither is a `type` statement's.
    return (
        value is Any
        or isinstance(value, type | NewType)
        or get_origin(value) is not None
        or hasattr(value, "__value__")
    )


def _is_content_type(value: object) -> bool:
    return isinstance(value, str) and bool(_match_field_value(value))


def _is_path(value: object) -> bool:
    return isinstance(value, str) and bool(_match_path(value))


def _are_statuses(value: object) -> bool:
    return isinstance(value, frozenset) and all(
        isinstance(status, int) and 100 <= status <= 599  # noqa: PLR2004
        for status in cast("frozenset[object]", value)
    )


def _are_headers(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_header, cast("tuple[object, ...]", value)))


def _is_header(value: object) -> bool:
    match value:
        case (str(name), str(text)):
            return bool(_match_field_name(name) and _match_field_value(text))
        case _:
            return False


def _are_strings(value: object) -> bool:
    # Not just any iterable: a string would count as the secrets "a", "b", and so on.
    return isinstance(value, tuple) and all(
        isinstance(text, str) for text in cast("tuple[object, ...]", value)
    )


_REQUIREMENTS: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (_is_name, "a non-empty string"),
    "method": (_is_method, "an HTTP method in upper case, such as GET"),
    "path": (_is_path, "empty or begin with / or ?, in visible ASCII characters"),
    "safety": (lambda value: isinstance(value, Safety), "a member of Safety"),
    "success": (_are_statuses, "a frozenset of HTTP statuses from 100 to 599"),
    "response_type": (_is_type, "a type, NoneType if the response has no body"),
    "hook_id": (lambda value: isinstance(value, UUID | None), "a UUID or None"),
    "request_id": (lambda value: isinstance(value, UUID | None), "a UUID or None"),
    "content": (lambda value: isinstance(value, bytes | None), "bytes or None"),
    "content_type": (_is_content_type, "a string that is valid as a header value in HTTP"),
    "headers": (_are_headers, "a tuple of (name, value) pairs of strings that are valid in HTTP"),
    "endpoint": (lambda value: value in ("api", "token"), "'api' or 'token'"),
    "secrets": (_are_strings, "a tuple of strings"),
}


def list() -> Operation[builtins.list[WebhookSubscription]]:  # noqa: A001 - the API's word
    """List the tenant's subscriptions: `GET /hooks`, 200."""
    return Operation(
        name="list",
        method="GET",
        path="/hooks",
        safety=Safety.SAFE,
        success=frozenset({200}),
        response_type=builtins.list[WebhookSubscription],
    )


def get(hook_id: UUID | str) -> Operation[WebhookSubscription]:
    """Get one subscription: `GET /hooks/{hook_id}`, 200.

    Raises:
        InvalidArgumentError: `hook_id` is not a UUID.
    """
    hook = parse_id(hook_id, "hook_id")
    return Operation(
        name="get",
        method="GET",
        path=f"/hooks/{hook}",
        safety=Safety.SAFE,
        success=frozenset({200}),
        response_type=WebhookSubscription,
        hook_id=hook,
    )


def create(
    *,
    url: str,
    events: Sequence[str] = (),
    active: bool | Unset = UNSET,
    secret: str | None = None,
    header: str | None = None,
) -> Operation[WebhookSubscription]:
    """Create a subscription: `POST /hooks`, 200 or 201 (undocumented, so both are accepted).

    The arguments are those of `client.hooks.create`.

    Raises:
        InvalidArgumentError: An argument is invalid.
    """
    fields: dict[str, Any] = {"url": url, "events": events}
    fields |= {} if active is UNSET else {"active": active}
    fields |= {} if secret is None else {"secret": secret}
    fields |= {} if header is None else {"header": header}
    return Operation(
        name="create",
        method="POST",
        path="/hooks",
        safety=Safety.NON_IDEMPOTENT,
        success=frozenset({200, 201}),
        response_type=WebhookSubscription,
        content=_encode_subscription(fields),
        secrets=_secrets(secret, header),
    )


def update(
    hook_id: UUID | str,
    *,
    url: str | Unset = UNSET,
    events: Sequence[str] | Unset = UNSET,
    active: bool | Unset = UNSET,
    secret: str | None | Unset = UNSET,
    header: str | None | Unset = UNSET,
) -> Operation[WebhookSubscription]:
    """Update the fields that are passed: `PATCH /hooks/{hook_id}`, 200.

    The arguments are those of `client.hooks.update`.

    Raises:
        InvalidArgumentError: No field is passed, or an argument is invalid.
    """
    hook = parse_id(hook_id, "hook_id")
    fields = {"url": url, "events": events, "active": active, "secret": secret, "header": header}
    changes = {name: value for name, value in fields.items() if value is not UNSET}
    if not changes:
        raise InvalidArgumentError(f"update requires at least one of {', '.join(fields)}.")
    return Operation(
        name="update",
        method="PATCH",
        path=f"/hooks/{hook}",
        safety=Safety.IDEMPOTENT,
        success=frozenset({200}),
        response_type=WebhookSubscription,
        hook_id=hook,
        # Names with a dot are accepted: they may come from the subscription being updated.
        content=_encode_subscription(changes, allow_dots=True),
        secrets=_secrets(secret, header),
    )


def delete(hook_id: UUID | str) -> Operation[None]:
    """Delete a subscription: `DELETE /hooks/{hook_id}`, 204.

    Raises:
        InvalidArgumentError: `hook_id` is not a UUID.
    """
    hook = parse_id(hook_id, "hook_id")
    return Operation(
        name="delete",
        method="DELETE",
        path=f"/hooks/{hook}",
        safety=Safety.IDEMPOTENT,
        success=frozenset({204}),
        response_type=NoneType,
        hook_id=hook,
    )


def list_events(hook_id: UUID | str) -> Operation[builtins.list[WebhookEvent]]:
    """List the recent delivery attempts of a subscription: `GET /hooks/{hook_id}/requests`, 200.

    Raises:
        InvalidArgumentError: `hook_id` is not a UUID.
    """
    hook = parse_id(hook_id, "hook_id")
    return Operation(
        name="list_events",
        method="GET",
        path=f"/hooks/{hook}/requests",
        safety=Safety.SAFE,
        success=frozenset({200}),
        response_type=builtins.list[WebhookEvent],
        hook_id=hook,
    )


def redeliver(hook_id: UUID | str, request_id: UUID | str) -> Operation[WebhookEvent]:
    """Redeliver an event: `POST /hooks/{hook_id}/requests/{request_id}/redeliver`, 200.

    Raises:
        InvalidArgumentError: `hook_id` or `request_id` is not a UUID.
    """
    hook, request = parse_id(hook_id, "hook_id"), parse_id(request_id, "request_id")
    return Operation(
        name="redeliver",
        method="POST",
        path=f"/hooks/{hook}/requests/{request}/redeliver",
        safety=Safety.NON_IDEMPOTENT,
        success=frozenset({200}),
        response_type=WebhookEvent,
        hook_id=hook,
        request_id=request,
    )


_MIN_CREDENTIAL_LENGTH = 6  # longer than the names of most authentication schemes


def _secrets(secret: str | None | Unset, header: str | None | Unset) -> tuple[str, ...]:
    secrets = [value for value in (secret, header) if isinstance(value, str)]
    if isinstance(header, str):
        # A server may echo the value without its name, or the credential without its scheme.
        value = header.partition(":")[2].strip()
        secrets += [value, *(word for word in value.split() if len(word) >= _MIN_CREDENTIAL_LENGTH)]
    return tuple(secrets)


_match_header = re.compile(_FIELD_NAME + r":[^\r\n\0]*").fullmatch

_match_url = re.compile(r"https?://[^\s\0-\x1f\x7f]+", re.IGNORECASE).fullmatch


def _encode_subscription(fields: dict[str, Any], *, allow_dots: bool = False) -> bytes:
    """Validate the fields of a subscription and encode them as JSON.

    Args:
        fields: The fields to send.
        allow_dots: Whether to accept event names with a dot and no colon.
    """
    if "url" in fields:
        _validate_url(fields["url"])
    if "events" in fields:
        fields = fields | {"events": _validate_events(fields["events"], allow_dots=allow_dots)}
    if not isinstance(fields.get("active", False), bool):
        raise InvalidArgumentError(
            f"active must be True or False, got {short_repr(fields['active'])}."
        )
    if fields.get("active") and "events" in fields and not fields["events"]:
        raise InvalidArgumentError(
            "An active subscription requires at least one event: pass events, such as ['*']."
        )
    for name in ("secret", "header"):
        if not isinstance(fields.get(name), str | None):
            raise InvalidArgumentError(f"{name} must be a string.")
    header = fields.get("header")
    if header is not None and not _match_header(header):
        raise InvalidArgumentError("header must be one HTTP header, as 'Name: Value'.")
    return json.dumps(fields, separators=(",", ":")).encode()


def _validate_url(url: object) -> None:
    if not isinstance(url, str) or not _is_http_url(url):
        raise InvalidArgumentError(
            "url must be an http or https URL with a host, such as"
            f" 'https://subscriber.example/hooks', got {short_repr(_without_credentials(url))}."
        )


def _is_http_url(url: str) -> bool:
    if not _match_url(url):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        return False


def _without_credentials(url: object) -> object:
    """Return a URL without its query and with its user name and password masked."""
    if not isinstance(url, str):
        return url
    # An unescaped password can contain any of `?#/@`, so it ends at the last `@`.
    userinfo, at, rest = url.rpartition("@")
    return (MASK if userinfo else "") + at + re.split("[?#]", rest, maxsplit=1)[0]


def _validate_events(events: object, *, allow_dots: bool) -> builtins.list[str]:
    # A string is a sequence of strings too.
    if isinstance(events, str) or not isinstance(events, Sequence):
        raise InvalidArgumentError(
            "events must be a list of event names, such as ['application_form'],"
            f" got {short_repr(events)}."
        )
    names = builtins.list(cast("Sequence[str]", events))
    for index, name in enumerate(names):
        if problem := event_name_problem(name, wildcard=True, allow_dots=allow_dots):
            raise InvalidArgumentError(f"events[{index}] {problem}")
    return names
