"""The nouns of the sandbox, frozen; datetimes are aware and in UTC."""

import math
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from attrs import field, frozen

from webhooks_sdk._receiving.signing import SIGNATURE_HEADER

EnvironmentName: TypeAlias = Literal["production", "staging"]


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
class Account:
    """Who a tenant is.

    Attributes:
        number: Its number in the database; the sandbox's own tenant has the lowest.
        id: The `tenant_id` of its subscriptions and events.
        owner_id: The `owner_id` of its subscriptions.
        environment: The environment in which its tokens are valid.
        client_id: The client id with which it asks for tokens.
        client_secret: The secret that belongs to it.
    """

    number: int
    id: UUID
    owner_id: UUID
    environment: EnvironmentName
    client_id: str
    client_secret: str = field(repr=False)


@frozen(kw_only=True)
class Event:
    """An event of one subscription, with the body that every delivery of it sends."""

    id: UUID
    name: str
    body: bytes = field(repr=False)
    enqueued_at: datetime


@frozen(kw_only=True)
class KnownEvent:
    """An event in the database.

    Attributes:
        number: Its number there.
        hook_id: Its subscription.
        attempts: How many attempts were made so far, of every kind.
        retry: The number of the retry that is pending, or was the last; 0 if there was none.
        event: What is sent.
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
        position: Its place among all attempts of the sandbox: of two, the later one has the higher.
        event_id: The event within its subscription: the `request_id` of `redeliver`.
        delivery_id: This attempt.
        hook_id: The subscription.
        event: What happened, as `subject:action` or `subject`.
        number: Which of the event's attempts it is, of every kind: 1 for the first.
        retry: Which of its automatic retries it is, 0 for the first attempt; None for a redelivery.
        enqueued_at: When the event was published, by the clock of the tenant.
        started_at: When the attempt began, by the same clock.
        finished_at: When it ended. None while it is under way.
        url: Where it was sent.
        request_headers: The headers that were sent. None were if the subscription was inactive or
            its URL none to deliver to: then nothing was sent at all.
        status: The HTTP status that the subscriber answered. None if it never did, or not yet.
        duration_ms: Milliseconds until that answer, in real time. None as above.
        error: Why there was no answer. None if there was one, or while there may still be one.
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

    @property
    def redelivery(self) -> bool:
        """Whether the attempt was asked for with `redeliver`."""
        return self.retry is None

    @property
    def signature(self) -> str | None:
        """The signature that was sent; None if the subscription had no secret."""
        return next(
            (value for name, value in self.request_headers if name == SIGNATURE_HEADER), None
        )

    @property
    def failure(self) -> str | None:
        """Why it failed, in words. None if it was delivered, or is under way."""
        if self.error is not None or self.status is None:
            return self.error
        return None if self.delivered else f"the subscriber answered {self.status}"

    @property
    def delivered(self) -> bool:
        """Whether the subscriber answered 2xx, which alone counts as success."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


@frozen(kw_only=True)
class Timeouts:
    """How long a delivery waits for its subscriber.

    Attributes:
        connect: Seconds within which the connection must open.
        answer: Seconds within which the whole answer must then come.
    """

    connect: float = 5.0
    answer: float = 60.0

    def __attrs_post_init__(self) -> None:
        for name, seconds in (("connect_timeout", self.connect), ("answer_timeout", self.answer)):
            if not 0 < seconds < math.inf:
                raise ValueError(f"{name} must be a number of seconds, above 0, not {seconds!r}.")


DEFAULT_TIMEOUTS = Timeouts()


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
        attempt: The attempt, as it begins.
        event_number: The number of its event in the database.
        request: What to send; None if the subscription is in no state to receive.
    """

    attempt: DeliveryAttempt
    event_number: int
    request: OutgoingRequest | None


@frozen(kw_only=True)
class PendingRetry:
    """An automatic retry that is still to come.

    Attributes:
        event_id: The event.
        hook_id: Its subscription.
        event: What happened, as `subject:action` or `subject`.
        retry: Which retry it is: 1 to 25.
        due_at: When, by the clock of the tenant.
    """

    event_id: UUID
    hook_id: UUID
    event: str
    retry: int
    due_at: datetime


@frozen(kw_only=True)
class AttemptsPage:
    """Some of the attempts of a tenant, newest first.

    Attributes:
        attempts: The attempts.
        next_before: What to give as `before` for the page that follows; None if this is the last.
    """

    attempts: tuple[DeliveryAttempt, ...]
    next_before: int | None


@frozen(kw_only=True)
class AttemptCount:
    """How many attempts began in a span of time.

    Attributes:
        start: When the span begins, by the clock of the tenant.
        delivered: How many were delivered.
        failed: How many failed.
        under_way: How many have not ended.
    """

    start: datetime
    delivered: int
    failed: int
    under_way: int


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
