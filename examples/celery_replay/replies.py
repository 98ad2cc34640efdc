"""What came of a task, as text and back. No I/O, and no pickle.

It is JSON text within Celery's JSON or Redis: an event is read back as it was sent, whatever fields
the service puts into it.
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
_PARTS = ("operation", "status", "body", "attempts", "outcome_unknown", "retry_after")


def write_reply(answer: WebhookEvent | Exception) -> str:
    """Return what came of a redelivery as text.

    Args:
        answer: What `redeliver` returned, or raised. Errors of the SDK are written with all their
            parts, in which secrets are masked; of others only the name, since their message could
            hold anything.
    """
    if isinstance(answer, WebhookEvent):
        return json.dumps({"event": answer.to_dict()})
    return json.dumps({"error": _parts_of(answer)})


def _parts_of(error: Exception) -> dict[str, Any]:
    parts: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, APIError):
        parts |= {name: getattr(error, name) for name in _PARTS}
        parts |= {"message": str(error.args[0]), "headers": list(error.headers.items())}
    elif isinstance(error, ClientClosedError | ConfigurationError):
        parts["message"] = str(error)
    if isinstance(error, AuthenticationError):
        parts |= {"error": error.error, "error_description": error.error_description}
    return parts


def read_reply(text: str, target: Target) -> WebhookEvent:
    """Return the event of a reply, or raise its error.

    Args:
        text: What `write_reply` returned.
        target: What was to be redelivered.

    Raises:
        APIError: As the worker's client raised it. An error that is none of the SDK's becomes an
            `APIConnectionError` whose outcome is unknown.
        ClientClosedError: As above.
        ConfigurationError: As above: nothing was sent.
        ValueError: The text is no reply.
    """
    reply = cast("dict[str, Any]", json.loads(text))
    try:
        if "event" in reply:
            return WebhookEvent.from_dict(reply["event"])
        error = _read_error(reply["error"], target)
    except (KeyError, TypeError) as problem:
        raise ValueError("The worker's reply is none: is it of another version?") from problem
    raise error


def _read_error(parts: dict[str, Any], target: Target) -> Exception:
    kind: str = parts["kind"]
    if kind in _OTHER_ERRORS:
        return _OTHER_ERRORS[kind](parts["message"])
    if kind not in _API_ERRORS:
        return APIConnectionError(
            f"The worker failed with {kind}: its log says why.",
            operation="redeliver",
            hook_id=target.hook_id,
            request_id=target.request_id,
            attempts=1,
            outcome_unknown=True,
        )
    error: APIError = _API_ERRORS[kind](
        parts["message"],
        hook_id=target.hook_id,
        request_id=target.request_id,
        headers=Headers((name, value) for name, value in parts["headers"]),
        **{name: parts[name] for name in _PARTS},
    )
    if isinstance(error, AuthenticationError):
        error.error, error.error_description = parts["error"], parts["error_description"]
    return error
