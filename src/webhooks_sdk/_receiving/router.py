"""Which handler a delivery is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import TypeAlias, TypeVar, cast

from webhooks_sdk._receiving.delivery import Delivery
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
            ConfigurationError: `event` is none of these, or has a handler already; or what is
                decorated is no function, or a generator.
        """
        if not isinstance(cast("object", event), str) or not _is_key(event):
            raise ConfigurationError(
                f"A handler is for a subject, a subject:action, or *, not for {event!r}."
            )

        def register(handler: H) -> H:
            is_callable = callable(cast("object", handler))
            if not is_callable or isgeneratorfunction(handler) or isasyncgenfunction(handler):
                raise ConfigurationError(
                    f"The handler for {event!r} must be a function, and must not yield: calling a"
                    " generator runs nothing of it."
                )
            if event in self._handlers:
                raise ConfigurationError(f"There is a handler for {event!r} already.")
            self._handlers[event] = handler
            return handler

        return register

    def handler_for(self, event: str) -> DeliveryHandler | None:
        """Return the handler for deliveries of an event, None if nobody handles it.

        To run it, use `dispatch` of `webhooks_sdk.wsgi` or `webhooks_sdk.asgi`, which know sync
        handlers from async ones.
        """
        for key in (event, event.partition(":")[0], _EVERYTHING):
            if key in self._handlers:
                return self._handlers[key]
        return None
