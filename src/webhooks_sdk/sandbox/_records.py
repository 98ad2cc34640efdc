"""Immutable models of the sandbox. All datetimes are aware and in UTC."""

from codecs import getincrementaldecoder
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._core.validation import check_seconds
from webhooks_sdk._receiving.signing import SIGNATURE_HEADER

EnvironmentName: TypeAlias = Literal["production", "staging"]


@frozen(kw_only=True)
class Subscription:
    """A subscription of a tenant.

    Attributes:
        id: Its ID.
        active: Whether it receives deliveries.
        events: The events that it receives: subjects, `subject:action` names, or `*` for all.
        url: The URL that deliveries are sent to.
        secret: The secret that signs deliveries; None if they are not signed.
        header: A static header of deliveries, as `Name: Value`; None if there is none.
        owner_id: The ID of its owner.
        tenant_id: The ID of its tenant.
        created_at: When it was created, by the clock of the tenant.
        updated_at: When it was last changed, by the clock of the tenant.
    """

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
class Account:
    """The identity and credentials of a tenant.

    Attributes:
        number: Its number in the database; the first tenant has the lowest.
        id: The `tenant_id` of its subscriptions and events.
        owner_id: The `owner_id` of its subscriptions.
        environment: The environment in which its tokens are valid.
        client_id: The client ID.
        client_secret: The client secret.
    """

    number: int
    id: UUID
    owner_id: UUID
    environment: EnvironmentName
    client_id: str
    client_secret: str = field(repr=False)


@frozen(kw_only=True)
class Event:
    """An event of one subscription, with the body of its deliveries."""

    id: UUID
    name: str
    body: bytes = field(repr=False)
    enqueued_at: datetime


@frozen(kw_only=True)
class StoredEvent:
    """An event in the database.

    Attributes:
        number: Its number in the database.
        hook_id: The ID of its subscription.
        attempts: The number of attempts so far, of any kind.
        retry: The number of the pending or last retry; 0 if there was none.
        event: The event.
    """

    number: int
    hook_id: UUID
    attempts: int
    retry: int
    event: Event


@frozen(kw_only=True)
class DeliveryAttempt:
    """One attempt of the sandbox to deliver an event to a subscription.

    Attributes:
        position: Its position among all attempts of the sandbox; later attempts have higher ones.
        event_id: The ID of the event in its subscription: the `request_id` of `redeliver`.
        delivery_id: The ID of this attempt.
        hook_id: The ID of the subscription.
        event: The name of the event: `subject:action` or `subject`.
        number: The number of this attempt among all attempts of the event, from 1.
        retry: The number of the automatic retry, 0 for the first attempt; None for a redelivery.
        enqueued_at: When the event was published, by the clock of the tenant.
        started_at: When the attempt started, by the clock of the tenant.
        finished_at: When the attempt ended, by the clock of the tenant; None while it is in flight.
        url: The URL that it was sent to.
        request_headers: The headers that were sent; empty if no request was sent because the
            subscription was inactive or its URL invalid.
        status: The HTTP status of the subscriber's response; None if there was none, or not yet.
        duration_ms: Milliseconds until that response, in real time; None if there was none.
        error: Why there was no response; None if there was one, or while there may still be one.
        response_content_type: The `Content-Type` of the response, of which 200 characters are kept;
            None if it has none, or there is no response.
        response_body: The first 2,048 bytes of the body of the response; None without a response,
            or if the sandbox that received it was too old to keep it.
        response_size: The size of that body in bytes; None as for `response_body`.
    """

    position: int
    event_id: UUID
    delivery_id: UUID
    hook_id: UUID
    event: str
    number: int
    retry: int | None
    enqueued_at: datetime
    started_at: datetime
    finished_at: datetime | None = None
    url: str
    request_headers: tuple[tuple[str, str], ...] = field(repr=False)
    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    response_content_type: str | None = None
    response_body: bytes | None = field(default=None, repr=False)
    response_size: int | None = None

    @property
    def redelivery(self) -> bool:
        """Whether the attempt was requested with `redeliver`."""
        return self.retry is None

    @property
    def signature(self) -> str | None:
        """The signature that was sent; None if there was none."""
        return next(
            (value for name, value in self.request_headers if name == SIGNATURE_HEADER), None
        )

    @property
    def response_text(self) -> str | None:
        """The text of `response_body`, in which bytes that are not UTF-8 are escaped."""
        body, size = self.response_body, self.response_size
        if body is None or size is None:
            return None
        # Unless the body is complete, the last character can be cut: leave it out.
        return getincrementaldecoder("utf-8")("backslashreplace").decode(body, len(body) == size)

    @property
    def failure(self) -> str | None:
        """Why the attempt failed; None if it was delivered or is in flight."""
        if self.error is not None or self.status is None:
            return self.error
        return None if self.delivered else f"the subscriber returned {self.status}"

    @property
    def delivered(self) -> bool:
        """Whether the subscriber returned a 2xx status. Any other status is a failure."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


@frozen(kw_only=True)
class Timeouts:
    """The timeouts of deliveries.

    Attributes:
        connect: Seconds to open the connection.
        response: Seconds from the opened connection to the end of the response.
    """

    connect: float = 5.0
    response: float = 60.0

    def __attrs_post_init__(self) -> None:
        for name, seconds in (
            ("connect_timeout", self.connect),
            ("response_timeout", self.response),
        ):
            check_seconds(name, seconds, error_class=ValueError)


DEFAULT_TIMEOUTS = Timeouts()


@frozen(kw_only=True)
class DeliveryResult:
    """The result of sending a delivery: a response, or an error.

    Attributes:
        status: The HTTP status of the response; None if there was none.
        duration_ms: Milliseconds until the response; None if there was none.
        error: Why there was no response; None if there was one.
        response_content_type: As in `DeliveryAttempt`.
        response_body: As in `DeliveryAttempt`.
        response_size: As in `DeliveryAttempt`.
    """

    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    response_content_type: str | None = None
    response_body: bytes | None = field(default=None, repr=False)
    response_size: int | None = None


@frozen(kw_only=True)
class Address:
    """The parsed URL of a subscription."""

    host: str
    port: int
    secure: bool
    authority: str
    target: str


@frozen(kw_only=True)
class OutgoingRequest:
    """The HTTP request of a delivery."""

    address: Address
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class StartedDelivery:
    """A delivery attempt that has started, and the request to send.

    Attributes:
        attempt: The attempt, as it started.
        event_number: The number of its event in the database.
        request: The request; None if the subscription cannot receive.
    """

    attempt: DeliveryAttempt
    event_number: int
    request: OutgoingRequest | None


@frozen(kw_only=True)
class PendingRetry:
    """An automatic retry that is pending.

    Attributes:
        event_id: The ID of the event.
        hook_id: The ID of its subscription.
        event: The name of the event: `subject:action` or `subject`.
        retry: The number of the retry, 1 to 25.
        due_at: When it is due, by the clock of the tenant.
    """

    event_id: UUID
    hook_id: UUID
    event: str
    retry: int
    due_at: datetime


@frozen(kw_only=True)
class AttemptPage:
    """A page of the attempts of a tenant, newest first.

    Attributes:
        attempts: The attempts.
        next_before: The `before` argument for the next page; None if this is the last.
    """

    attempts: tuple[DeliveryAttempt, ...]
    next_before: int | None


@frozen(kw_only=True)
class AttemptCount:
    """The number of attempts that started in a time span.

    Attributes:
        start: The start of the span, by the clock of the tenant.
        delivered: The number of delivered attempts.
        failed: The number of failed attempts.
        in_flight: The number of attempts in flight.
    """

    start: datetime
    delivered: int
    failed: int
    in_flight: int


@frozen(kw_only=True)
class ReceivedRequest:
    """One HTTP request that the sandbox received.

    Attributes:
        method: The method, such as `"POST"`.
        path: The path without the query string.
        status: The HTTP status of the response; None while there is none.
        received_at: When its headers were received, by the clock of the tenant.
    """

    method: str
    path: str
    status: int | None
    received_at: datetime
