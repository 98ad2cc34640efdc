"""The syntax of event names, as used in subscriptions, routers and deliveries."""

from __future__ import annotations

import re

from webhooks_sdk._wire.redaction import short_repr

_match_event_name = re.compile(r"[a-z0-9_-]+(?::[a-z0-9_-]+)?").fullmatch
_find_separators = re.compile(r"\s*[.:/]+\s*")


def event_name_problem(value: object, *, wildcard: bool) -> str | None:
    """Return what is wrong with an event name, or None if the name is valid.

    Only the syntax is checked, since the service adds subjects and actions over time: one or two
    words of lower-case letters, digits, `_` and `-`, separated by a colon.

    Args:
        value: The value to check.
        wildcard: Whether `*`, which matches every event, is valid too.

    Returns:
        The problem, worded to follow the name of the argument: `"must be ..., got ..."`.
    """
    if isinstance(value, str) and ((wildcard and value == "*") or _match_event_name(value)):
        return None
    forms = "a subject, a subject:action or *" if wildcard else "a subject:action or a subject"
    return (
        f"must be {forms}, in lower-case letters, digits, _ and -,"
        f" got {short_repr(value)}{_suggestion(value)}."
    )


def _suggestion(value: object) -> str:
    """Return the valid name that was probably meant, as a question in parentheses, or ""."""
    if not isinstance(value, str):
        return ""
    # `subject:*` is not valid: a subject alone matches all its actions.
    candidate = _find_separators.sub(":", value.strip().lower()).removesuffix(":*")
    return f" (did you mean {candidate!r}?)" if _match_event_name(candidate) else ""
