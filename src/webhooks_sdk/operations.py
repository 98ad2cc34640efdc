"""The operations of the API, each declared once: what is sent, may it be sent twice, what comes.

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
"""Leaves a field of `update` as it is, which differs from None."""


class Safety(enum.Enum):
    """What sending an operation a second time does, in the terms of RFC 9110, section 9.2.

    It describes the operation, not its HTTP method: `update` is sent as a PATCH, which RFC 9110
    does not count among the idempotent methods, but setting the same fields twice has the effect
    of setting them once.
    """

    SAFE = "safe"
    """Changes nothing."""

    IDEMPOTENT = "idempotent"
    """Twice has the effect of once."""

    NON_IDEMPOTENT = "non-idempotent"
    """Twice has the effect twice, so an ambiguous failure is not retried by default."""


@frozen(kw_only=True)
class Operation(Generic[T]):
    """One request to the API and how to read its answer: data, which a client sends.

    Attributes:
        name: What errors and logs call it, such as `"redeliver"`.
        method: The HTTP method.
        path: The path and query below the URL of its endpoint.
        safety: What sending it twice would do, which decides about retries.
        success: The statuses that mean success.
        response_type: The type of the decoded answer, `NoneType` if it has no body.
        hook_id: The subscription that it names, if any.
        request_id: The event that it names, if any.
        content: The body of the request, None if it has none.
        content_type: The media type of that body.
        headers: Headers beyond those that every request has.
        endpoint: Whether it goes to the API, with an access token, or to the token endpoint.
        secrets: The credentials in it, which no error message may show.
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
        """Read the body of a successful answer.

        Raises:
            DecodeError: It is no JSON, or has another shape.
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
        InvalidArgumentError: `hook_id` is no UUID.
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
    """Create a subscription: `POST /hooks`; which 2xx it answers is undocumented: 200 or 201.

    The arguments are those of `client.hooks.create`.

    Raises:
        InvalidArgumentError: The API cannot take an argument.
    """
    given = {"url": url, "events": events, "active": active}
    given |= {} if secret is None else {"secret": secret}
    given |= {} if header is None else {"header": header}
    return Operation(
        name="create",
        method="POST",
        path="/hooks",
        safety=Safety.NON_IDEMPOTENT,
        success=frozenset({200, 201}),
        response_type=WebhookSubscription,
        content=_subscription_body(given),
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
    """Change the fields that are given: `PATCH /hooks/{hook_id}`, 200.

    The arguments are those of `client.hooks.update`.

    Raises:
        InvalidArgumentError: No field is given, or the API cannot take one.
    """
    hook = parse_id(hook_id, "hook_id")
    fields = {"url": url, "events": events, "active": active, "secret": secret, "header": header}
    given = {name: value for name, value in fields.items() if value is not UNSET}
    if not given:
        raise InvalidArgumentError(f"update needs at least one field of {', '.join(fields)}.")
    return Operation(
        name="update",
        method="PATCH",
        path=f"/hooks/{hook}",
        safety=Safety.IDEMPOTENT,
        success=frozenset({200}),
        response_type=WebhookSubscription,
        hook_id=hook,
        content=_subscription_body(given),
        secrets=_secrets(secret, header),
    )


def delete(hook_id: UUID | str) -> Operation[None]:
    """Delete a subscription: `DELETE /hooks/{hook_id}`, 204.

    Raises:
        InvalidArgumentError: `hook_id` is no UUID.
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
        InvalidArgumentError: `hook_id` is no UUID.
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
    """Send an event again: `POST /hooks/{hook_id}/requests/{request_id}/redeliver`, 200.

    Raises:
        InvalidArgumentError: `hook_id` or `request_id` is no UUID.
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


_LONG_WORD = 6  # longer than the name of most schemes of authentication


def _secrets(secret: str | None | Unset, header: str | None | Unset) -> tuple[str, ...]:
    given = [value for value in (secret, header) if isinstance(value, str)]
    if isinstance(header, str):
        # A server may echo the value without its name, or the credential without its scheme.
        value = header.partition(":")[2].strip()
        given += [value, *(word for word in value.split() if len(word) >= _LONG_WORD)]
    return tuple(given)


# A line end would begin another header at whoever writes it (RFC 9110, sections 5.1 and 5.5).
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*").fullmatch


def _subscription_body(given: dict[str, Any]) -> bytes:
    """Encode the fields of a subscription, once they are found to be ones the API can take."""
    if "url" in given and not (isinstance(given["url"], str) and given["url"].strip()):
        raise InvalidArgumentError("url must be a string that is not blank.")
    if "events" in given:
        given = given | {"events": _event_names(given["events"])}
    if not isinstance(given.get("active", False), bool):
        raise InvalidArgumentError(f"active must be True or False, not {given['active']!r}.")
    if given.get("active") and "events" in given and not given["events"]:
        raise InvalidArgumentError(
            "A subscription can be active only with at least one event: pass events, such as ['*']."
        )
    for name in ("secret", "header"):
        if not isinstance(given.get(name), str | None):
            raise InvalidArgumentError(f"{name} must be a string.")
    header = given.get("header")
    if header is not None and not _HEADER(header):
        raise InvalidArgumentError("header must be one HTTP header, as 'Name: Value'.")
    return json.dumps(given, separators=(",", ":")).encode()


def _event_names(events: object) -> builtins.list[str]:
    # A lone string is a sequence of strings too, one for each of its letters.
    if isinstance(events, str) or not isinstance(events, Sequence):
        raise InvalidArgumentError(
            f"events must be a list of event names, such as ['application_form'], not {events!r}."
        )
    names = builtins.list(cast("Sequence[object]", events))
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError(
                f"events must hold strings that are not blank, not {name!r}."
            )
    return cast("builtins.list[str]", names)
