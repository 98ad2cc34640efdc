"""The syntax of event names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk._wire.event_names import event_name_problem


@pytest.mark.parametrize("wildcard", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "application_form",
        "application_form:quoted",
        "a_subject_of_the_future:an-action",
        "quote_request2:v2",
        "Application_Form",
        "Foo:Bar",
        "new.subject:an.action",
        "a/b",
        "a+b~c",
    ],
)
def test_valid_names(name: str, wildcard: bool) -> None:
    assert event_name_problem(name, wildcard=wildcard) is None


def test_wildcard_is_valid_only_where_allowed() -> None:
    assert event_name_problem("*", wildcard=True) is None
    assert event_name_problem("*", wildcard=False) == (
        "must be a subject:action or a subject, in visible ASCII characters without commas,"
        " got '*'."
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("application_form.quoted", "application_form:quoted"),
        ("application_form::quoted", "application_form:quoted"),
        (" application_form: quoted\n", "application_form:quoted"),
        (" Application_Form", "Application_Form"),
        ("application_form:*", "application_form"),
        ("*:*", None),
        (" *", None),
        ("a:b:c", None),
        ("a.b:c.d ", None),
        ("application form", None),
        ("application_form,carrier", None),
        ("a,b", None),
        ("a\x00b", None),
        ("a\x7f", None),
        (":quoted", None),
        ("application_form:", None),
        ("", None),
        (" ", None),
        ("f\u00f6rm", None),
        (b"carrier", None),
        (None, None),
        (5, None),
    ],
)
@pytest.mark.parametrize("wildcard", [True, False])
def test_invalid_names(name: object, meant: str | None, wildcard: bool) -> None:
    problem = event_name_problem(name, wildcard=wildcard)
    assert problem is not None
    assert problem.startswith("must be a subject")
    suggestion = "" if meant is None else f" (did you mean {meant!r}?)"
    assert problem.endswith(f", got {name!r}{suggestion}.")


def test_a_dot_without_a_colon_is_accepted_only_on_request() -> None:
    name = "application_form.quoted"
    assert event_name_problem(name, wildcard=True, allow_dots=True) is None
    assert event_name_problem(name, wildcard=True) == (
        "must be a subject, a subject:action or *, with a colon before the action instead of a dot,"
        " got 'application_form.quoted' (did you mean 'application_form:quoted'?)."
    )
    # The other rules still apply.
    for invalid in ("a.b,c", "a.b ", "a.b:c:d", "a.b:*", ""):
        assert event_name_problem(invalid, wildcard=True, allow_dots=True), invalid


@given(st.text(max_size=200) | st.from_regex(r"\A[a-zA-Z_.:/ -]{1,20}\Z"))
@settings(deadline=None)
def test_problem_is_one_short_line_and_its_suggestion_is_valid(name: str) -> None:
    problem = event_name_problem(name, wildcard=True)
    if problem is None:
        return
    assert len(problem.splitlines()) == 1
    _, found, suggestion = problem.partition(" (did you mean '")
    if found:
        assert event_name_problem(suggestion.removesuffix("'?)."), wildcard=True) is None
