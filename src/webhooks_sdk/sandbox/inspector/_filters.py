"""The filters of a page, read from and written to its query string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from attrs import fields_dict, frozen

from webhooks_sdk.sandbox._clock import LATEST_TIME
from webhooks_sdk.sandbox._storage.database import MAX_INTEGER
from webhooks_sdk.sandbox.inspector._formatting import State

if TYPE_CHECKING:
    from collections.abc import Mapping


Range: TypeAlias = Literal["hour", "day", "week", "all"]
RANGES: tuple[Range, ...] = get_args(Range)
STATES: tuple[State, ...] = ("delivered", "failed", "in_flight")

_MAX_EVENT_LENGTH = 200
_match_uuid = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_match_integer = re.compile("[0-9]{1,19}").fullmatch


class FilterError(ValueError):
    """A query parameter of a page is invalid; the message names it."""


@frozen(kw_only=True)
class Filters:
    """The filters of a page; None means no condition.

    Attributes:
        tenant: The ID of the tenant; None for the sandbox's first one.
        state: The state of the latest attempt of an event.
        hook: The ID of the subscription.
        event: A `subject:action`, or a subject for all its actions.
        since: Only events with an attempt at or after this time, in microseconds since 1970.
        until: Only events with an attempt before this time, in microseconds since 1970.
        before: Only events with a lower number than this: where a page of the list begins.
        range: The range of the timeline.
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
    def has_conditions(self) -> bool:
        """Whether there is a condition on the events, apart from paging."""
        return (self.state, self.hook, self.event, self.since, self.until) != (None,) * 5

    def link(self, path: str = "/", **changes: object) -> str:
        """Return a URL with these filters, from the first page of results on.

        Args:
            path: The path of the URL.
            changes: Fields that differ. `before` is dropped unless it is given.
        """
        query = _query({**_values(self), "before": None, **changes})
        return f"{path}?{query}" if query else path

    def select(self, *names: str) -> Filters:
        """Return filters with only the named fields set."""
        return Filters(**{name: getattr(self, name) for name in names})

    @property
    def query(self) -> str:
        """The filters as a query string."""
        return _query(_values(self))

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The filters as query parameters, for the hidden fields of a form."""
        return tuple(parse_qsl(self.query))


def read_filters(query: str) -> Filters:
    """Read the filters from a query string, ignoring unknown parameters.

    Raises:
        FilterError: A parameter has an invalid value.
    """
    parameters = dict(parse_qsl(query))
    values: dict[str, object] = {name: parameters[name] for name in _NAMES if name in parameters}
    for name in values:
        text = parameters[name]
        match name:
            case "tenant" | "hook":
                values[name] = _uuid(name, text)
            case "since" | "until":
                values[name] = _integer(name, text, LATEST_TIME)
            case "before":
                values[name] = _integer(name, text, MAX_INTEGER)
            case "state":
                values[name] = _choice(name, text, STATES)
            case "range":
                values[name] = _choice(name, text, RANGES)
            case "reveal":
                values[name] = text == "1"
            case _:
                values[name] = text.strip()[:_MAX_EVENT_LENGTH] or None
    return Filters(**cast("Mapping[str, object]", values))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - validated above


_NAMES = tuple(fields_dict(Filters))


def _values(filters: Filters) -> dict[str, object]:
    return {name: getattr(filters, name) for name in _NAMES}


def _query(values: Mapping[str, object]) -> str:
    # Defaults are left out.
    parameters = {
        **values,
        "range": None if values["range"] == "all" else values["range"],
        "reveal": "1" if values["reveal"] else None,
    }
    return urlencode({name: parameters[name] for name in _NAMES if parameters[name] is not None})


def _uuid(name: str, text: str) -> UUID:
    if not _match_uuid(text):
        raise FilterError(f"{name} must be a UUID.")
    return UUID(text)


def _integer(name: str, text: str, maximum: int) -> int:
    if not _match_integer(text) or int(text) > maximum:
        raise FilterError(f"{name} must be an integer from 0 to {maximum}.")
    return int(text)


def _choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise FilterError(f"{name} must be one of {', '.join(choices)}.")
    return text
