"""Encode the results of tasks as JSON text, and decode them. No I/O.

Replies do not use Celery's JSON encoding, which would change some values: an event is decoded
exactly as it was encoded, whatever fields the service added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from webhooks_sdk import Headers, WebhookEvent, errors
from webhooks_sdk.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
)

if TYPE_CHECKING:
    from webhooks_sdk.replay import Target

_API_ERRORS = {
    kind.__name__: kind
    for kind in (getattr(errors, name) for name in errors.__all__)
    if issubclass(kind, APIError)
}
_OTHER_ERRORS = {kind.__name__: kind for kind in (ClientClosedError, ConfigurationError)}
_ATTRIBUTES = ("operation", "status", "body", "attempts", "outcome_unknown", "retry_after")


def encode_reply(result: WebhookEvent | Exception) -> str:
    """Return the result of a redelivery as text.

    Args:
        result: What `redeliver` returned or raised. Errors of the SDK are encoded with all their
            attributes, in which secrets are masked. Other errors are reduced to their class name,
            since their message could contain a secret.
    """
    if isinstance(result, WebhookEvent):
        return json.dumps({"event": result.to_dict()})
    return json.dumps({"error": _encode_error(result)})


def _encode_error(error: Exception) -> dict[str, Any]:
    encoded: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, APIError):
        encoded |= {name: getattr(error, name) for name in _ATTRIBUTES}
        encoded |= {"message": str(error.args[0]), "headers": list(error.headers.items())}
    elif isinstance(error, ClientClosedError | ConfigurationError):
        encoded["message"] = str(error)
    if isinstance(error, AuthenticationError):
        encoded |= {"error": error.error, "error_description": error.error_description}
    return encoded


def decode_reply(text: str, target: Target) -> WebhookEvent:
    """Return the event of a reply, or raise its error.

    Args:
        text: The result of `encode_reply`.
        target: The event of the task.

    Raises:
        APIError: As raised by the worker's client. An error from outside the SDK becomes an
            `APIConnectionError` whose outcome is unknown.
        ClientClosedError: As raised by the worker's client.
        ConfigurationError: As raised by the worker. Nothing was sent.
        ValueError: The text is not a valid reply.
    """
    reply = cast("dict[str, Any]", json.loads(text))
    try:
        if "event" in reply:
            return WebhookEvent.from_dict(reply["event"])
        error = _decode_error(reply["error"], target)
    except (KeyError, TypeError) as problem:
        raise ValueError(
            "The text is not a valid reply: check that the worker runs the same version."
        ) from problem
    raise error


def _decode_error(encoded: dict[str, Any], target: Target) -> Exception:
    kind: str = encoded["kind"]
    if kind in _OTHER_ERRORS:
        return _OTHER_ERRORS[kind](encoded["message"])
    if kind not in _API_ERRORS:
        return APIConnectionError(
            f"The worker failed with {kind}: see its log.",
            operation="redeliver",
            hook_id=target.hook_id,
            request_id=target.request_id,
            attempts=1,
            outcome_unknown=True,
        )
    error: APIError = _API_ERRORS[kind](
        encoded["message"],
        hook_id=target.hook_id,
        request_id=target.request_id,
        headers=Headers((name, value) for name, value in encoded["headers"]),
        **{name: encoded[name] for name in _ATTRIBUTES},
    )
    if isinstance(error, AuthenticationError):
        error.error, error.error_description = encoded["error"], encoded["error_description"]
    return error
