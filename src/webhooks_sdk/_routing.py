"""Which handler a delivery is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from webhooks_sdk._deliveries import Delivery
from webhooks_sdk.errors import ConfigurationError

DeliveryHandler: TypeAlias = Callable[[Delivery], object]
H = TypeVar("H", bound=DeliveryHandler)

_EVERYTHING = "*"
_is_key = re.compile(r"[^\s,:*]+(?::[^\s,:*]+)?|\*").fullmatch


class DeliveryRouter:
    """Handlers for deliveries, by event: for a `DeliveryApp`, or for a view of your own.

    Exactly one handler runs for a delivery, the most specific: that for its `subject:action`, else
    that for its `subject`, else that for `*`.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, DeliveryHandler] = {}

    def on(self, event: str) -> Callable[[H], H]:
        """Register the decorated function, sync or async, for an event.

        It is called with the `Delivery`; what it returns is not looked at. Decorate it several
        times to have it handle several events.

        Args:
            event: A `subject:action`, a `subject` (all its actions), or `*` (whatever nobody else
                handles).

        Raises:
            ConfigurationError: `event` is none of these, or has a handler already.
        """
        if not _is_key(event):
            raise ConfigurationError(
                f"A handler is for a subject, a subject:action, or *, not for {event!r}."
            )

        def register(handler: H) -> H:
            if event in self._handlers:
                raise ConfigurationError(f"There is a handler for {event!r} already.")
            self._handlers[event] = handler
            return handler

        return register

    def handler_for(self, event: str) -> DeliveryHandler | None:
        """Return the handler for deliveries of an event, None if nobody handles it."""
        for key in (event, event.partition(":")[0], _EVERYTHING):
            if key in self._handlers:
                return self._handlers[key]
        return None
