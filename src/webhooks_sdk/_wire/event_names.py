"""Validation of event names that a caller passes, such as those of a subscription or a handler.

The documentation of the service defines no character set, and the service adds subjects and actions
over time. So only names that cannot be event names are rejected, as well as a dot in place of the
colon where a name is written by hand. Deliveries and responses are not checked with these rules.
"""

from __future__ import annotations

import re

from webhooks_sdk._wire.redaction import short_repr

# Visible ASCII characters except the comma and the colon.
_PART = r"[!-+\--9;-~]+"
# `subject:*` is not valid: a subject alone matches all its actions.
_match_event_name = re.compile(rf"{_PART}(?::(?!\*$){_PART})?").fullmatch
_find_separators = re.compile(r"\s*[.:/]+\s*")


def event_name_problem(value: object, *, wildcard: bool, allow_dots: bool = False) -> str | None:
    """Return what is wrong with an event name, or None if the name is accepted.

    Args:
        value: The value to check.
        wildcard: Whether `*`, which matches every event, is valid too.
        allow_dots: Whether to accept a name with a dot and no colon, which is probably a mistake
            for `subject:action`.

    Returns:
        The problem, worded to follow the name of the argument: `"must be ..., got ..."`.
    """
    if isinstance(value, str) and value == "*":
        is_valid = wildcard
    else:
        is_valid = isinstance(value, str) and bool(_match_event_name(value))
    if is_valid and (allow_dots or not _has_dot_for_colon(value)):
        return None
    forms = "a subject, a subject:action or *" if wildcard else "a subject:action or a subject"
    characters = (
        "with a colon before the action instead of a dot"
        if is_valid
        else "in visible ASCII characters without commas"
    )
    return f"must be {forms}, {characters}, got {short_repr(value)}{_suggestion(value)}."


def _has_dot_for_colon(value: object) -> bool:
    return isinstance(value, str) and "." in value and ":" not in value


def _suggestion(value: object) -> str:
    """Return the valid name that was probably meant, as a question in parentheses, or ""."""
    if not isinstance(value, str):
        return ""
    candidate = _find_separators.sub(":", value.strip()).removesuffix(":*")
    is_valid = candidate not in (value, "*") and _match_event_name(candidate)
    return f" (did you mean {candidate!r}?)" if is_valid else ""
