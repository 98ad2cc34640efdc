"""Which events a page shows, as its query string says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from attrs import fields_dict, frozen

from webhooks_sdk.sandbox._service.timeline import LATEST_TIME
from webhooks_sdk.sandbox.inspector._words import State

if TYPE_CHECKING:
    from collections.abc import Mapping


Range: TypeAlias = Literal["hour", "day", "week", "all"]
RANGES: tuple[Range, ...] = get_args(Range)
STATES: tuple[State, ...] = ("delivered", "failed", "under_way")

_LONGEST_NAME = 200
_is_uuid = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_is_integer = re.compile("[0-9]{1,19}").fullmatch
# SQLite has no larger ones.
_LAST = (1 << 63) - 1


class FilterError(ValueError):
    """A parameter of a page's URL cannot be read; the message names it."""


@frozen(kw_only=True)
class Filters:
    """What a page shows; None is no condition.

    Attributes:
        tenant: The tenant by its id; None for the sandbox's own.
        state: How the latest attempt of an event stands.
        hook: The subscription.
        event: A `subject:action`, or a subject for all its actions.
        since: An attempt began at this time or later, in microseconds since 1970.
        until: And before this one.
        before: The event came before the one with this number: where a page of the list begins.
        range: What the timeline spans.
        reveal: Whether secrets are shown.
    """

    tenant: UUID | None = None
    state: State | None = None
    hook: UUID | None = None
    event: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    range: Range = "all"
    reveal: bool = False

    @property
    def narrows(self) -> bool:
        """Whether it leaves any event out, pages aside."""
        return (self.state, self.hook, self.event, self.since, self.until) != (None,) * 5

    def link(self, path: str = "/", **changes: object) -> str:
        """Return a URL with these filters.

        Args:
            path: Where it leads.
            changes: The fields that differ. All but `before` differ from one page to the next, so
                a change of another one leads to the first page.
        """
        query = _query({**_values(self), "before": None, **changes})
        return f"{path}?{query}" if query else path

    def only(self, *names: str) -> Filters:
        """Return those of these names, without the others."""
        return Filters(**{name: getattr(self, name) for name in names})

    @property
    def query(self) -> str:
        """The query string that expresses it."""
        return _query(_values(self))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters that express it, such as for the hidden fields of a form."""
        return tuple(parse_qsl(self.query))


def read_filters(query: str) -> Filters:
    """Read a query string; parameters of other names are somebody else's.

    Raises:
        FilterError: A parameter has a value that it cannot have.
    """
    given = dict(parse_qsl(query))
    known: dict[str, object] = {name: given[name] for name in _NAMES if name in given}
    for name in known:
        text = given[name]
        match name:
            case "tenant" | "hook":
                known[name] = _uuid(name, text)
            case "since" | "until":
                known[name] = _integer(name, text, LATEST_TIME)
            case "before":
                known[name] = _integer(name, text, _LAST)
            case "state":
                known[name] = _one_of(name, text, STATES)
            case "range":
                known[name] = _one_of(name, text, RANGES)
            case "reveal":
                known[name] = text == "1"
            case _:
                known[name] = text.strip()[:_LONGEST_NAME] or None
    return Filters(**cast("Mapping[str, object]", known))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - read just now


_NAMES = tuple(fields_dict(Filters))


def _values(filters: Filters) -> dict[str, object]:
    return {name: getattr(filters, name) for name in _NAMES}


def _query(values: Mapping[str, object]) -> str:
    # What is so without saying is not said.
    said = {
        **values,
        "range": None if values["range"] == "all" else values["range"],
        "reveal": "1" if values["reveal"] else None,
    }
    return urlencode({name: said[name] for name in _NAMES if said[name] is not None})


def _uuid(name: str, text: str) -> UUID:
    if not _is_uuid(text):
        raise FilterError(f"{name} must be a UUID.")
    return UUID(text)


def _integer(name: str, text: str, most: int) -> int:
    if not _is_integer(text) or int(text) > most:
        raise FilterError(f"{name} must be a whole number, {most} at most.")
    return int(text)


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise FilterError(f"{name} must be one of {', '.join(choices)}.")
    return text
