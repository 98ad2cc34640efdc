"""Routing of deliveries to handlers."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import TypeAlias, TypeVar, cast

from webhooks_sdk._receiving.delivery import Delivery
from webhooks_sdk._wire.event_names import event_name_problem
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import ConfigurationError

DeliveryHandler: TypeAlias = Callable[[Delivery], object]
HandlerT = TypeVar("HandlerT", bound=DeliveryHandler)

_WILDCARD = "*"


class DeliveryRouter:
    """Routes deliveries to handlers by event, in a `DeliveryApp` or your own view.

    Exactly one handler runs for each delivery, the most specific: the one for its
    `subject:action`, then for its `subject`, then for `*`.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, DeliveryHandler] = {}

    def on(self, event: str) -> Callable[[HandlerT], HandlerT]:
        """Register the decorated function, sync or async, as the handler for an event.

        The function is called with the `Delivery`; its return value is ignored. Stack decorators
        to handle several events.

        Args:
            event: A `subject:action`, a `subject` (for all its actions), or `*` (for every event
                without another handler).

        Raises:
            ConfigurationError: `event` is invalid or already has a handler, or the decorated
                object is not callable or is a generator function.
        """
        if problem := event_name_problem(event, wildcard=True):
            raise ConfigurationError(f"event {problem}")

        def register(handler: HandlerT) -> HandlerT:
            is_callable = callable(cast("object", handler))
            if not is_callable or isgeneratorfunction(handler) or isasyncgenfunction(handler):
                raise ConfigurationError(
                    f"The handler for {event!r} must be callable, and not a generator function:"
                    " calling one does not run its body."
                )
            if event in self._handlers:
                raise ConfigurationError(f"{event!r} already has a handler.")
            self._handlers[event] = handler
            return handler

        return register

    def handler_for(self, event: str) -> DeliveryHandler | None:
        """Return the most specific handler for an event, or None.

        Run it with `dispatch` from `webhooks_sdk.asgi` or `webhooks_sdk.wsgi`, which handle both
        sync and async handlers.
        """
        for pattern in (event, event.partition(":")[0], _WILDCARD):
            if pattern in self._handlers:
                return self._handlers[pattern]
        return None


def check_router(router: object) -> None:
    """Check that an object is a router, and not a handler, for example.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(router, DeliveryRouter):
        raise ConfigurationError(
            "router must be a DeliveryRouter on which handlers are registered with"
            f" @router.on(...), got {short_repr(router)}."
        )
