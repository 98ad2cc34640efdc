"""The event with which the server responds to every redelivery."""

from __future__ import annotations

import json

HOOK_ID = "e6db9c1a-d15f-4248-81fa-5b61fc321def"
REQUEST_ID = "29dd8606-4e01-46cb-aca2-dd6022e74865"

EVENT_JSON = json.dumps(
    {
        "id": REQUEST_ID,
        "tenant_id": "5323b917-54f9-4866-aec7-67a5f1062be1",
        "delivery_id": "2f2611b4-9f41-4dd2-81b2-3c74eb6a79b8",
        "event": "application_form:inactive",
        "enqueued_at": "2020-09-30T21:18:03.353Z",
        "redelivery": True,
        "hook_id": HOOK_ID,
        "created_at": "2020-09-30T21:18:03.426Z",
        "updated_at": "2020-09-30T21:18:03.426Z",
        "response_status": 200,
        "response_duration_ms": 293,
    },
    separators=(",", ":"),
)
