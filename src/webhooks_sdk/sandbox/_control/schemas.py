"""What the control API takes and gives, as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast
from uuid import UUID

from attrs import asdict

from webhooks_sdk.sandbox._http.faults import Fault
from webhooks_sdk.sandbox._service.errors import RequestRefusedError, error_body, unprocessable
from webhooks_sdk.sandbox._variants import Variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhooks_sdk.sandbox._records import DeliveryAttempt, PendingRetry
    from webhooks_sdk.sandbox._storage.history import AttemptOutcome
    from webhooks_sdk.sandbox._tenant import Tenant

MAX_PAGE: Final = 1000
_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")
# SQLite's integers have 64 bits.
_LAST_POSITION: Final = 2**63 - 1
_PAGE_PARAMETERS: Final = ("before", "limit", "hook_id", "event_id", "outcome")
_OUTCOMES: Final[tuple[AttemptOutcome, ...]] = ("delivered", "failed", "under_way")


def attempt_row(attempt: DeliveryAttempt) -> dict[str, object]:
    """Return a delivery attempt, with all that is known of it."""
    row = {name: _plain(value) for name, value in asdict(attempt, recurse=False).items()}
    row["request_headers"] = [list(pair) for pair in attempt.request_headers]
    return {
        **row,
        "redelivery": attempt.redelivery,
        "delivered": attempt.delivered,
        "failure": attempt.failure,
    }


def retry_row(retry: PendingRetry) -> dict[str, object]:
    """Return a retry that is to come."""
    return {name: _plain(value) for name, value in asdict(retry).items()}


def tenant_row(tenant: Tenant) -> dict[str, object]:
    """Return who a tenant is. Its secret is not shown."""
    return {
        "tenant_id": str(tenant.tenant_id),
        "environment": tenant.environment,
        "client_id": tenant.client_id,
        "base_url": tenant.base_url,
        "token_url": tenant.token_url,
    }


def state_row(tenant: Tenant) -> dict[str, object]:
    """Return how things stand with a tenant."""
    return {
        **tenant_row(tenant),
        "now": _plain(tenant.now),
        "subscriptions": len(tenant.subscriptions),
        "pending_retries": [retry_row(one) for one in tenant.pending_retries],
        "variants": asdict(tenant.variants),
        "faults": [one.to_dict() for one in tenant.faults],
        "version": tenant.changes.version,
    }


def read_event(data: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Read what is to be published: its name and its payload.

    Raises:
        RequestRefusedError: 422, it is no event.
    """
    check_fields(data, ("event", "payload"))
    event, payload = data.get("event"), data.get("payload", {})
    if not isinstance(event, str):
        raise unprocessable("event must be a string such as 'subject:action'.")
    if not isinstance(payload, dict):
        raise unprocessable("payload must be an object.")
    return event, cast("dict[str, object]", payload)


def read_step(data: Mapping[str, object]) -> timedelta:
    """Read a step of time, in any of the units.

    Raises:
        RequestRefusedError: 422, it is none.
    """
    check_fields(data, _UNITS)
    if not data:
        raise unprocessable(f"Say how far, in any of: {', '.join(_UNITS)}.")
    for name, value in data.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise unprocessable(f"{name} must be a number.")
    try:
        return timedelta(**cast("dict[str, float]", dict(data)))
    except OverflowError:
        raise unprocessable("The step is too long.") from None


def read_faults(data: object) -> tuple[Fault, ...]:
    """Read a fault or an array of them.

    Raises:
        RequestRefusedError: 422, it is neither.
    """
    many = cast("list[object]", data) if isinstance(data, list) else [data]
    faults: list[Fault] = []
    for one in many:
        if not isinstance(one, dict):
            raise unprocessable("A fault must be an object, such as {'kind': 'reset_after'}.")
        try:
            faults.append(Fault.from_dict(cast("dict[str, object]", one)))
        except ValueError as error:
            raise unprocessable(str(error)) from None
    return tuple(faults)


def read_variants(data: Mapping[str, object]) -> Variants:
    """Read variants: by `name`, by `seed`, or one by one.

    Raises:
        RequestRefusedError: 422, there are none such.
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


def read_page(query: Mapping[str, str]) -> dict[str, int | UUID | AttemptOutcome]:
    """Read which attempts are asked for: the arguments of `Tenant.attempts_page`.

    Raises:
        RequestRefusedError: 422, a parameter is not what it should be.
    """
    check_fields(query, (*_PAGE_PARAMETERS, "tenant"))
    page: dict[str, int | UUID | AttemptOutcome] = {}
    for name, most in (("before", _LAST_POSITION), ("limit", MAX_PAGE)):
        if name in query:
            page[name] = _whole(name, query[name], most)
    for name in ("hook_id", "event_id"):
        if name in query:
            page[name] = read_uuid(name, query[name])
    if "outcome" in query:
        page["outcome"] = _outcome(query["outcome"])
    return page


def read_uuid(name: str, value: str) -> UUID:
    """Read a UUID.

    Raises:
        RequestRefusedError: 422, it is none.
    """
    try:
        return UUID(value)
    except ValueError:
        raise unprocessable(f"{name} must be a UUID.") from None


def check_fields(data: Mapping[str, object], known: Iterable[str]) -> None:
    """Check that there is nothing unknown.

    Raises:
        RequestRefusedError: 422, there is.
    """
    names = tuple(known)
    if unknown := sorted(data.keys() - set(names)):
        raise unprocessable(f"Unknown: {', '.join(unknown)}. There are: {', '.join(names)}.")


def conflict(message: str) -> RequestRefusedError:
    """What is asked for does not go with how things stand."""
    return RequestRefusedError(HTTPStatus.CONFLICT, error_body(HTTPStatus.CONFLICT, message))


def _outcome(text: str) -> AttemptOutcome:
    for outcome in _OUTCOMES:
        if outcome == text:
            return outcome
    raise unprocessable(f"outcome must be one of {', '.join(_OUTCOMES)}.")


def _whole(name: str, text: str, most: int) -> int:
    # isdecimal also takes the digits of other scripts, and so does int.
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= most):  # noqa: PLR2004
        raise unprocessable(f"{name} must be a whole number, 1 to {most}.")
    return int(text)


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
