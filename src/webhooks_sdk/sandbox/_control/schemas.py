"""Encode and decode the JSON of the control API."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast
from uuid import UUID

from attrs import asdict

from webhooks_sdk._wire.event_names import event_name_problem
from webhooks_sdk.sandbox._http.faults import Fault
from webhooks_sdk.sandbox._service.errors import RequestRefusedError, error_body, unprocessable
from webhooks_sdk.sandbox._storage.database import MAX_INTEGER
from webhooks_sdk.sandbox._variants import Variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhooks_sdk.sandbox._records import DeliveryAttempt, PendingRetry
    from webhooks_sdk.sandbox._storage.attempts import AttemptState
    from webhooks_sdk.sandbox._tenant import Tenant

_MAX_LIMIT: Final = 1000
_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")
_PAGE_PARAMETERS: Final = ("before", "limit", "hook_id", "event_id", "state")
_STATES: Final[tuple[AttemptState, ...]] = ("delivered", "failed", "in_flight")


def encode_attempt(attempt: DeliveryAttempt) -> dict[str, object]:
    """Encode a delivery attempt."""
    row = {name: _encode_value(value) for name, value in asdict(attempt, recurse=False).items()}
    row["request_headers"] = [list(pair) for pair in attempt.request_headers]
    return {
        **row,
        "response_body": attempt.response_text,
        "redelivery": attempt.redelivery,
        "delivered": attempt.delivered,
        "failure": attempt.failure,
    }


def encode_retry(retry: PendingRetry) -> dict[str, object]:
    """Encode a pending retry."""
    return {name: _encode_value(value) for name, value in asdict(retry).items()}


def encode_tenant(tenant: Tenant) -> dict[str, object]:
    """Encode a tenant, without its client secret."""
    return {
        "tenant_id": str(tenant.tenant_id),
        "environment": tenant.environment,
        "client_id": tenant.client_id,
        "base_url": tenant.base_url,
        "token_url": tenant.token_url,
    }


def encode_state(tenant: Tenant) -> dict[str, object]:
    """Encode the current state of a tenant."""
    return {
        **encode_tenant(tenant),
        "now": _encode_value(tenant.now),
        "subscriptions": len(tenant.subscriptions),
        "pending_retries": [encode_retry(retry) for retry in tenant.pending_retries],
        "variants": asdict(tenant.variants),
        "faults": [fault.to_dict() for fault in tenant.faults],
        "version": tenant.changes.version,
    }


def read_event(data: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return the name and the payload of an event to publish.

    Raises:
        RequestRefusedError: 422, the event is not valid.
    """
    check_fields(data, ("event", "payload"))
    event, payload = data.get("event"), data.get("payload", {})
    if problem := event_name_problem(event, wildcard=False):
        raise unprocessable(f"event {problem}")
    if not isinstance(payload, dict):
        raise unprocessable("payload must be an object.")
    return str(event), cast("dict[str, object]", payload)


def read_step(data: Mapping[str, object]) -> timedelta:
    """Return a time step, given in any of the units.

    Raises:
        RequestRefusedError: 422, the step is not valid.
    """
    check_fields(data, _UNITS)
    if not data:
        raise unprocessable(f"The body has no step. Pass at least one of: {', '.join(_UNITS)}.")
    for name, value in data.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise unprocessable(f"{name} must be a number.")
    try:
        return timedelta(**cast("dict[str, float]", dict(data)))
    except OverflowError:
        raise unprocessable("The step is too long: the clock cannot pass the year 9998.") from None


def read_faults(data: object) -> tuple[Fault, ...]:
    """Return the faults in a JSON value: one object or an array of them.

    Raises:
        RequestRefusedError: 422, a fault is not valid.
    """
    items = cast("list[object]", data) if isinstance(data, list) else [data]
    faults: list[Fault] = []
    for item in items:
        if not isinstance(item, dict):
            raise unprocessable("A fault must be an object, such as {'kind': 'reset_after'}.")
        try:
            faults.append(Fault.from_dict(cast("dict[str, object]", item)))
        except ValueError as error:
            raise unprocessable(str(error)) from None
    return tuple(faults)


def read_variants(data: Mapping[str, object]) -> Variants:
    """Return variants, given by `name`, by `seed` or by their fields.

    Raises:
        RequestRefusedError: 422, the variants are unknown or not valid.
    """
    names = list(data)
    try:
        if names == ["name"]:
            return Variants.named(str(data["name"]))
        if names == ["seed"]:
            return Variants.of(cast("int", data["seed"]))
        check_fields(data, asdict(Variants()))
        return Variants(**cast("dict[str, int]", dict(data)))  # type: ignore[arg-type]  # checked there
    except (ValueError, TypeError) as error:
        raise unprocessable(str(error.args[0])) from None


def read_page(query: Mapping[str, str]) -> dict[str, int | UUID | AttemptState]:
    """Return the arguments of `Tenant.attempts_page` from query parameters.

    Raises:
        RequestRefusedError: 422, a parameter is unknown or not valid.
    """
    check_fields(query, (*_PAGE_PARAMETERS, "tenant"))
    page: dict[str, int | UUID | AttemptState] = {}
    for name, maximum in (("before", MAX_INTEGER), ("limit", _MAX_LIMIT)):
        if name in query:
            page[name] = _read_integer(name, query[name], maximum)
    for name in ("hook_id", "event_id"):
        if name in query:
            page[name] = read_uuid(name, query[name])
    if "state" in query:
        page["state"] = _read_state(query["state"])
    return page


def read_uuid(name: str, value: str) -> UUID:
    """Return a UUID from its text.

    Raises:
        RequestRefusedError: 422, the text is not a UUID.
    """
    try:
        return UUID(value)
    except ValueError:
        raise unprocessable(f"{name} must be a UUID.") from None


def check_fields(data: Mapping[str, object], known: Iterable[str]) -> None:
    """Check that all fields are known.

    Raises:
        RequestRefusedError: 422, a field is unknown.
    """
    names = tuple(known)
    if unknown := sorted(data.keys() - set(names)):
        raise unprocessable(
            f"Unknown fields: {', '.join(unknown)}. Valid fields are: {', '.join(names)}."
        )


def conflict(message: str) -> RequestRefusedError:
    """Build a 409 error: the request conflicts with the current state."""
    return RequestRefusedError(HTTPStatus.CONFLICT, error_body(HTTPStatus.CONFLICT, message))


def _read_state(text: str) -> AttemptState:
    for state in _STATES:
        if state == text:
            return state
    raise unprocessable(f"state must be one of {', '.join(_STATES)}.")


def _read_integer(name: str, text: str, maximum: int) -> int:
    # isdecimal and int also accept the digits of other scripts.
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= maximum):  # noqa: PLR2004
        raise unprocessable(f"{name} must be an integer from 1 to {maximum}.")
    return int(text)


def _encode_value(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
