"""The `hooks` resource of `AsyncClient`: a few lines for each operation."""

from __future__ import annotations

import builtins
import os
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import UUID

from webhooks_sdk import operations
from webhooks_sdk._codec import parse_id
from webhooks_sdk._core.responses import APIResponse
from webhooks_sdk._models import WebhookEvent, WebhookSubscription
from webhooks_sdk._transport.async_driver import AsyncSingleAttemptSender
from webhooks_sdk.operations import UNSET, Operation, Unset

if TYPE_CHECKING:
    from webhooks_sdk.replay import AsyncReplay, Progress, Target, TargetLike, UndeliveredEvents

T = TypeVar("T")


class _Client(Protocol):
    @property
    def base_url(self) -> str: ...

    async def send(self, operation: Operation[T]) -> APIResponse[T]: ...


class AsyncHooks:
    """The webhook subscriptions of a tenant, and their events: `client.hooks` of `AsyncClient`.

    Source of every operation: developers.boldpenguin.com/docs/webhooks.
    """

    __slots__ = ("_client", "_single_attempt_sender")

    def __init__(
        self, client: _Client, single_attempt_sender: Callable[[int], AsyncSingleAttemptSender]
    ) -> None:
        self._client = client
        self._single_attempt_sender = single_attempt_sender

    async def list(self) -> builtins.list[WebhookSubscription]:
        """List the tenant's subscriptions.

        Returns:
            All of them, active or not.

        Raises:
            AuthenticationError: The token was refused, or none could be had.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.list())).value

    async def get(self, hook_id: UUID | str) -> WebhookSubscription:
        """Get one subscription.

        Args:
            hook_id: The subscription.

        Raises:
            InvalidArgumentError: `hook_id` is no UUID; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.get(hook_id))).value

    async def create(
        self,
        *,
        url: str,
        events: Sequence[str] = (),
        active: bool = False,
        secret: str | None = None,
        header: str | None = None,
    ) -> WebhookSubscription:
        """Create a subscription.

        It receives events only if it is active, has at least one event, and its `url` can be
        reached. A tenant has at most 10 active ones. It is not sent again when it may have been
        processed: see `outcome_unknown`.

        Args:
            url: Where the events are to be sent.
            events: What it is to receive, each a `subject` (all its actions), a
                `subject:action`, or `*` for everything.
            active: Whether events are to be delivered; needs at least one event.
            secret: The key with which deliveries are to be signed; None for no signature.
            header: One static HTTP header, as `Name: Value`, to be sent with each delivery.

        Returns:
            The new subscription, with its `id`.

        Raises:
            InvalidArgumentError: An argument is one that the API cannot take; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        return (
            await self._client.send(
                operations.create(
                    url=url, events=events, active=active, secret=secret, header=header
                )
            )
        ).value

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
        """Change the given fields of a subscription, and leave the others as they are.

        Args:
            hook_id: The subscription.
            url: Where the events are to be sent.
            events: What it is to receive: all of it, not what is added.
            active: Whether events are to be delivered.
            secret: The key with which deliveries are to be signed; None takes it away.
            header: One static HTTP header, as `Name: Value`; None takes it away.

        Returns:
            The subscription as it is now.

        Raises:
            InvalidArgumentError: No field is given, or the API cannot take one; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
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
            hook_id: The subscription. One that an earlier attempt of this same call may have
                deleted, and that is gone, counts as deleted.

        Raises:
            InvalidArgumentError: `hook_id` is no UUID; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        await self._client.send(operations.delete(hook_id))

    async def list_events(self, hook_id: UUID | str) -> builtins.list[WebhookEvent]:
        """List the recent events of a subscription.

        Args:
            hook_id: The subscription.

        Returns:
            The most recent ones. How many, in which order, and whether each attempt or each event
            is one of them, is undocumented.

        Raises:
            InvalidArgumentError: `hook_id` is no UUID; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.list_events(hook_id))).value

    async def redeliver(self, hook_id: UUID | str, request_id: UUID | str) -> WebhookEvent:
        """Send an event to its subscription again.

        The service answers when the subscriber has, which can take over 60 seconds. It is not
        sent again when it may have been processed, so that the subscriber does not get the event
        twice unasked: see `outcome_unknown` and `RetryPolicy.resend_unknown`.

        Args:
            hook_id: The subscription.
            request_id: The event: the `id` of a `WebhookEvent`.

        Returns:
            The attempt: `delivered` says whether the subscriber answered 2xx. A subscriber that
            failed is no error of this call.

        Raises:
            InvalidArgumentError: `hook_id` or `request_id` is no UUID; nothing was sent.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription or the event is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        return (await self._client.send(operations.redeliver(hook_id, request_id))).value

    def redeliver_many(
        self,
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        *,
        journal: str | os.PathLike[str] | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        max_attempts: int = 3,
        max_consecutive_failures: int | None = 20,
        resend_unknown: bool = False,
        durable: bool = False,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> AsyncReplay:
        """Send many events again: lazily, resumably, and gently to both ends.

            async with client.hooks.redeliver_many(targets, journal="outage.sqlite") as replay:
                async for outcome in replay:
                    print(outcome.request_id, outcome.status)
            print(replay.report)

        It begins with one request under way and takes more while the subscriber bears it, fewer
        when it (or the service) shows distress. A 429 of the service slows everything down. Doing
        the same again with the same journal resumes the run: sent is what was never sent, and what
        was rejected or failed, up to `max_attempts`. What may have been delivered without anybody
        being told is looked up in `list_events`, and sent again only if you say so.

        Args:
            targets: `(hook_id, request_id)` pairs or `WebhookEvent`s, from an iterable or an
                async iterable, consumed as they are needed.
                With a journal that is resumed, those in it that do not come again are sent last;
                so `()` resumes from the journal alone.
            journal: The file in which the run is journalled (SQLite, made with mode 0600). None for
                a temporary one: the run cannot be resumed.
            concurrency: How many requests may be under way at once.
            rate: How many requests a second are sent at most, resends included, evenly spaced;
                None for no limit.
            max_attempts: How many requests one event may take, over all runs of the journal. Those
                that the service puts off (429, or 503 with `Retry-After`) are not counted.
            max_consecutive_failures: After so many outcomes in a row that are rejected, failed or
                unknown the run is stopped; None for never.
            resend_unknown: Whether to send again, on resuming, what may have been delivered
                already, so that the subscriber may get it twice.
            durable: Whether the journal survives a loss of power, not just the death of the
                process. It costs a write to the disk for each step.
            on_progress: Called with a `Progress` about once a second, and at the end. What it
                raises ends the run.

        Returns:
            A context manager to iterate over. Nothing is sent before it is entered.

        Raises:
            InvalidArgumentError: An option is out of its range; while it is iterated: a target
                names no event.
            JournalError: On entering: the journal cannot be used (`JournalLockedError`: another
                process is writing it), or belongs to another environment. While it is iterated: it
                cannot be written.
            APIError: On entering, when a run is resumed: what is unknown could not be looked up.
            ReplayStoppedError: While it is iterated: nothing worked, or the credentials were
                refused. The run can be resumed.
        """
        from webhooks_sdk.replay import AsyncReplay, ReplayOptions  # noqa: PLC0415 - only when used

        options = ReplayOptions(
            journal=journal,
            concurrency=concurrency,
            rate=rate,
            max_attempts=max_attempts,
            max_consecutive_failures=max_consecutive_failures,
            resend_unknown=resend_unknown,
            durable=durable,
            on_progress=on_progress,
        )
        sender = self._single_attempt_sender(concurrency)

        async def send(target: Target) -> WebhookEvent:
            operation = operations.redeliver(target.hook_id, target.request_id)
            return (await sender.send(operation)).value

        return AsyncReplay(
            send,
            targets,
            base_url=self._client.base_url,
            list_events=self.list_events,
            options=options,
            on_close=sender.close,
        )

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
        on_progress: Callable[[Progress], object] | None = None,
    ) -> AsyncReplay:
        """Send again the events of a subscription that were not delivered in a window.

            async with client.hooks.recover(hook_id, since=since, journal="out.sqlite") as replay:
                print(await replay.run())

        Which they are is what `list_undelivered` says, with the same limits: look at
        `replay.report.coverage`. All of them are written to the journal before the first request,
        because each redelivery pushes older events out of the service's list; a run that is resumed
        takes them from there. The service's own retries may still run meanwhile, so an event can
        arrive twice.

        Args:
            hook_id: The subscription.
            since: When the window begins: the events that happened then or later.
            until: When it ends, not included. None for now; on resuming, for what it was.
            pending_grace: Seconds for which an attempt without a status may still be under way: its
                event is left alone.
            journal: As in `redeliver_many`. It must be resumed with the same arguments.
            concurrency: As in `redeliver_many`, by default fewer: 8.
            rate: As in `redeliver_many`, by default 20 a second.
            max_attempts: As in `redeliver_many`.
            max_consecutive_failures: As in `redeliver_many`.
            resend_unknown: As in `redeliver_many`.
            durable: As in `redeliver_many`.
            on_progress: As in `redeliver_many`.

        Returns:
            A context manager to iterate over. Entering it lists the events; nothing is sent before
            it is iterated.

        Raises:
            InvalidArgumentError: `hook_id` is no UUID, a datetime is naive, the window is empty, or
                an option is out of its range.
            APIError: On entering: the events could not be listed.
            JournalError: As in `redeliver_many`; also if the journal is one of another subscription
                or window.
            ReplayStoppedError: As in `redeliver_many`.
        """
        from webhooks_sdk.replay import AsyncReplay, Recovery, ReplayOptions  # noqa: PLC0415 - only when used

        recovery = Recovery(
            hook_id=parse_id(hook_id, "hook_id"),
            since=since,
            until=until,
            pending_grace=pending_grace,
        )
        options = ReplayOptions(
            journal=journal,
            concurrency=concurrency,
            rate=rate,
            max_attempts=max_attempts,
            max_consecutive_failures=max_consecutive_failures,
            resend_unknown=resend_unknown,
            durable=durable,
            on_progress=on_progress,
        )
        sender = self._single_attempt_sender(concurrency)

        async def send(target: Target) -> WebhookEvent:
            operation = operations.redeliver(target.hook_id, target.request_id)
            return (await sender.send(operation)).value

        return AsyncReplay(
            send,
            (),
            base_url=self._client.base_url,
            list_events=self.list_events,
            options=options,
            recovery=recovery,
            on_close=sender.close,
        )

    async def list_undelivered(
        self,
        hook_id: UUID | str,
        *,
        since: datetime,
        until: datetime | None = None,
        pending_grace: float = 120.0,
    ) -> UndeliveredEvents:
        """List the events of a subscription that were not delivered in a window.

        All listed attempts of an event are taken together: it counts if none was answered 2xx. The
        window is that of the event, by its earliest `enqueued_at`.

        The service lists only recent events, how many is undocumented: `coverage` says how far back
        that was. Where it is not far enough, take the ids from your own records (of deliveries, or
        of what should have come) and pass them to `redeliver_many`.

        Args:
            hook_id: The subscription.
            since: When the window begins.
            until: When it ends, not included; None for now.
            pending_grace: Seconds for which an attempt without a status may still be under way: its
                event is left out, and counted in `coverage.pending`. Ages are taken by the clock of
                this machine.

        Returns:
            The events, those that happened first at the beginning.

        Raises:
            InvalidArgumentError: `hook_id` is no UUID, a datetime is naive, or the window is empty.
            AuthenticationError: The token was refused, or none could be had.
            NotFoundError: The subscription is not known in this environment.
            APIStatusError: The service answered with another status that is no success.
            APIConnectionError: No answer came (`APITimeoutError`: not in time).
            ResponseDecodeError: The answer could not be read.
            ClientClosedError: The client is closed.
        """
        from webhooks_sdk.replay import Recovery  # noqa: PLC0415 - only when used

        recovery = Recovery(
            hook_id=parse_id(hook_id, "hook_id"),
            since=since,
            until=until,
            pending_grace=pending_grace,
        )
        # Before it is listed: the list says nothing of what happens after that.
        now = datetime.now(UTC)
        return recovery.find_in(await self.list_events(recovery.hook_id), now=now)
