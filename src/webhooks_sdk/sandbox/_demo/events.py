"""The events of the story: names and payloads, drawn at random."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

T = TypeVar("T")

# As often as they stand here.
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


def draw_event(draw: random.Random) -> tuple[str, bytes]:
    """Return an event's name and the body of its deliveries."""
    name = _pick(draw, _NAMES)
    subject, _, action = name.partition(":")
    payload: dict[str, object] = {"id": _id(draw), "status": action}
    if subject == "carrier":
        payload["carrier"] = _pick(draw, _CARRIERS)
    else:
        payload["business"] = _pick(draw, _BUSINESSES)
        payload["owner"] = _owner(draw)
    if subject == "quote_request":
        payload["carrier"] = _pick(draw, _CARRIERS)
        if action == "completed":
            payload["premium"] = 250 + int(draw.random() * 4000)
    return name, json.dumps(payload, ensure_ascii=False).encode()


def _owner(draw: random.Random) -> dict[str, object]:
    first, last = _pick(draw, _OWNERS)
    return {
        "id": _id(draw),
        "first_name": first,
        "last_name": last,
        "email": f"{first.lower()}@example.com",
        "phone": f"+1-202-555-01{int(draw.random() * 100):02}",
        "auth_uid": _id(draw),
        "is_guest": draw.random() < 0.2,  # noqa: PLR2004
    }


def _pick(draw: random.Random, choices: Sequence[T]) -> T:
    # Of all methods, random() alone is promised to go on giving the same for the same seed.
    return choices[int(draw.random() * len(choices))]


def _id(draw: random.Random) -> str:
    return str(UUID(int=draw.getrandbits(128), version=4))
