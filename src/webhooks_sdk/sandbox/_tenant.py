"""A tenant of the sandbox: the public API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, cast
from uuid import UUID

from attrs import evolve

from webhooks_sdk._wire.event_names import event_name_problem
from webhooks_sdk.sandbox._http.faults import Fault
from webhooks_sdk.sandbox._records import (
    AttemptCount,
    AttemptPage,
    DeliveryAttempt,
    EnvironmentName,
    PendingRetry,
    ReceivedRequest,
    Subscription,
)
from webhooks_sdk.sandbox._runtime import Runtime
from webhooks_sdk.sandbox._service.change_signal import ChangeSignal
from webhooks_sdk.sandbox._service.routes import PREFIXES, TOKEN_PATH
from webhooks_sdk.sandbox._service.service import Service
from webhooks_sdk.sandbox._storage.attempts import AttemptFilter, AttemptQueries, AttemptState
from webhooks_sdk.sandbox._variants import Variants, VariantsLike


class Tenant:
    """A customer of the service, created by `Sandbox.add_tenant`.

    Tenants are isolated: each has its own subscriptions, events, attempts, tokens, clock, retries,
    variants and faults. A context manager: leaving it closes the tenant.

    Two objects are equal if they refer to the same tenant of the same running sandbox, closed or
    not, so `sandbox.add_tenant() in sandbox.tenants` is true. They can be used as dictionary keys.

    The methods can be called from any thread. `publish` and `advance` block; in async code, call
    them in a worker thread (`asyncio.to_thread`).
    """

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._runtime = runtime
        self._service = service

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tenant):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        account = self._service.account
        return f"<{type(self).__name__} {account.client_id!r}, {account.environment}>"

    @property
    def client_id(self) -> str:
        """The client ID for requesting access tokens."""
        return self._service.account.client_id

    @property
    def client_secret(self) -> str:
        """The client secret that belongs to `client_id`."""
        return self._service.account.client_secret

    @property
    def tenant_id(self) -> UUID:
        """The `tenant_id` of the subscriptions and events."""
        return self._service.account.id

    @property
    def environment(self) -> EnvironmentName:
        """The environment of the tenant and its access tokens: `"production"` or `"staging"`."""
        return self._service.account.environment

    @property
    def base_url(self) -> str:
        """The base URL of the API in the tenant's environment, such as `"http://127.0.0.1:53211"`.

        Raises:
            RuntimeError: The sandbox was not started.
        """
        self._runtime.require_server()
        return self._runtime.root_url + PREFIXES[self.environment]

    @property
    def token_url(self) -> str:
        """The token URL of the tenant's environment.

        Raises:
            RuntimeError: The sandbox was not started.
        """
        return self.base_url + TOKEN_PATH

    @property
    def now(self) -> datetime:
        """The current time of the tenant's clock: real time plus all steps of `advance`, in UTC."""
        return self._open_service.now

    @property
    def variants(self) -> Variants:
        """How the sandbox behaves where the service's documentation is silent.

        It can be set at any time: to `Variants`, to one of `Variants.names()`, or to a seed.

        Raises:
            ValueError: The new value is an unknown name.
            TypeError: The new value is of another type.
        """
        return self._open_service.variants

    @variants.setter
    def variants(self, variants: VariantsLike) -> None:
        self._open_service.variants = Variants.of(variants)

    @property
    def connect_timeout(self) -> float:
        """Seconds of real time within which a subscriber must accept the connection.

        Greater than 0 and at most 1,000,000. It can be set at any time, for later deliveries.

        Raises:
            ValueError: The new timeout is out of range.
        """
        return self._open_service.timeouts.connect

    @connect_timeout.setter
    def connect_timeout(self, seconds: float) -> None:
        self._open_service.timeouts = evolve(self._open_service.timeouts, connect=seconds)

    @property
    def response_timeout(self) -> float:
        """Seconds of real time within which a connected subscriber must respond.

        Greater than 0 and at most 1,000,000. It can be set at any time, for later deliveries.

        Raises:
            ValueError: The new timeout is out of range.
        """
        return self._open_service.timeouts.response

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._open_service.timeouts = evolve(self._open_service.timeouts, response=seconds)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All subscriptions, oldest first."""
        return self._open_service.list_subscriptions()

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """All delivery attempts, including those in flight, in the order they started."""
        return self._open_service.attempts

    @property
    def pending_retries(self) -> tuple[PendingRetry, ...]:
        """The automatic retries that are scheduled, the next one first."""
        return self._open_service.pending_retries

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All HTTP requests of the tenant's clients, in order, including token requests.

        The access token or the client ID determines the tenant of a request. Requests without a
        known one belong to the first tenant.
        """
        return self._runtime.log.requests(self._open_service.account)

    @property
    def token_request_count(self) -> int:
        """Number of token requests of the tenant's clients, successful or not."""
        return self._runtime.log.count_token_requests(self._open_service.account)

    @property
    def changes(self) -> ChangeSignal:
        """Signals every change of the tenant's state."""
        return self._open_service.changes

    def publish(self, event: str, payload: Mapping[str, object]) -> tuple[DeliveryAttempt, ...]:
        """Publish an event, and deliver it to every active subscription that matches it.

        Failed deliveries are retried on a schedule: see `advance`.

        Args:
            event: The event name, as `subject:action` or `subject`.
            payload: The payload of the deliveries, sent as JSON.

        Returns:
            One attempt for each of these subscriptions, once all of them have finished.

        Raises:
            ValueError: `event` is not a valid event name, or `payload` cannot be encoded as JSON.
            TypeError: `payload` cannot be encoded as JSON.
            RuntimeError: The sandbox is not running, or the tenant was closed.
        """
        if problem := event_name_problem(event, wildcard=False):
            raise ValueError(f"event {problem}")
        body = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False).encode()
        service, dispatcher = self._open_service, self._runtime.dispatcher

        async def publish() -> tuple[DeliveryAttempt, ...]:
            return await dispatcher.publish(service, service.publish(event, body))

        return self._runtime.run(publish)

    def advance(self, step: timedelta) -> tuple[DeliveryAttempt, ...]:
        """Advance the clock, and run the automatic retries that become due.

        Retries run one after the other, each at its scheduled time. When one fails, the next one is
        scheduled and can become due in the same step. Deliveries in the background are awaited
        first. Timeouts, durations and the expiry of access tokens use real time.

        Args:
            step: The time to advance, up to the year 9998; `timedelta(0)` runs the retries that are
                due now.

        Returns:
            The attempts, in order, once all of them have finished.

        Raises:
            ValueError: `step` is negative, or moves the clock past the year 9998.
            TypeError: `step` is not a timedelta.
            RuntimeError: The sandbox is not running, or the tenant was closed.
        """
        if not isinstance(cast("object", step), timedelta):
            raise TypeError(f"step must be a timedelta, such as timedelta(hours=1), got {step!r}.")
        service, dispatcher = self._open_service, self._runtime.dispatcher
        return self._runtime.run(lambda: dispatcher.advance(service, step))

    def event_body(self, event_id: UUID) -> bytes:
        """Return the body that each delivery of an event sends.

        Args:
            event_id: The `event_id` of an attempt.

        Raises:
            LookupError: This tenant has no such event.
        """
        body = self._open_service.event_body(event_id)
        if body is None:
            raise LookupError(f"This tenant has no event {event_id}.")
        return body

    def attempts_page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        hook_id: UUID | None = None,
        event_id: UUID | None = None,
        state: AttemptState | None = None,
    ) -> AttemptPage:
        """Return a page of attempts, newest first.

        Args:
            before: Only attempts that started before the one with this `position`, an integer from
                0 to 2**63 - 1.
            limit: Maximum number of attempts, from 1 to 1,000,000.
            hook_id: Only attempts of this subscription.
            event_id: Only attempts of this event.
            state: Only attempts that are `"delivered"`, `"failed"` or `"in_flight"`.

        Raises:
            ValueError: `before` or `limit` is out of range, or `state` is unknown.
        """
        criteria = AttemptFilter(before=before, hook_id=hook_id, event_id=event_id, state=state)
        return self._attempt_queries.page(criteria, limit)

    def attempt(self, position: int) -> DeliveryAttempt:
        """Return an attempt.

        Args:
            position: Its `position`.

        Raises:
            LookupError: This tenant has no such attempt.
        """
        found = self._attempt_queries.attempt(position)
        if found is None:
            raise LookupError(f"This tenant has no attempt at position {position}.")
        return found

    def count_attempts(
        self, start: datetime, width: timedelta, buckets: int
    ) -> tuple[AttemptCount, ...]:
        """Count the attempts that started in each of a series of consecutive time spans.

        Args:
            start: Start of the first span, by the tenant's clock; timezone-aware.
            width: Length of each span, at least a microsecond.
            buckets: Number of spans, from 1 to 1,000,000. The last one must end before the year
                9999.

        Raises:
            ValueError: `start` has no timezone, or `width` or `buckets` is out of range.
        """
        return self._attempt_queries.count(start, width, buckets)

    def issue_token(self) -> str:
        """Issue an access token, and return it."""
        return self._runtime.tokens.new_token(self._open_service.account)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in effect, oldest first; `times` is the number of requests left."""
        return self._runtime.faults.get(self._open_service).faults

    def inject(self, *faults: Fault) -> None:
        """Inject faults into later requests of the tenant's clients.

        The access token or the client ID determines the tenant of a request. Requests without a
        known one belong to the first tenant. If several faults apply to one request, latencies add
        up, and only the oldest of the other faults applies. Faults are not kept in the database.

        Args:
            faults: The faults to add.

        Raises:
            TypeError: A fault is not a `Fault`.
        """
        for fault in faults:
            # Without this check, each later request would fail instead.
            if not isinstance(cast("object", fault), Fault):
                raise TypeError(f"faults must be Fault objects, got {fault!r}.")
        active_faults = self._runtime.faults.get(self._open_service)
        self._runtime.call(lambda: active_faults.inject(faults))

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._runtime.call(self._runtime.faults.get(self._open_service).clear)

    def expire_tokens(self) -> None:
        """Expire all access tokens issued so far. Requests with them get a 401."""
        self._runtime.tokens.expire(self._open_service.account)

    def reset(self) -> None:
        """Delete all subscriptions, events, attempts, retries, requests, faults and clock steps.

        Credentials, access tokens and variants are kept.
        """
        service, runtime = self._open_service, self._runtime

        def reset() -> None:
            runtime.dispatcher.cancel(service)
            runtime.faults.discard(service)
            service.reset()

        self._runtime.call(reset)

    def close(self) -> None:
        """Delete the tenant and all its state, and reject its access tokens. Idempotent."""
        service, runtime = self._service, self._runtime
        if service.is_closed:
            return

        def close() -> None:
            runtime.dispatcher.cancel(service)
            runtime.faults.discard(service)
            runtime.tenants.remove(service)

        runtime.call(close)

    @property
    def _identity(self) -> tuple[int, int]:
        # The object keeps the runtime alive, and numbers are not reused.
        return id(self._runtime), self._service.account.number

    @property
    def _attempt_queries(self) -> AttemptQueries:
        return AttemptQueries(self._runtime.database, self._open_service.account)

    @property
    def _open_service(self) -> Service:
        if self._service.is_closed:
            raise RuntimeError("The tenant was closed, and its state was deleted.")
        return self._service
