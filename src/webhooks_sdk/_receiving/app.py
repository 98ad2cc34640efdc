"""The parts of `DeliveryApp` that ASGI and WSGI share: request checks and responses."""

from __future__ import annotations

import logging
import re
import traceback
from http import HTTPStatus

from attrs import frozen

from webhooks_sdk._core.validation import check_bool
from webhooks_sdk._receiving.delivery import (
    DEFAULT_MAX_BODY_BYTES,
    Delivery,
    HeadersLike,
    check_body_size,
    check_max_body_bytes,
)
from webhooks_sdk._receiving.router import DeliveryHandler, DeliveryRouter, check_router
from webhooks_sdk._receiving.signing import Secrets, parse_secrets
from webhooks_sdk._wire.exceptions import exceptions_in_traceback
from webhooks_sdk.errors import DeliveryError

_METHOD = "POST"

_logger = logging.getLogger("webhooks_sdk")
_match_length = re.compile("[0-9]{1,18}").fullmatch


@frozen
class AppResponse:
    """The HTTP response to a request.

    Attributes:
        status: The HTTP status.
        text: The body, which never quotes the delivery.
    """

    status: int
    text: str = ""

    @property
    def body(self) -> bytes:
        """The encoded body."""
        return self.text.encode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers, as pairs of names and values."""
        if self.status == HTTPStatus.NO_CONTENT:
            return []
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            *([("Allow", _METHOD)] if self.status == HTTPStatus.METHOD_NOT_ALLOWED else []),
        ]


SUCCESS = AppResponse(HTTPStatus.NO_CONTENT)
_HANDLER_FAILED = AppResponse(HTTPStatus.INTERNAL_SERVER_ERROR, "The handler failed.\n")


class _MethodNotAllowedError(DeliveryError):
    status = 405


class BodyBuffer:
    """Collects the body of one request, up to a limit.

    Args:
        content_length: The value of the Content-Length header, or None.
        limit: Maximum size of the body in bytes.

    Raises:
        DeliveryTooLargeError: The Content-Length exceeds the limit.
        DeliveryError: The Content-Length is not a number.
    """

    def __init__(self, content_length: str | None, limit: int) -> None:
        if content_length is not None and not _match_length(content_length):
            raise DeliveryError("The Content-Length header is not a number.")
        self._content_length = None if content_length is None else int(content_length)
        check_body_size(self._content_length or 0, limit)
        self._limit = limit
        self._size = 0
        self._chunks: list[bytes] = []

    @property
    def remaining(self) -> int:
        """How many bytes may still be read.

        Without a Content-Length, one more than the limit, so that an excess is noticed.
        """
        total = self._limit + 1 if self._content_length is None else self._content_length
        return total - self._size

    def append(self, chunk: bytes) -> None:
        """Add the next chunk.

        Raises:
            DeliveryTooLargeError: The body is larger than the limit.
        """
        self._size += len(chunk)
        check_body_size(self._size, self._limit)
        self._chunks.append(chunk)

    def finish(self) -> bytes:
        """Return the complete body.

        Raises:
            DeliveryError: The body is shorter than its Content-Length.
        """
        if self._content_length is not None and self._size < self._content_length:
            raise DeliveryError("The body is shorter than its Content-Length.")
        return b"".join(self._chunks)


class BaseDeliveryApp:
    """The settings and checks of a `DeliveryApp`.

    Subclasses read the request, run the handler, and send the response.
    """

    def __init__(
        self,
        router: DeliveryRouter,
        *,
        secret: Secrets | None,
        allow_unsigned: bool = False,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        check_router(router)
        check_bool("allow_unsigned", allow_unsigned)
        check_max_body_bytes(max_body_bytes)
        self._router = router
        self._keys = None if secret is None else parse_secrets(secret)
        self._allow_unsigned = allow_unsigned
        self._max_body_bytes = max_body_bytes

    def _start_body(self, method: str, content_length: str | None) -> BodyBuffer:
        """Check the start of a request, and return an empty buffer for its body.

        Raises:
            DeliveryError: The request is rejected before its body is read.
        """
        if method != _METHOD:
            raise _MethodNotAllowedError(f"Deliveries must be sent with {_METHOD}.")
        return BodyBuffer(content_length, self._max_body_bytes)

    def _parse_delivery(self, headers: HeadersLike, body: BodyBuffer) -> Delivery:
        """Verify and parse a complete request.

        Raises:
            DeliveryError: The request is rejected.
        """
        return Delivery.from_http(
            headers,
            body.finish(),
            secret=self._keys,
            allow_unsigned=self._allow_unsigned,
            max_body_bytes=self._max_body_bytes,
        )


def find_handler(router: DeliveryRouter, delivery: Delivery) -> DeliveryHandler | None:
    """Return the handler for a delivery; log it and return None if there is none.

    Raises:
        ConfigurationError: `router` is not a `DeliveryRouter`.
    """
    check_router(router)
    handler = router.handler_for(delivery.event)
    if handler is None:
        _logger.debug(
            "There is no handler for %s, delivery %s.", delivery.event, delivery.delivery_id
        )
    return handler


def reject(error: DeliveryError) -> AppResponse:
    """Log a rejected request and return its response."""
    # Other methods come from health checks and scanners, not from the service.
    level = logging.DEBUG if isinstance(error, _MethodNotAllowedError) else logging.WARNING
    _logger.log(level, "Rejected a delivery with status %d: %s", error.status, error)
    return AppResponse(error.status, f"{error}\n")


def handler_failed(delivery: Delivery, error: BaseException) -> AppResponse:
    """Log an exception raised by a handler and return the response, which causes a retry.

    The log has the types of the exception and of those behind it, and where they were raised, but
    not their texts, which may quote the payload.
    """
    _logger.error(
        "The handler for %s raised %s on delivery %s, so the response is 500 and the service will"
        " retry. Exception texts are not logged, since they may quote the payload.\n%s",
        delivery.event,
        _type_name(error),
        delivery.delivery_id,
        _format_without_texts(error),
    )
    return _HANDLER_FAILED


def _format_without_texts(error: BaseException) -> str:
    """Format the tracebacks of an exception and of those behind it, without their texts."""
    return "\n".join(
        f"{_type_name(link)} was raised at:\n{''.join(traceback.format_tb(link.__traceback__))}"
        for link in exceptions_in_traceback(error)
    ).rstrip()


def _type_name(error: BaseException) -> str:
    cls = type(error)
    prefix = "" if cls.__module__ in {"builtins", "__main__"} else f"{cls.__module__}."
    return f"{prefix}{cls.__qualname__}"
