"""What is to be redelivered: one event of one subscription."""

from typing import TYPE_CHECKING, TypeAlias, cast
from uuid import UUID

from attrs import frozen

from webhooks_sdk._codec import parse_id
from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

TargetLike: TypeAlias = tuple[UUID | str, UUID | str] | WebhookEvent
"""A `(hook_id, request_id)` pair, or an event as it is listed."""

_PAIR = 2


@frozen
class Target:
    """One event to be redelivered: what a replay hands to `send`.

    Attributes:
        hook_id: The subscription.
        request_id: The event: the `id` of a `WebhookEvent`.
    """

    hook_id: UUID
    request_id: UUID


def read_target(item: object, position: int) -> Target:
    """Read what the caller's iterable yielded.

    Args:
        item: What it was.
        position: Its place in the iterable, counted from 0.

    Raises:
        InvalidArgumentError: It names no event.
    """
    if isinstance(item, Target):
        return item
    if isinstance(item, WebhookEvent):
        return Target(item.hook_id, item.id)
    name, kind = f"targets[{position}]", type(item).__name__
    if isinstance(item, tuple | list):
        pair = cast("Sequence[UUID | str]", item)
        if len(pair) == _PAIR:
            return Target(parse_id(pair[0], f"{name}[0]"), parse_id(pair[1], f"{name}[1]"))
    raise InvalidArgumentError(
        f"{name} must be a (hook_id, request_id) pair or a WebhookEvent, not {kind}."
    )
