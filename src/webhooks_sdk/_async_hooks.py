"""The `hooks` resource of `AsyncClient`."""

from __future__ import annotations

import builtins
import os
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import UUID

from webhooks_sdk import operations
from webhooks_sdk._codec import parse_id
from webhooks_sdk._core.checks import select_attempt, warn_if_inactive
from webhooks_sdk._core.responses import APIResponse
from webhooks_sdk._lazy import LazyModule
from webhooks_sdk._models import WebhookEvent, WebhookSubscription
from webhooks_sdk._transport.async_driver import AsyncSingleAttemptSender
from webhooks_sdk.operations import UNSET, Operation, Unset

if TYPE_CHECKING:
    from webhooks_sdk import replay
    from webhooks_sdk.replay import _undelivered
else:
    replay = LazyModule("webhooks_sdk.replay")
    _undelivered = LazyModule("webhooks_sdk.replay._undelivered")

T = TypeVar("T")


class _Client(Protocol):
    @property
    def base_url(self) -> str: ...

    async def send(self, operation: Operation[T]) -> APIResponse[T]: ...


class AsyncHooks:
    """Operations on webhook subscriptions and their events, as `client.hooks` of `AsyncClient`.

    The operations are documented at developers.boldpenguin.com/docs/webhooks.
    """

    __slots__ = ("_client", "_open_sender")

    def __init__(
        self, client: _Client, open_sender: Callable[[int], AsyncSingleAttemptSender]
    ) -> None:
        self._client = client
        self._open_sender = open_sender

    async def list(self) -> builtins.list[WebhookSubscription]:
        """List the tenant's subscriptions.

        Returns:
            All subscriptions, active or not.

        Raises:
            AuthenticationError: The access token was rejected or could not be obtained.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.list())).value

    async def get(self, hook_id: UUID | str) -> WebhookSubscription:
        """Get one subscription.

        Args:
            hook_id: The subscription.

        Returns:
            The subscription.

        Raises:
            InvalidArgumentError: `hook_id` is not a UUID; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.get(hook_id))).value

    async def create(
        self,
        *,
        url: str,
        events: Sequence[str] = (),
        active: bool | Unset = UNSET,
        secret: str | None = None,
        header: str | None = None,
    ) -> WebhookSubscription:
        """Create a subscription.

        It receives events only if it is active, names at least one event, and its `url` can be
        reached. A tenant can have at most 10 active subscriptions. By default, an ambiguous failure
        is not retried: see `outcome_unknown` and `RetryPolicy.resend_unknown`.

        Args:
            url: The URL that events are delivered to.
            events: The events to receive: each entry is a `subject` (all its actions), a
                `subject:action`, or `*` (everything).
            active: Whether events are delivered; True requires at least one event. If omitted, the
                service decides: its documented default is an inactive subscription, which receives
                nothing. A warning is logged if the subscription is inactive although False was not
                passed.
            secret: The key to sign deliveries with; None for no signature.
            header: One static HTTP header, as `Name: Value`, to send with each delivery; None for
                none.

        Returns:
            The new subscription, with its `id`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        operation = operations.create(
            url=url, events=events, active=active, secret=secret, header=header
        )
        return warn_if_inactive((await self._client.send(operation)).value, requested=active)

    async def update(
        self,
        hook_id: UUID | str,
        *,
        url: str | Unset = UNSET,
        events: Sequence[str] | Unset = UNSET,
        active: bool | Unset = UNSET,
        secret: str | None | Unset = UNSET,
        header: str | None | Unset = UNSET,
    ) -> WebhookSubscription:
        """Change the given fields of a subscription and leave the others unchanged.

        Args:
            hook_id: The subscription.
            url: The URL that events are delivered to.
            events: The events to receive. The list replaces the current one.
            active: Whether events are delivered.
            secret: The key to sign deliveries with; None removes it.
            header: One static HTTP header, as `Name: Value`; None removes it.

        Returns:
            The updated subscription.

        Raises:
            InvalidArgumentError: No field is given, or one is invalid; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        return (
            await self._client.send(
                operations.update(
                    hook_id, url=url, events=events, active=active, secret=secret, header=header
                )
            )
        ).value

    async def delete(self, hook_id: UUID | str) -> None:
        """Delete a subscription.

        Args:
            hook_id: The subscription. If an earlier attempt of this call had an unknown outcome, a
                404 response to a retry counts as success, since the earlier attempt may have
                deleted it.

        Raises:
            InvalidArgumentError: `hook_id` is not a UUID; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        await self._client.send(operations.delete(hook_id))

    async def list_events(self, hook_id: UUID | str) -> builtins.list[WebhookEvent]:
        """List the recent delivery attempts of a subscription.

        Args:
            hook_id: The subscription.

        Returns:
            The most recent delivery attempts. It is undocumented how many are listed, in which
            order, and whether all attempts of an event are listed or only the latest.

        Raises:
            InvalidArgumentError: `hook_id` is not a UUID; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.list_events(hook_id))).value

    async def find_attempt(self, hook_id: UUID | str, delivery_id: UUID | str) -> WebhookEvent:
        """Find a recent delivery attempt by its delivery ID, as a receiver has logged it.

        Every delivery carries its own ID in a header (`Delivery.delivery_id`). To redeliver the
        event, use the `id` of the attempt:

            attempt = await client.hooks.find_attempt(hook_id, delivery_id)
            await client.hooks.redeliver(hook_id, attempt.id)

        Args:
            hook_id: The subscription.
            delivery_id: The delivery attempt. It is not the `request_id` of `redeliver`: one event
                can have several delivery attempts.

        Returns:
            The attempt. Its `id` is the `request_id` of `redeliver`.

        Raises:
            InvalidArgumentError: `hook_id` or `delivery_id` is not a UUID; nothing was sent.
            AttemptNotListedError: The attempt is not among the recent attempts that the service
                lists.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        hook = parse_id(hook_id, "hook_id")
        delivery = parse_id(delivery_id, "delivery_id")
        listed = await self.list_events(hook)
        return select_attempt(listed, hook_id=hook, delivery_id=delivery)

    async def redeliver(self, hook_id: UUID | str, request_id: UUID | str) -> WebhookEvent:
        """Redeliver an event to its subscription.

        The service responds once the subscriber has responded, which can take over 60 seconds. By
        default, an ambiguous failure is not retried, so that the subscriber does not receive the
        event twice: see `outcome_unknown` and `RetryPolicy.resend_unknown`.

        Args:
            hook_id: The subscription.
            request_id: The event: the `id` of a `WebhookEvent`.

        Returns:
            The delivery attempt. `delivered` is true if the subscriber returned 2xx. A failure of
            the subscriber does not raise an error.

        Raises:
            InvalidArgumentError: `hook_id` or `request_id` is not a UUID; nothing was sent.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription or the event does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.redeliver(hook_id, request_id))).value

    def redeliver_many(
        self,
        targets: Iterable[replay.TargetLike] | AsyncIterable[replay.TargetLike],
        *,
        journal: str | os.PathLike[str] | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        max_attempts: int = 3,
        max_consecutive_failures: int | None = 20,
        resend_unknown: bool = False,
        durable: bool = False,
        on_progress: Callable[[replay.Progress], object] | None = None,
    ) -> replay.AsyncReplay:
        """Redeliver many events, with adaptive concurrency and a journal to resume from.

            async with client.hooks.redeliver_many(targets, journal="outage.sqlite") as replay:
                async for outcome in replay:
                    print(outcome.request_id, outcome.status)
            print(replay.report)

        The run starts with one request in flight. The number grows while the subscriber keeps up,
        and shrinks when the subscriber or the service is overloaded. A 429 response from the
        service reduces the rate of all requests.

        Calling this again with the same journal resumes the run: it sends targets that were never
        sent, and those that were rejected or failed, however many runs have tried. Targets with an
        unknown outcome are looked up in `list_events`, and sent again only if `resend_unknown` is
        true.

        Args:
            targets: `(hook_id, request_id)` pairs, `WebhookEvent`s or `Target`s, from an iterable
                or an async iterable, consumed lazily. When a journal is resumed, targets that are
                only in the journal are sent last, so `()` resumes from the journal alone.
            journal: The journal file (SQLite, created with mode 0600). None for a temporary one,
                in which case the run cannot be resumed.
            concurrency: The maximum number of requests in flight, from 1 to 1,000,000.
            rate: The maximum number of requests per second, including resends, evenly spaced: from
                0.000001 to 1,000,000, or None for no limit.
            max_attempts: The maximum number of requests for one event in this run, from 1 to
                1,000,000. Only a request that provably was not processed is sent again in the same
                run. Requests that the service defers (429, or 503 with `Retry-After`) are not
                counted.
            max_consecutive_failures: Stop the run after this many outcomes in a row that are
                rejected, failed or unknown: from 1 to 1,000,000, or None to never stop.
            resend_unknown: Whether a resumed run resends targets whose outcome is unknown. The
                subscriber may then receive an event twice.
            durable: Whether the journal survives a power loss, not only the death of the process.
                It costs a synchronous write to disk for each step.
            on_progress: A synchronous function, called with a `Progress` about once a second while
                the next outcome is awaited, whether or not anything has completed, and at the end.
                It is called where the replay is iterated, so not while the loop body runs or a
                target is awaited. If it raises, the run ends with that exception.

        Returns:
            A context manager to iterate over. Nothing is redelivered before the first iteration.

        Raises:
            InvalidArgumentError: An option is out of range. While iterating: a target does not
                name an event.
            JournalError: On entering: the journal cannot be used (`JournalLockedError`: another
                process is writing it) or belongs to another environment. While iterating: it
                cannot be written.
            APIError: On entering, when resuming: unknown outcomes could not be looked up.
            ReplayStoppedError: While iterating: too many consecutive outcomes were rejected, failed
                or unknown, the service deferred every request for an hour, the credentials were
                rejected, or the client was closed. The run can be resumed.
        """
        options = replay.ReplayOptions(
            journal=journal,
            concurrency=concurrency,
            rate=rate,
            max_attempts=max_attempts,
            max_consecutive_failures=max_consecutive_failures,
            resend_unknown=resend_unknown,
            durable=durable,
            on_progress=on_progress,
        )
        return self._replay(targets, options)

    def recover(
        self,
        hook_id: UUID | str,
        *,
        since: datetime,
        until: datetime | None = None,
        pending_grace: float = 120.0,
        journal: str | os.PathLike[str] | None = None,
        concurrency: int = 8,
        rate: float | None = 20.0,
        max_attempts: int = 3,
        max_consecutive_failures: int | None = 20,
        resend_unknown: bool = False,
        durable: bool = False,
        on_progress: Callable[[replay.Progress], object] | None = None,
    ) -> replay.AsyncReplay:
        """Redeliver the undelivered events of a subscription from a time window.

            async with client.hooks.recover(hook_id, since=since, journal=path) as replay:
                print(await replay.run())

        The events are those that `list_undelivered` returns, with the same limits: see
        `replay.report.coverage`. All of them are written to the journal before the first request,
        because each redelivery pushes older events out of the service's list; a resumed run reads
        them from the journal. The service's own retries may still be running, so an event can
        arrive twice.

        Args:
            hook_id: The subscription.
            since: The start of the window, inclusive.
            until: The end of the window, exclusive. None for no end, so that every listed event
                from `since` on is included, or when resuming, for the end that the first run used.
            pending_grace: Seconds for which an attempt without a status counts as in flight, from
                0 to 1,000,000; its event is not redelivered.
            journal: As in `redeliver_many`. Resume it with the same arguments.
            concurrency: As in `redeliver_many`; the default is lower.
            rate: As in `redeliver_many`; the default is 20 per second.
            max_attempts: As in `redeliver_many`.
            max_consecutive_failures: As in `redeliver_many`.
            resend_unknown: As in `redeliver_many`.
            durable: As in `redeliver_many`.
            on_progress: As in `redeliver_many`.

        Returns:
            A context manager to iterate over. Entering it lists the events; none is redelivered
            before the first iteration.

        Raises:
            InvalidArgumentError: `hook_id` is not a UUID, a datetime is naive, the window is empty,
                or an option is out of range. On entering: the window starts in the future.
            APIError: On entering: the events could not be listed.
            ClientClosedError: On entering: the client is closed.
            JournalError: As in `redeliver_many`; also if the journal belongs to another
                subscription or window.
            ReplayStoppedError: As in `redeliver_many`.
        """
        recovery = replay.Recovery(
            hook_id=parse_id(hook_id, "hook_id"),
            since=since,
            until=until,
            pending_grace=pending_grace,
        )
        options = replay.ReplayOptions(
            journal=journal,
            concurrency=concurrency,
            rate=rate,
            max_attempts=max_attempts,
            max_consecutive_failures=max_consecutive_failures,
            resend_unknown=resend_unknown,
            durable=durable,
            on_progress=on_progress,
        )
        return self._replay((), options, recovery)

    async def list_undelivered(
        self,
        hook_id: UUID | str,
        *,
        since: datetime,
        until: datetime | None = None,
        pending_grace: float = 120.0,
    ) -> replay.UndeliveredEvents:
        """List the undelivered events of a subscription from a time window.

        An event counts as undelivered if none of its listed attempts received a 2xx response. The
        window applies to the event's earliest `enqueued_at`.

        The service lists only recent events (how many is undocumented): `coverage` shows how far
        back the list reaches. If it does not cover the window, pass IDs from your own records to
        `redeliver_many`.

        Args:
            hook_id: The subscription.
            since: The start of the window, inclusive.
            until: The end of the window, exclusive; None for no end.
            pending_grace: Seconds for which an attempt without a status counts as still in flight,
                from 0 to 1,000,000: its event is left out and counted in `coverage.pending`. The
                age is measured with the service's clock (the `Date` header of its response), or
                with the local clock if there is no valid header.

        Returns:
            The events that were never redelivered, oldest first, then the others, those with the
            least recent redelivery first.

        Raises:
            InvalidArgumentError: `hook_id` is not a UUID, a datetime is naive, the window is empty
                or starts in the future, or `pending_grace` is out of range.
            AuthenticationError: The access token was rejected or could not be obtained.
            NotFoundError: The subscription does not exist in this environment.
            APIStatusError: The service returned another error status.
            APIConnectionError: No complete response was received (`APITimeoutError`: the request
                timed out).
            ResponseDecodeError: The response could not be decoded.
            ClientClosedError: The client is closed.
        """
        recovery = replay.Recovery(
            hook_id=parse_id(hook_id, "hook_id"),
            since=since,
            until=until,
            pending_grace=pending_grace,
        )
        began = datetime.now(UTC)
        response = await self._client.send(operations.list_events(recovery.hook_id))
        return _undelivered.find_in_list(recovery, response, began=began, ended=datetime.now(UTC))

    def _replay(
        self,
        targets: Iterable[replay.TargetLike] | AsyncIterable[replay.TargetLike],
        options: replay.ReplayOptions,
        recovery: replay.Recovery | None = None,
    ) -> replay.AsyncReplay:
        sender = self._open_sender(options.concurrency)

        async def send(target: replay.Target) -> WebhookEvent:
            operation = operations.redeliver(target.hook_id, target.request_id)
            return (await sender.send(operation)).value

        async def list_events(hook_id: UUID) -> APIResponse[builtins.list[WebhookEvent]]:
            return await self._client.send(operations.list_events(hook_id))

        return replay.AsyncReplay(
            send,
            targets,
            base_url=self._client.base_url,
            list_events=list_events,
            options=options,
            recovery=recovery,
            on_close=sender.close,
        )
