"""Parsing of the forms on the pages."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs

from attrs import frozen

from webhooks_sdk._wire.event_names import event_name_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FORM_BYTES = 4 << 20
UNITS: Mapping[str, int] = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}

_MAX_STEP = timedelta(days=366)
_match_number = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?").fullmatch


class FormError(ValueError):
    """A form field is invalid.

    Attributes:
        field: The name of the field.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@frozen
class PublishRequest:
    """An event to publish."""

    name: str
    body: bytes


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a URL-encoded form; the last value of a repeated one."""
    text = body.decode("utf-8", "replace")
    fields = parse_qs(text, keep_blank_values=True, max_num_fields=100)
    return {name: values[-1] for name, values in fields.items()}


def read_publish_form(form: Mapping[str, str]) -> PublishRequest:
    """Read the event to publish.

    Raises:
        FormError: The event name is invalid, or the payload is not a JSON object.
    """
    name = form.get("event", "").strip()
    if problem := event_name_problem(name, wildcard=False):
        raise FormError("event", f"The event name {problem}")
    text = form.get("payload", "")
    try:
        payload: object = json.loads(text, parse_constant=_reject_constant)
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FormError(
            "payload", f"The payload is not valid JSON: {error.msg} ({where})."
        ) from None
    except UnicodeEncodeError:
        raise FormError(
            "payload", "The payload has an unpaired surrogate, which UTF-8 cannot encode."
        ) from None
    except RecursionError:
        raise FormError("payload", "The payload is nested too deeply.") from None
    except ValueError as error:
        raise FormError("payload", f"The payload is not valid JSON: {error}.") from None
    if not isinstance(payload, dict):
        raise FormError("payload", "The payload must be a JSON object: { … }.")
    return PublishRequest(name, body)


def read_advance_form(form: Mapping[str, str]) -> timedelta:
    """Read how far to advance the clock.

    Raises:
        FormError: The amount or the unit is invalid, or the step is longer than 366 days.
    """
    amount, unit = form.get("amount", "").strip(), form.get("unit", "")
    if not _match_number(amount):
        raise FormError("amount", "Enter a number, such as 15 or 1.5.")
    if unit not in UNITS:
        raise FormError("amount", f"The unit must be one of {', '.join(UNITS)}.")
    step = timedelta(seconds=float(amount) * UNITS[unit])
    if step > _MAX_STEP:
        raise FormError("amount", f"Advance by at most {_MAX_STEP.days} days.")
    return step


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")
