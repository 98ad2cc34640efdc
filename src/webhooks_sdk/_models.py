"""The models returned by the API: frozen, hashable and slotted.

Unknown fields, such as those the API adds later, are kept in `extra` at the level they appear.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, cast
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import InvalidValueError, JSONObject, structure, unstructure
from webhooks_sdk._wire.redaction import short_repr


class _Model:
    __slots__ = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Build the model from a parsed JSON object.

        Args:
            data: The object. Nothing is coerced: `"200"` is not an integer. Timestamps are RFC
                3339; a missing offset means UTC, and fractions are truncated to microseconds.
                Unknown fields go to `extra`.

        Raises:
            DecodeError: A field is missing or has the wrong type. The message has its path.
        """
        # Untyped callers may pass something else.
        is_object = isinstance(cast("object", data), Mapping)
        return structure(dict(data) if is_object else data, cls)

    def to_dict(self) -> JSONObject:
        """Return a JSON-ready dict, secrets included. `from_dict` is the inverse."""
        return unstructure(self)


class EventNameMixin:
    """Splits an `event` of the form `subject:action` or `subject`."""

    __slots__ = ()

    event: str

    @property
    def subject(self) -> str:
        """The subject of the event, such as `"application_form"`."""
        return self.event.partition(":")[0]

    @property
    def action(self) -> str | None:
        """The action on the subject, such as `"inactive"`; None if the event has no action."""
        return self.event.partition(":")[2] or None


def _names_only(extra: JSONObject) -> str:
    # Values are hidden: a field of a later version of the API may be a secret.
    return f"<{', '.join(map(str, extra))}>"


def _mask(value: str | None) -> str:
    return "None" if value is None else "'***'"


@frozen(kw_only=True)
class WebhookEvent(EventNameMixin, _Model):
    """A delivery attempt of an event, as returned by `list_events` and `redeliver`.

    Source: "Redeliver Webhook Event", developers.boldpenguin.com/docs/webhooks.

    Attributes:
        id: The ID of the event within its subscription: the `request_id` of `redeliver`.
        tenant_id: The ID of the tenant in which the event occurred.
        delivery_id: The ID of this delivery attempt. An event can have several.
        event: The name of the event, as `subject:action`, such as `"application_form:inactive"`.
        enqueued_at: When the event was enqueued. All datetimes are aware, in UTC and truncated to
            microseconds.
        redelivery: Whether this attempt is a redelivery; always true in the response of
            `redeliver`.
        hook_id: The ID of the subscription.
        created_at: When the service created this record.
        updated_at: When the service last updated it.
        response_status: The HTTP status of the subscriber's response to this attempt. None if it
            has not responded; the exact conditions are undocumented.
        response_duration_ms: The milliseconds until that response, None if there was none.
        extra: Unknown fields, as parsed JSON. Not part of the hash.
    """

    id: UUID
    tenant_id: UUID
    delivery_id: UUID
    event: str
    enqueued_at: datetime
    redelivery: bool
    hook_id: UUID
    created_at: datetime
    updated_at: datetime
    response_status: int | None = None
    response_duration_ms: int | None = None
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)

    @property
    def delivered(self) -> bool:
        """Whether the subscriber responded to this attempt with 2xx, the only success."""
        status = self.response_status
        return status is not None and 200 <= status < 300  # noqa: PLR2004

    @property
    def response_duration(self) -> timedelta | None:
        """The time the subscriber took to respond, None if it did not or the time is unknown."""
        if self.response_duration_ms is None:
            return None
        try:
            return timedelta(milliseconds=self.response_duration_ms)
        except OverflowError:
            return timedelta.max if self.response_duration_ms > 0 else timedelta.min


@frozen(kw_only=True)
class SubscriptionConfig(_Model):
    """Where and how a subscription's events are delivered. `repr` masks `secret` and `header`.

    Source: developers.boldpenguin.com/docs/webhooks.

    Attributes:
        url: The URL that events are sent to.
        secret: The key that signs deliveries, None if they are not signed.
        header: A static HTTP header sent with each delivery, as `Name: Value`; None if there is
            none.
        extra: Unknown fields, as parsed JSON. Not part of the hash.
    """

    url: str
    secret: str | None = field(default=None, repr=_mask)
    header: str | None = field(default=None, repr=_mask)
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)


def _to_tuple(events: Iterable[str]) -> tuple[str, ...]:
    # A string is an iterable of strings too. What the API returns is checked by `structure`.
    if isinstance(events, str):
        raise TypeError(f"events must be a list of event names, got {short_repr(events)}.")
    return tuple(events)


@frozen(kw_only=True)
class WebhookSubscription(_Model):
    """A subscription: which events are sent to which URL.

    Source: developers.boldpenguin.com/docs/webhooks.

    Attributes:
        id: The ID of the subscription: the `hook_id` of every operation.
        active: Whether events are delivered to it.
        confirmed: Always false; the service does not use it.
        events: The events it receives, each a `subject`, a `subject:action`, or `*` for all.
        config: Where and how its events are delivered.
        owner_id: The ID of its owner.
        tenant_id: The ID of the tenant it belongs to.
        created_at: When it was created. All datetimes are aware, in UTC and truncated to
            microseconds.
        updated_at: When it was last updated.
        extra: Unknown fields, as parsed JSON. Not part of the hash.
    """

    id: UUID
    active: bool
    confirmed: bool
    events: tuple[str, ...] = field(converter=_to_tuple)
    config: SubscriptionConfig
    owner_id: UUID
    tenant_id: UUID
    created_at: datetime
    updated_at: datetime
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)


_match_token = re.compile(r"[\x21-\x7e]+").fullmatch
_match_scheme = re.compile(r"\s*(?:authorization\s*:\s*)?bearer\s", re.IGNORECASE).match


def token_problem(token: object) -> str | None:
    """Return why a value cannot be sent as an access token, or None if it can.

    The problem, such as `"got an empty string"`, does not quote the value.
    """
    if not isinstance(token, str):
        return f"got {type(token).__name__}"
    if not token:
        return "got an empty string"
    if _match_scheme(token):
        return "got one that begins with 'Bearer ': pass only the token that follows"
    return (
        None
        if _match_token(token)
        else "got a string with spaces, line breaks or other invalid characters"
    )


def _validate_token(_: object, __: object, token: str) -> None:
    if problem := token_problem(token):
        raise InvalidValueError(f"expected an access token of visible ASCII characters, {problem}")


@frozen(kw_only=True)
class AccessToken(_Model):
    """The response of the token endpoint. `repr` masks the tokens; pickling raises TypeError.

    Only `access_token` is required. Source: developers.boldpenguin.com/docs/api/authenticate.

    Attributes:
        access_token: The bearer token.
        token_type: `"bearer"`.
        expires_in: The lifetime in seconds; None means until the service responds with 401. Less
            than 0 counts as 0, and more than 1,000,000,000 (about 30 years) as that.
        refresh_token: Unusable: the service has token refresh disabled.
        scope: An empty string.
        uid: The ID of the owner of the credentials.
        info: Details of the owner, such as `name` and `email`. Not part of the hash.
        extra: Unknown fields, as parsed JSON. Not part of the hash.
    """

    access_token: str = field(repr=_mask, validator=_validate_token)
    token_type: str | None = None
    expires_in: int | None = None
    refresh_token: str | None = field(default=None, repr=_mask)
    scope: str | None = None
    uid: str | None = None
    info: JSONObject | None = field(default=None, hash=False, repr=False)
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self).from_dict(deepcopy(self.to_dict(), memo))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "An AccessToken cannot be pickled, because the pickle would contain a credential."
        )
