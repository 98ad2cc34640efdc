"""Payloads of sample events, as the inspector publishes them and the demo history varies them.

The `owner` has the fields that the service documents. The others are made up, but the ID of what an
event is about is always `id`, as in the examples of the documentation.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWNER = {
    "id": "6d0c5f0e-6f0b-4a57-9d0e-2f1b7c1f6a10",
    "first_name": "Grace",
    "last_name": "Whitfield",
    "email": "grace.whitfield@example.com",
    "phone": "555-0142",
    "auth_uid": "5f0a7f4e-0a4e-4c67-8a43-0d8f4b1f9b21",
    "is_guest": False,
}
_FORM = "0c9d2f5e-2c1f-4d0e-8b5a-64f4b6f0a7d3"
_BUSINESS = "Whitfield Bakery LLC"

PAYLOADS: Final[Mapping[str, Mapping[str, object]]] = {
    "application_form:quoted": {
        "id": _FORM,
        "status": "quoted",
        "business_name": _BUSINESS,
        "quotes": [
            {"carrier": "Example Mutual", "product": "bop", "premium_cents": 84_200},
            {"carrier": "Sample Casualty", "product": "bop", "premium_cents": 91_050},
        ],
        "owner": _OWNER,
    },
    "application_form:inactive": {
        "id": _FORM,
        "status": "inactive",
        "business_name": _BUSINESS,
        "inactive_for_days": 14,
        "owner": _OWNER,
    },
    "quote_request:completed": {
        "id": "e5b8a1a4-3a0f-4c0b-9f3c-1f3d2a9c7e55",
        "application_form_id": _FORM,
        "request_status": "completed",
        "business_name": _BUSINESS,
        "carrier": "Example Mutual",
        "premium_cents": 84_200,
        "owner": _OWNER,
    },
    "quote_request:failed": {
        "id": "1b7f9a02-8f0d-4b8e-a0f7-3d5f6a1c2b90",
        "application_form_id": _FORM,
        "request_status": "failed",
        "business_name": _BUSINESS,
        "carrier": "Sample Casualty",
        "errors": [{"field": "year_founded", "message": "must be at least three years ago"}],
        "owner": _OWNER,
    },
    "question_set:completed": {
        "id": "9f1d4c3b-7c55-4f5a-b1de-0f6c2b8e4a11",
        "application_form_id": _FORM,
        "business_name": _BUSINESS,
        "answered": 42,
        "total": 42,
        "owner": _OWNER,
    },
    "carrier": {
        "id": "4c1e6b7a-58d1-4e0b-9a3f-7e2d9c5b8f06",
        "application_form_id": _FORM,
        "carrier": "Example Mutual",
        "bridge": "off_platform",
    },
}
"""The payloads, by event name."""

SAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {name: json.dumps(payload, indent=2) for name, payload in PAYLOADS.items()}
)
"""The payloads as JSON, by event name."""
