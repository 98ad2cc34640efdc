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
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final, Generic, Literal, TypeVar, cast
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import parse_id, parse_json, structure
from webhooks_sdk._models import WebhookEvent, WebhookSubscription
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
"""Leaves a field of `update` unchanged, unlike None."""


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
        method: The HTTP method.
        path: The path and query, relative to the URL of its endpoint.
        safety: Whether it can be sent twice; this determines retries.
        success: The HTTP statuses that mean success.
        response_type: The type of the decoded response, `NoneType` if it has no body.
        hook_id: The ID of the subscription in the request, if any.
        request_id: The ID of the event in the request, if any.
        content: The body of the request, None if it has none.
        content_type: The media type of that body.
        headers: Headers in addition to those of every request.
        endpoint: `"api"`, sent with an access token, or `"token"` for the token endpoint.
        secrets: The credentials in the request, masked in errors.
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

    def decode(self, body: bytes) -> T:
        """Decode the body of a successful response.

        Raises:
            DecodeError: The body is not JSON, or does not match `response_type`.
        """
        if self.response_type is NoneType:
            return cast("T", None)
        return structure(parse_json(body), self.response_type)


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
    active: bool = False,
    secret: str | None = None,
    header: str | None = None,
) -> Operation[WebhookSubscription]:
    """Create a subscription: `POST /hooks`, 200 or 201 (undocumented, so both are accepted).

    The arguments are those of `client.hooks.create`.

    Raises:
        InvalidArgumentError: An argument is invalid.
    """
    fields = {"url": url, "events": events, "active": active}
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
        content=_encode_subscription(changes),
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
    """List a subscription's recent events: `GET /hooks/{hook_id}/requests`, 200.

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


# A line break would allow header injection (RFC 9110, sections 5.1 and 5.5).
_match_header = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*").fullmatch


def _encode_subscription(fields: dict[str, Any]) -> bytes:
    """Validate the fields of a subscription and encode them as JSON."""
    if "url" in fields and not (isinstance(fields["url"], str) and fields["url"].strip()):
        raise InvalidArgumentError("url must be a non-blank string.")
    if "events" in fields:
        fields = fields | {"events": _validate_events(fields["events"])}
    if not isinstance(fields.get("active", False), bool):
        raise InvalidArgumentError(f"active must be True or False, got {fields['active']!r}.")
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


def _validate_events(events: object) -> builtins.list[str]:
    # A string is a sequence of strings too.
    if isinstance(events, str) or not isinstance(events, Sequence):
        raise InvalidArgumentError(
            f"events must be a list of event names, such as ['application_form'], got {events!r}."
        )
    names = builtins.list(cast("Sequence[object]", events))
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError(f"events must contain non-blank strings, got {name!r}.")
    return cast("builtins.list[str]", names)
