"""The response of a subscriber, ready to display."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk._wire.redaction import MASK, redact_body
from webhooks_sdk.sandbox.inspector._formatting import static_header_values
from webhooks_sdk.sandbox.inspector._payload import Fragment, build_body_view, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhooks_sdk.sandbox._records import DeliveryAttempt, Subscription


@frozen(kw_only=True)
class ResponseView:
    """A response, ready to display.

    Attributes:
        status: The status and its phrase, such as `503 Service Unavailable`.
        content_type: The content type; None if the response has none.
        size: The size of the whole body, in bytes.
        fragments: The beginning of the body, in consecutive fragments.
        is_truncated: Whether the body is longer than that.
    """

    status: str
    content_type: str | None
    size: int
    fragments: tuple[Fragment, ...]
    is_truncated: bool


def build_response_view(
    attempt: DeliveryAttempt, subscription: Subscription | None, *, reveal: bool
) -> ResponseView | None:
    """Return the response to an attempt, ready to display; None if none was kept.

    A subscriber may echo what it received, so the body is untrusted text that can contain the
    secrets of the subscription. Only its current secret and the values of the static header of the
    attempt are known and masked. An earlier secret is not.

    Args:
        attempt: The attempt.
        subscription: Its subscription; None if that was deleted.
        reveal: Whether to show secrets in the body.
    """
    body, size = attempt.response_text, attempt.response_size
    if attempt.status is None or body is None or size is None:
        return None
    if not reveal and body:
        # The secret of a deleted subscription is unknown, so the whole body is masked.
        body = (
            MASK
            if subscription is None
            else redact_body(body.encode(), _secrets(attempt, subscription))
        )
    view = build_body_view(body.encode())
    content_type = attempt.response_content_type
    return ResponseView(
        status=_status_line(attempt.status),
        content_type=None if content_type is None else printable(content_type),
        size=size,
        fragments=view.fragments,
        is_truncated=len(attempt.response_body or b"") < size,
    )


def _secrets(attempt: DeliveryAttempt, subscription: Subscription) -> Iterator[str]:
    if subscription.secret:
        yield subscription.secret
    for value in static_header_values(attempt.request_headers):
        yield value
        # A subscriber may echo a credential without its scheme.
        yield from value.split()


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
