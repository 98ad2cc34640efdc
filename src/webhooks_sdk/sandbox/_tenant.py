"""A tenant of the sandbox as its user sees it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from attrs import evolve

from webhooks_sdk.sandbox._http.faults import Fault
from webhooks_sdk.sandbox._service.routes import PREFIXES, TOKEN_PATH
from webhooks_sdk.sandbox._service.rules import is_event_name
from webhooks_sdk.sandbox._storage.history import AttemptFilter, History
from webhooks_sdk.sandbox._variants import Variants

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from webhooks_sdk.sandbox._records import (
        AttemptCount,
        AttemptsPage,
        DeliveryAttempt,
        EnvironmentName,
        PendingRetry,
        ReceivedRequest,
        Subscription,
    )
    from webhooks_sdk.sandbox._runtime import Runtime
    from webhooks_sdk.sandbox._service.change_signal import ChangeSignal
    from webhooks_sdk.sandbox._service.service import Service
    from webhooks_sdk.sandbox._storage.history import AttemptOutcome
    from webhooks_sdk.sandbox._variants import VariantsLike


class Tenant:
    """A customer of the service, with a state of its own; `Sandbox.add_tenant` makes them.

    Nothing that one tenant does can be seen by another: subscriptions, events, attempts, tokens,
    clock, retries, variants and faults are its own. A context manager; leaving it closes it.

    Its methods can be called from any thread. In async code call `publish` and `advance` in a
    worker thread (`asyncio.to_thread`), for they block.
    """

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._runtime = runtime
        self._held_service = service

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        account = self._held_service.account
        return f"<{type(self).__name__} {account.client_id!r}, {account.environment}>"

    @property
    def client_id(self) -> str:
        """The client id with which its clients ask for access tokens."""
        return self._held_service.account.client_id

    @property
    def client_secret(self) -> str:
        """The secret that belongs to it."""
        return self._held_service.account.client_secret

    @property
    def tenant_id(self) -> UUID:
        """The `tenant_id` of its subscriptions and events."""
        return self._held_service.account.id

    @property
    def environment(self) -> EnvironmentName:
        """The environment in which its access tokens are valid: `"production"` or `"staging"`."""
        return self._held_service.account.environment

    @property
    def base_url(self) -> str:
        """The base URL of its environment's API, such as `"http://127.0.0.1:53211"`."""
        self._runtime.require_server()
        return self._runtime.root_url + PREFIXES[self.environment]

    @property
    def token_url(self) -> str:
        """The token URL of its environment."""
        return self.base_url + TOKEN_PATH

    @property
    def now(self) -> datetime:
        """The time by its clock: real time and all steps of `advance`; aware, in UTC."""
        return self._service.now

    @property
    def variants(self) -> Variants:
        """How it is answered where the documentation leaves it open. Set it at any time.

        Set it to `Variants`, to one of `Variants.names()`, or to a seed.
        """
        return self._service.variants

    @variants.setter
    def variants(self, variants: VariantsLike) -> None:
        self._service.variants = Variants.of(variants)

    @property
    def connect_timeout(self) -> float:
        """Seconds of real time within which a subscriber must accept the connection.

        Set it at any time, for the deliveries that follow.

        Raises:
            ValueError: It is set to something else than a number above 0.
        """
        return self._service.timeouts.connect

    @connect_timeout.setter
    def connect_timeout(self, seconds: float) -> None:
        self._service.timeouts = evolve(self._service.timeouts, connect=seconds)

    @property
    def answer_timeout(self) -> float:
        """Seconds of real time within which it must then have answered. To be set likewise.

        Raises:
            ValueError: As above.
        """
        return self._service.timeouts.answer

    @answer_timeout.setter
    def answer_timeout(self, seconds: float) -> None:
        self._service.timeouts = evolve(self._service.timeouts, answer=seconds)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Its subscriptions, oldest first."""
        return self._service.list_subscriptions()

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """Every delivery attempt so far, also those under way, in the order they began."""
        return self._service.attempts

    @property
    def pending_retries(self) -> tuple[PendingRetry, ...]:
        """The automatic retries that are to come, the next one first."""
        return self._service.pending_retries

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Every HTTP request of its clients so far, token requests included, in order.

        Whose a request is shows in its access token or client id. The sandbox's own tenant has
        those, too, that are nobody's.
        """
        return self._runtime.log.requests(self._service.account)

    @property
    def token_requests(self) -> int:
        """How many access tokens its clients have asked for, whether or not one was issued."""
        return self._runtime.log.count_token_requests(self._service.account)

    @property
    def changes(self) -> ChangeSignal:
        """Tells of every change of its state."""
        return self._service.changes

    def publish(self, event: str, payload: Mapping[str, object]) -> tuple[DeliveryAttempt, ...]:
        """Let an event happen, and deliver it to every subscription that receives it.

        A delivery that fails is tried again as time goes by: see `advance`.

        Args:
            event: What happens, as `subject:action` or `subject`.
            payload: What the deliveries carry, sent as JSON.

        Returns:
            One attempt for each of those subscriptions, when all of them have ended, well or not.

        Raises:
            ValueError: `event` is no such name, or `payload` has a value that JSON lacks.
            TypeError: As above.
            RuntimeError: The sandbox is not running, or the tenant was closed.
        """
        if not is_event_name(event):
            raise ValueError(f"event must be such as 'subject:action', not {event!r}.")
        body = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False).encode()
        service, dispatcher = self._service, self._runtime.dispatcher

        async def publish() -> tuple[DeliveryAttempt, ...]:
            return await dispatcher.publish(service, service.publish(event, body))

        return self._runtime.run(publish)

    def advance(self, step: timedelta) -> tuple[DeliveryAttempt, ...]:
        """Step the clock, and make the automatic retries that come due on the way.

        They are made one after the other, each at its time; one that fails has the next one
        scheduled, which may come due in the same step. Deliveries that go on in the background are
        waited for first. Timeouts and durations run in real time, and so do access tokens.

        Args:
            step: By how much; `timedelta(0)` makes what is due now.

        Returns:
            The attempts that were made, in order, when all of them have ended.

        Raises:
            ValueError: The step goes back, or leads beyond the year 9998.
            TypeError: It is no timedelta.
            RuntimeError: The sandbox is not running, or the tenant was closed.
        """
        # Who has no type checker may mean seconds.
        if not isinstance(cast("object", step), timedelta):
            raise TypeError(f"step must be a timedelta, such as timedelta(hours=1), not {step!r}.")
        service, dispatcher = self._service, self._runtime.dispatcher
        return self._runtime.run(lambda: dispatcher.advance(service, step))

    def event_body(self, event_id: UUID) -> bytes:
        """Return what each delivery of an event carries.

        Args:
            event_id: The event, as in an attempt.

        Raises:
            LookupError: There is no such event.
        """
        body = self._service.event_body(event_id)
        if body is None:
            raise LookupError(f"There is no event {event_id}.")
        return body

    def attempts_page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        hook_id: UUID | None = None,
        event_id: UUID | None = None,
        outcome: AttemptOutcome | None = None,
    ) -> AttemptsPage:
        """Return some attempts, newest first: for those who have ten thousand of them.

        Args:
            before: Only those that began before the one with this `position`.
            limit: How many at most, 1 or more.
            hook_id: Only those of this subscription.
            event_id: Only those of this event.
            outcome: Only `"delivered"`, `"failed"` or `"under_way"` ones.

        Raises:
            ValueError: `limit` is less than 1.
        """
        which = AttemptFilter(before=before, hook_id=hook_id, event_id=event_id, outcome=outcome)
        return self._history.page(which, limit)

    def attempt(self, position: int) -> DeliveryAttempt:
        """Return one attempt by its `position`.

        Raises:
            LookupError: There is no such attempt.
        """
        found = self._history.page(AttemptFilter(before=position + 1), 1).attempts
        if not found or found[0].position != position:
            raise LookupError(f"There is no attempt {position}.")
        return found[0]

    def count_attempts(
        self, start: datetime, width: timedelta, buckets: int
    ) -> tuple[AttemptCount, ...]:
        """Return how many attempts began in each of some spans of time, one after the other.

        Args:
            start: When the first one begins, by the clock of the tenant; aware.
            width: How long each is.
            buckets: How many there are.

        Raises:
            ValueError: `width` or `buckets` is not positive.
        """
        return self._history.count(start, width, buckets)

    def issue_token(self) -> str:
        """Return a new access token, as the token URL issues them."""
        return self._runtime.tokens.new_token(self._service.account)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that can still strike, oldest first; `times` says how often."""
        return self._runtime.faults.of(self._service).faults

    def inject(self, *faults: Fault) -> None:
        """Let requests of its clients go wrong from now on, as the faults say.

        Whose a request is shows in its access token or client id; the sandbox's own tenant has
        those that are nobody's. Where several strike the same request, all latencies add up, and
        of the others the oldest has it for itself. Faults are not kept in the database.

        Args:
            faults: What goes wrong, and how often.

        Raises:
            TypeError: One is no `Fault`.
        """
        for one in faults:
            # It would only fail when a request comes, and each one from then on.
            if not isinstance(cast("object", one), Fault):
                raise TypeError(f"A fault must be such as Fault('latency'), not {one!r}.")
        plan = self._runtime.faults.of(self._service)
        self._runtime.call(lambda: plan.inject(faults))

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._runtime.call(self._runtime.faults.of(self._service).clear)

    def expire_tokens(self) -> None:
        """Refuse from now on every access token issued so far, with 401."""
        self._runtime.tokens.expire(self._service.account)

    def reset(self) -> None:
        """Forget all subscriptions, events, attempts, retries, requests, faults and steps of time.

        Credentials, access tokens and variants stay.
        """
        service, runtime = self._service, self._runtime

        def reset() -> None:
            runtime.dispatcher.cancel(service)
            runtime.faults.forget(service)
            service.reset()

        self._runtime.call(reset)

    def close(self) -> None:
        """Forget the tenant and all its state; its access tokens are refused. Can be repeated."""
        service, runtime = self._held_service, self._runtime
        if service.is_closed:
            return

        def close() -> None:
            runtime.dispatcher.cancel(service)
            runtime.faults.forget(service)
            runtime.tenants.remove(service)

        runtime.call(close)

    @property
    def _history(self) -> History:
        return History(self._runtime.database, self._service.account)

    @property
    def _service(self) -> Service:
        if self._held_service.is_closed:
            raise RuntimeError("The tenant was closed: its state is forgotten.")
        return self._held_service
