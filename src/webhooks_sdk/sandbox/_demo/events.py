"""The events of the demo history: random names and payloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from webhooks_sdk.sandbox._samples import PAYLOADS

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

T = TypeVar("T")

# Repeated names are drawn more often.
_NAMES: Final = (
    "application_form:quoted",
    "application_form:quoted",
    "application_form:inactive",
    "quote_request:completed",
    "quote_request:completed",
    "quote_request:completed",
    "quote_request:failed",
    "question_set:completed",
    "carrier:bridged",
)
_OWNERS: Final = (
    ("Ada", "Okafor"),
    ("Bruno", "Lindqvist"),
    ("Chiara", "Novak"),
    ("Devi", "Ramaswamy"),
    ("Emil", "Sørensen"),
    ("Farah", "Haddad"),
)
_BUSINESSES: Final = ("Bakery", "Bike repair", "Coffee roastery", "Joinery", "Print shop")
_CARRIERS: Final = ("Northwind Mutual", "Harbor & Sons", "Fairline", "Prairie Assurance")


def random_event(generator: random.Random) -> tuple[str, bytes]:
    """Return the name and the body of a random event: the sample with other names and numbers."""
    name = _pick(generator, _NAMES)
    payload = dict(PAYLOADS.get(name) or PAYLOADS[name.partition(":")[0]])
    payload["id"] = _id(generator)
    if "application_form_id" in payload:
        payload["application_form_id"] = _id(generator)
    if "business_name" in payload:
        payload["business_name"] = _pick(generator, _BUSINESSES)
    if "carrier" in payload:
        payload["carrier"] = _pick(generator, _CARRIERS)
    if "premium_cents" in payload:
        payload["premium_cents"] = 25_000 + int(generator.random() * 400_000)
    if "owner" in payload:
        payload["owner"] = _owner(generator)
    return name, json.dumps(payload, ensure_ascii=False).encode()


def _owner(generator: random.Random) -> dict[str, object]:
    first, last = _pick(generator, _OWNERS)
    return {
        "id": _id(generator),
        "first_name": first,
        "last_name": last,
        "email": f"{first.lower()}@example.com",
        "phone": f"+1-202-555-01{int(generator.random() * 100):02}",
        "auth_uid": _id(generator),
        "is_guest": generator.random() < 0.2,  # noqa: PLR2004
    }


def _pick(generator: random.Random, choices: Sequence[T]) -> T:
    # random() is the only method whose sequence for a seed is guaranteed not to change.
    return choices[int(generator.random() * len(choices))]


def _id(generator: random.Random) -> str:
    return str(UUID(int=generator.getrandbits(128), version=4))
