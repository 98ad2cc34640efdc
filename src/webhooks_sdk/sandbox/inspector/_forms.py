"""What the forms of the pages ask for."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs

from attrs import frozen

from webhooks_sdk.sandbox._service.rules import is_event_name

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FORM_BYTES = 4 << 20
UNITS: Mapping[str, int] = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}

_LONGEST_STEP = timedelta(days=366)
_is_number = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?").fullmatch


class FormError(ValueError):
    """A field of a form cannot be taken.

    Attributes:
        field: The name of the field.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@frozen
class Publication:
    """An event that is to happen."""

    name: str
    body: bytes


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a URL-encoded form; of a repeated one, the last value."""
    text = body.decode("utf-8", "replace")
    fields = parse_qs(text, keep_blank_values=True, max_num_fields=100)
    return {name: values[-1] for name, values in fields.items()}


def read_publication(form: Mapping[str, str]) -> Publication:
    """Read which event is to be published.

    Raises:
        FormError: Its name is none, or its payload is no JSON object.
    """
    name = form.get("event", "").strip()
    if not is_event_name(name):
        raise FormError("event", "Name the event as subject:action or subject, without spaces.")
    text = form.get("payload", "")
    try:
        payload: object = json.loads(text, parse_constant=_refuse_constant)
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FormError("payload", f"This is no JSON: {error.msg} ({where}).") from None
    except UnicodeEncodeError:
        raise FormError("payload", "It has half a surrogate pair, which cannot be sent.") from None
    except RecursionError:
        raise FormError("payload", "This is no JSON that can be read: nested too deep.") from None
    except ValueError as error:
        raise FormError("payload", f"This is no JSON: {error}.") from None
    if not isinstance(payload, dict):
        raise FormError("payload", "The payload must be a JSON object: { … }.")
    return Publication(name, body)


def read_step(form: Mapping[str, str]) -> timedelta:
    """Read by how much the clock is to be stepped.

    Raises:
        FormError: That is no number, or leads too far.
    """
    amount, unit = form.get("amount", "").strip(), form.get("unit", "")
    if not _is_number(amount):
        raise FormError("amount", "Give a number, such as 15 or 1.5.")
    if unit not in UNITS:
        raise FormError("amount", f"The unit must be one of {', '.join(UNITS)}.")
    step = timedelta(seconds=float(amount) * UNITS[unit])
    if step > _LONGEST_STEP:
        raise FormError("amount", "Step by a year at most.")
    return step


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it has {name}, which JSON lacks")
