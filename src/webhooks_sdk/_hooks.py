"""The `hooks` resource of both clients: one line for each operation."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from webhooks_sdk import operations
from webhooks_sdk._answers import APIResponse
from webhooks_sdk._models import WebhookEvent, WebhookSubscription
from webhooks_sdk.operations import UNSET, Operation, Unset

T = TypeVar("T")


class _Sends(Protocol):
    def send(self, operation: Operation[T]) -> APIResponse[T]: ...


class _SendsAsync(Protocol):
    async def send(self, operation: Operation[T]) -> APIResponse[T]: ...


class Hooks:
    """The webhook subscriptions of a tenant, and their events: `client.hooks` of `Client`.

    Source of every operation: developers.boldpenguin.com/docs/webhooks.
    """

    __slots__ = ("_client",)

    def __init__(self, client: _Sends) -> None:
        self._client = client

    def list(self) -> builtins.list[WebhookSubscription]:
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
        return self._client.send(operations.list()).value

    def get(self, hook_id: UUID | str) -> WebhookSubscription:
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
        return self._client.send(operations.get(hook_id)).value

    def create(
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
        return self._client.send(
            operations.create(url=url, events=events, active=active, secret=secret, header=header)
        ).value

    def update(
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
        return self._client.send(
            operations.update(
                hook_id, url=url, events=events, active=active, secret=secret, header=header
            )
        ).value

    def delete(self, hook_id: UUID | str) -> None:
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
        self._client.send(operations.delete(hook_id))

    def list_events(self, hook_id: UUID | str) -> builtins.list[WebhookEvent]:
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
        return self._client.send(operations.list_events(hook_id)).value

    def redeliver(self, hook_id: UUID | str, request_id: UUID | str) -> WebhookEvent:
        """Send an event to its subscription again.

        The service answers when the subscriber has, which can take over 60 seconds. It is not
        sent again when it may have been processed, so that the subscriber does not get the event
        twice unasked: see `outcome_unknown` and `RetryPolicy.resend_ambiguous`.

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
        return self._client.send(operations.redeliver(hook_id, request_id)).value


class AsyncHooks:
    """The webhook subscriptions of a tenant, and their events: `client.hooks` of `AsyncClient`.

    Source of every operation: developers.boldpenguin.com/docs/webhooks.
    """

    __slots__ = ("_client",)

    def __init__(self, client: _SendsAsync) -> None:
        self._client = client

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
        twice unasked: see `outcome_unknown` and `RetryPolicy.resend_ambiguous`.

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
