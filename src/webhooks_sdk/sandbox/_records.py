"""The nouns of the sandbox, frozen; datetimes are aware and in UTC."""

from datetime import datetime
from uuid import UUID

from attrs import field, frozen


@frozen(kw_only=True)
class Subscription:
    """A subscription, as the service keeps it."""

    id: UUID
    active: bool
    events: tuple[str, ...]
    url: str
    secret: str | None = field(repr=False)
    header: str | None = field(repr=False)
    owner_id: UUID
    tenant_id: UUID
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True)
class Event:
    """An event of one subscription, with the body that every delivery of it sends."""

    id: UUID
    name: str
    body: bytes = field(repr=False)
    enqueued_at: datetime


@frozen(kw_only=True)
class DeliveryAttempt:
    """One attempt of the sandbox to deliver an event to a subscription.

    Attributes:
        event_id: The event within its subscription: the `request_id` of `redeliver`.
        delivery_id: This attempt.
        hook_id: The subscription.
        event: What happened, as `subject:action` or `subject`.
        redelivery: Whether the attempt was asked for with `redeliver`.
        enqueued_at: When the event was published.
        started_at: When the attempt began.
        finished_at: When it ended. None while it is under way.
        status: The HTTP status that the subscriber answered. None if it never did, or not yet.
        duration_ms: Milliseconds until that answer. None as above.
        error: Why there was no answer. None if there was one, or while there may still be one.
    """

    event_id: UUID
    delivery_id: UUID
    hook_id: UUID
    event: str
    redelivery: bool
    enqueued_at: datetime
    started_at: datetime
    finished_at: datetime | None = None
    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the subscriber answered 2xx, which alone counts as success."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


@frozen(kw_only=True)
class Outcome:
    """How sending a delivery ended: with an answer, or with an error."""

    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None


@frozen(kw_only=True)
class Address:
    """Where a subscription's URL leads."""

    host: str
    port: int
    secure: bool
    authority: str
    target: str


@frozen(kw_only=True)
class OutgoingRequest:
    """The HTTP POST that is a delivery."""

    address: Address
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class Delivery:
    """A delivery attempt that was begun, and what is to be sent for it.

    Attributes:
        position: The place of its attempt among all attempts.
        request: What to send; None if the subscription is in no state to receive.
    """

    position: int
    request: OutgoingRequest | None


@frozen(kw_only=True)
class ReceivedRequest:
    """One HTTP request that the sandbox received.

    Attributes:
        method: Such as `"POST"`.
        path: The path without the query string.
        status: The HTTP status of the answer; None while there is none.
        received_at: When its headers had come.
    """

    method: str
    path: str
    status: int | None
    received_at: datetime
