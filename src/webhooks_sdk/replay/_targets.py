"""The targets of a replay: each is one event of one subscription."""

from typing import TYPE_CHECKING, TypeAlias, cast
from uuid import UUID

from attrs import frozen

from webhooks_sdk._codec import parse_id
from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAIR_LENGTH = 2


@frozen
class Target:
    """An event to redeliver, as passed to `send`.

    Attributes:
        hook_id: The subscription.
        request_id: The event (the `id` of a `WebhookEvent`).
    """

    hook_id: UUID
    request_id: UUID


TargetLike: TypeAlias = tuple[UUID | str, UUID | str] | WebhookEvent | Target
"""A `(hook_id, request_id)` pair, an event as listed by the service, or a `Target`."""


def parse_target(item: object, position: int) -> Target:
    """Convert an item of the caller's iterable to a target.

    Args:
        item: A target, an event, or a pair of IDs.
        position: Its index in the iterable, for the error message.

    Raises:
        InvalidArgumentError: The item does not identify an event.
    """
    if isinstance(item, Target):
        return item
    if isinstance(item, WebhookEvent):
        return Target(item.hook_id, item.id)
    name, kind = f"targets[{position}]", type(item).__name__
    if isinstance(item, tuple | list):
        pair = cast("Sequence[UUID | str]", item)
        if len(pair) == _PAIR_LENGTH:
            return Target(parse_id(pair[0], f"{name}[0]"), parse_id(pair[1], f"{name}[1]"))
    raise InvalidArgumentError(
        f"{name} must be a (hook_id, request_id) pair, a WebhookEvent or a Target, got {kind}."
    )
