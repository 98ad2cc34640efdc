"""What a request to a `DeliveryApp` is answered: all that its ASGI and its WSGI form share."""

from __future__ import annotations

import logging
import re
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk._receiving.delivery import DEFAULT_MAX_BODY_BYTES, Delivery, check_size
from webhooks_sdk._receiving.signing import read_keys
from webhooks_sdk._wire.exceptions import exceptions_in_traceback
from webhooks_sdk.errors import ConfigurationError, DeliveryError

if TYPE_CHECKING:
    from webhooks_sdk._receiving.delivery import HeadersLike
    from webhooks_sdk._receiving.router import DeliveryHandler, DeliveryRouter
    from webhooks_sdk._receiving.signing import Secrets

_METHOD = "POST"

_logger = logging.getLogger("webhooks_sdk")
_is_length = re.compile("[0-9]{1,18}").fullmatch


@frozen
class Reply:
    """What to answer.

    Attributes:
        status: The HTTP status.
        text: The body, which has no part of a delivery.
    """

    status: int
    text: str = ""

    @property
    def body(self) -> bytes:
        """The body as it is sent."""
        return self.text.encode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers."""
        if self.status == HTTPStatus.NO_CONTENT:
            return []
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            *([("Allow", _METHOD)] if self.status == HTTPStatus.METHOD_NOT_ALLOWED else []),
        ]


HANDLED = Reply(HTTPStatus.NO_CONTENT)
_FAILED = Reply(HTTPStatus.INTERNAL_SERVER_ERROR, "The handler failed.\n")


class _MethodNotAllowedError(DeliveryError):
    status = 405


class IncomingBody:
    """Collects the body of one request, within a limit.

    Args:
        declared: The value of Content-Length, None if there is none.
        limit: How many bytes the body may have.

    Raises:
        DeliveryTooLargeError: More than that were declared.
        DeliveryError: `declared` is no number.
    """

    def __init__(self, declared: str | None, limit: int) -> None:
        if declared is not None and not _is_length(declared):
            raise DeliveryError("The Content-Length header is no number.")
        self._declared = None if declared is None else int(declared)
        check_size(self._declared or 0, limit)
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    @property
    def wanted(self) -> int:
        """How many bytes to read at most: what was declared, or one more than is allowed."""
        return (self._limit + 1 if self._declared is None else self._declared) - self._size

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk.

        Raises:
            DeliveryTooLargeError: The body is larger than the limit.
        """
        self._size += len(chunk)
        check_size(self._size, self._limit)
        self._parts.append(chunk)

    def finish(self) -> bytes:
        """Return the whole body.

        Raises:
            DeliveryError: It is shorter than declared.
        """
        if self._declared is not None and self._size < self._declared:
            raise DeliveryError("The body is shorter than its Content-Length.")
        return b"".join(self._parts)


class Receiver:
    """Decides what becomes of requests; its two children read, run the handler, and answer."""

    def __init__(
        self,
        router: DeliveryRouter,
        *,
        secret: Secrets | None,
        allow_unsigned: bool = False,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        if isinstance(max_body_bytes, bool) or max_body_bytes < 1:
            raise ConfigurationError(
                f"max_body_bytes must be an integer of at least 1, not {max_body_bytes!r}."
            )
        self._router = router
        self._keys = None if secret is None else read_keys(secret)
        self._allow_unsigned = allow_unsigned
        self._max_body_bytes = max_body_bytes

    def _begin(self, method: str, content_length: str | None) -> IncomingBody:
        """Look at the beginning of a request, and return what is to take its body.

        Raises:
            DeliveryError: It is refused before its body is read.
        """
        if method != _METHOD:
            raise _MethodNotAllowedError(f"Deliveries come by {_METHOD}.")
        return IncomingBody(content_length, self._max_body_bytes)

    def _conclude(self, headers: HeadersLike, body: IncomingBody) -> Delivery:
        """Return the delivery that a request is.

        Raises:
            DeliveryError: It is refused.
        """
        return Delivery.from_http(
            headers,
            body.finish(),
            secret=self._keys,
            allow_unsigned=self._allow_unsigned,
            max_body_bytes=self._max_body_bytes,
        )


def find_handler(router: DeliveryRouter, delivery: Delivery) -> DeliveryHandler | None:
    """Return who handles a delivery, None if nobody does, which is logged."""
    handler = router.handler_for(delivery.event)
    if handler is None:
        _logger.debug("nobody handles %s, delivery %s", delivery.event, delivery.delivery_id)
    return handler


def refused(error: DeliveryError) -> Reply:
    """Return what to answer to a request that is refused."""
    # Health checks and scanners come by other methods: no delivery is lost with them.
    level = logging.DEBUG if isinstance(error, _MethodNotAllowedError) else logging.WARNING
    _logger.log(level, "refused a delivery with %d: %s", error.status, error)
    return Reply(error.status, f"{error}\n")


def failed(delivery: Delivery, error: BaseException) -> Reply:
    """Return what to answer where the handler raised: the service is to try again.

    What was raised, and what led to it, is logged by types and places only: texts may quote the
    payload.
    """
    places = [
        f"{type(link).__qualname__}\n{''.join(traceback.format_tb(link.__traceback__))}"
        for link in exceptions_in_traceback(error)
    ]
    _logger.error(
        "the handler of %s, delivery %s, raised %s",
        delivery.event,
        delivery.delivery_id,
        "because of ".join(places),
    )
    return _FAILED
