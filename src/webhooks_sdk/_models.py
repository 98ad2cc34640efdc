"""What the API answers with: frozen, hashable, slotted nouns.

A field that the API adds later is kept in `extra`, at the level where it came.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, cast
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._codec import JSONObject, WrongValueError, structure, unstructure


class _Model:
    __slots__ = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Build the model from its wire shape, such as a parsed JSON object.

        Args:
            data: The object. Nothing is coerced: `"200"` is no integer. Timestamps are RFC 3339;
                without a zone they are UTC, and what is finer than a microsecond is cut.
                Unknown names go to `extra`.

        Raises:
            DecodeError: A field is missing or has another type; the message has its path.
        """
        # Whoever has no type checker may pass anything.
        is_object = isinstance(cast("object", data), Mapping)
        return structure(dict(data) if is_object else data, cls)

    def to_dict(self) -> JSONObject:
        """Return the JSON-ready wire shape, secrets included; `from_dict` reads it back."""
        return unstructure(self)


class HasEvent:
    """What its `event` says, a `subject:action` or a `subject`."""

    __slots__ = ()

    event: str

    @property
    def subject(self) -> str:
        """What the event is about, such as `"application_form"`."""
        return self.event.partition(":")[0]

    @property
    def action(self) -> str | None:
        """What happened to the subject, such as `"inactive"`; None if the event names no action."""
        return self.event.partition(":")[2] or None


def _names_only(extra: JSONObject) -> str:
    # What a later version of the API puts there may be a secret.
    return f"<{', '.join(map(str, extra))}>"


def _masked(value: str | None) -> str:
    return "None" if value is None else "'***'"


@frozen(kw_only=True)
class WebhookEvent(HasEvent, _Model):
    """One attempt to deliver an event to a subscription, as the service lists and redelivers it.

    Source: "Redeliver Webhook Event", developers.boldpenguin.com/docs/webhooks.

    Attributes:
        id: The event within its subscription: the `request_id` of `redeliver`.
        tenant_id: The tenant in which the event happened.
        delivery_id: This delivery attempt. One event can have several.
        event: What happened, as `subject:action`, such as `"application_form:inactive"`.
        enqueued_at: When the event was put in the queue. All datetimes are aware and in UTC, cut
            to microseconds.
        redelivery: Whether this attempt is a redelivery; always true in the answer to `redeliver`.
        hook_id: The subscription.
        created_at: When the service made this record.
        updated_at: When the service last changed it.
        response_status: The HTTP status with which the subscriber answered this attempt. None if
            it did not, or not yet: when exactly is undocumented.
        response_duration_ms: Milliseconds until that answer, None as above.
        extra: Fields that this version does not know, as parsed JSON. Not part of the hash.
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
        """Whether the subscriber answered this attempt with 2xx, which alone counts as success."""
        status = self.response_status
        return status is not None and 200 <= status < 300  # noqa: PLR2004

    @property
    def response_duration(self) -> timedelta | None:
        """How long the subscriber took to answer, None if it did not (or if that is unknown)."""
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
        url: Where the events are sent.
        secret: The key with which deliveries are signed, None if they are not.
        header: One static HTTP header, as `Name: Value`, sent with each delivery; None if there
            is none.
        extra: Fields that this version does not know, as parsed JSON. Not part of the hash.
    """

    url: str
    secret: str | None = field(default=None, repr=_masked)
    header: str | None = field(default=None, repr=_masked)
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)


def _as_tuple(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@frozen(kw_only=True)
class WebhookSubscription(_Model):
    """A subscription: which events are sent where.

    Source: developers.boldpenguin.com/docs/webhooks.

    Attributes:
        id: The subscription: the `hook_id` of every operation.
        active: Whether events are delivered to it.
        confirmed: Unused by the service: always false.
        events: What it receives, each a `subject`, a `subject:action`, or `*` for everything.
        config: Where and how its events are delivered.
        owner_id: Who owns it.
        tenant_id: The tenant that it belongs to.
        created_at: When it was created. All datetimes are aware and in UTC, cut to microseconds.
        updated_at: When it was last changed.
        extra: Fields that this version does not know, as parsed JSON. Not part of the hash.
    """

    id: UUID
    active: bool
    confirmed: bool
    events: tuple[str, ...] = field(converter=_as_tuple)
    config: SubscriptionConfig
    owner_id: UUID
    tenant_id: UUID
    created_at: datetime
    updated_at: datetime
    extra: JSONObject = field(factory=JSONObject, hash=False, repr=_names_only)


SENDABLE_TOKEN = re.compile(r"[\x21-\x7e]+").fullmatch


def _sendable(_: object, __: object, token: str) -> None:
    if not isinstance(cast("object", token), str) or not SENDABLE_TOKEN(token):
        raise WrongValueError("expected an access token of visible ASCII characters")


@frozen(kw_only=True)
class AccessToken(_Model):
    """What the token endpoint answers. `repr` masks the tokens, and it refuses to be pickled.

    Only `access_token` is required. Source: developers.boldpenguin.com/docs/api/authenticate.

    Attributes:
        access_token: The bearer token.
        token_type: `"bearer"`.
        expires_in: Seconds for which it is valid; None means until the service answers 401.
        refresh_token: Present, and of no use: the service has refreshing switched off.
        scope: An empty string.
        uid: Who the credentials belong to.
        info: More about them: `name`, `email` and others. Not part of the hash.
        extra: Fields that this version does not know, as parsed JSON. Not part of the hash.
    """

    access_token: str = field(repr=_masked, validator=_sendable)
    token_type: str | None = None
    expires_in: int | None = None
    refresh_token: str | None = field(default=None, repr=_masked)
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
            "An AccessToken cannot be pickled: it would put a credential on disk or wire."
        )
