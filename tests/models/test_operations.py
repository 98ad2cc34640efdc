"""The declared operations, and validation of their arguments."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NewType
from uuid import UUID

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import subscription

from webhooks_sdk import (
    UNSET,
    InvalidArgumentError,
    Operation,
    Unset,
    WebhookEvent,
    WebhookSubscription,
    operations,
)
from webhooks_sdk.operations import Safety

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = UUID("e6db9c1a-d15f-4248-81fa-5b61fc321def")
REQUEST = UUID("29dd8606-4e01-46cb-aca2-dd6022e74865")
SAMPLE = (Path(__file__).parents[1] / "samples" / "redeliver.json").read_bytes()
DECLARATIONS: list[tuple[Operation[Any], str, str, set[int], Safety, object]] = [
    (operations.list(), "GET", "/hooks", {200}, Safety.SAFE, list[WebhookSubscription]),
    (operations.get(HOOK), "GET", f"/hooks/{HOOK}", {200}, Safety.SAFE, WebhookSubscription),
    (
        operations.create(url="https://subscriber.example"),
        "POST",
        "/hooks",
        {200, 201},
        Safety.NON_IDEMPOTENT,
        WebhookSubscription,
    ),
    (
        operations.update(HOOK, active=False),
        "PATCH",
        f"/hooks/{HOOK}",
        {200},
        Safety.IDEMPOTENT,
        WebhookSubscription,
    ),
    (operations.delete(HOOK), "DELETE", f"/hooks/{HOOK}", {204}, Safety.IDEMPOTENT, NoneType),
    (
        operations.list_events(HOOK),
        "GET",
        f"/hooks/{HOOK}/requests",
        {200},
        Safety.SAFE,
        list[WebhookEvent],
    ),
    (
        operations.redeliver(HOOK, REQUEST),
        "POST",
        f"/hooks/{HOOK}/requests/{REQUEST}/redeliver",
        {200},
        Safety.NON_IDEMPOTENT,
        WebhookEvent,
    ),
]


def body(operation: Operation[Any]) -> dict[str, Any]:
    assert operation.content is not None
    decoded: dict[str, Any] = json.loads(operation.content)
    return decoded


@pytest.mark.parametrize(
    ("operation", "method", "path", "success", "safety", "response_type"),
    DECLARATIONS,
    ids=lambda v: str(v)[:20],
)
def test_declared_operations(  # noqa: PLR0917 - one per column
    operation: Operation[Any],
    method: str,
    path: str,
    success: set[int],
    safety: Safety,
    response_type: object,
) -> None:
    assert (operation.method, operation.path) == (method, path)
    assert operation.success == success
    assert operation.safety is safety
    assert operation.response_type == response_type
    assert operation.endpoint == "api"
    assert (operation.content is not None) is (operation.name in {"create", "update"})
    assert operation.hook_id == (HOOK if "{" not in path and str(HOOK) in path else None)
    assert operation.request_id == (REQUEST if operation.name == "redeliver" else None)


def test_operation_names_match_function_names() -> None:
    names = [declaration[0].name for declaration in DECLARATIONS]
    assert sorted(names) == sorted(
        set(operations.__all__) - {"UNSET", "Unset", "Operation", "Safety"}
    )


def test_decode_documented_response() -> None:
    event = operations.redeliver(HOOK, REQUEST).decode(SAMPLE)
    assert (event.hook_id, event.id, event.redelivery) == (HOOK, REQUEST, True)
    assert operations.list_events(HOOK).decode(b"[%b, %b]" % (SAMPLE, SAMPLE)) == [event, event]


WITH_HOOK: list[Callable[[Any], Operation[Any]]] = [
    operations.get,
    operations.delete,
    operations.list_events,
    lambda value: operations.update(value, active=False),
    lambda value: operations.redeliver(value, REQUEST),
]


@pytest.mark.parametrize("make", WITH_HOOK)
@pytest.mark.parametrize("value", ["", "me", f"{HOOK}/..", f"{HOOK}?x", f"{{{HOOK}}}", None, 1])
def test_invalid_hook_id_raises(make: Callable[[Any], Operation[Any]], value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^hook_id must be a UUID"):
        make(value)


def test_invalid_request_id_raises() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^request_id must be a UUID"):
        operations.redeliver(HOOK, "../delete")


@pytest.mark.parametrize("make", WITH_HOOK)
def test_id_formats(make: Callable[[Any], Operation[Any]]) -> None:
    expected = make(HOOK)
    for spelling in (str(HOOK), str(HOOK).upper(), HOOK.hex):
        assert make(spelling) == expected


def test_create_body() -> None:
    operation = operations.create(
        url="https://subscriber.example/in",
        events=("application_form", "quote_request:failed"),
        active=True,
        secret="s3cr3t",
        header="X-Key: k3y",
    )
    assert body(operation) == {
        "url": "https://subscriber.example/in",
        "events": ["application_form", "quote_request:failed"],
        "active": True,
        "secret": "s3cr3t",
        "header": "X-Key: k3y",
    }
    assert operation.content_type == "application/json"


def test_create_body_defaults() -> None:
    operation = operations.create(url="https://a.example")
    assert body(operation) == {"url": "https://a.example", "events": []}
    assert operation.secrets == ()


@pytest.mark.parametrize("active", [True, False])
def test_active_is_sent_by_create_if_passed(*, active: bool) -> None:
    operation = operations.create(url="https://a.example", events=["*"], active=active)
    assert body(operation)["active"] is active


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from(["https://a.example/é?k=v", "http://localhost:80"]),
        "events": st.lists(st.sampled_from(["*", "carrier", "quote_request:failed"]), max_size=3),
        "active": st.booleans(),
        "secret": st.none() | st.text(),
        "header": st.none() | st.just("X-Key: k3y"),
    },
)


@given(FIELDS.filter(lambda fields: not (fields.get("active") and fields.get("events") == [])))
@settings(deadline=None)
def test_update_body_contains_only_passed_fields(fields: dict[str, Any]) -> None:
    if not fields:
        with pytest.raises(InvalidArgumentError, match="at least one of"):
            operations.update(HOOK)
        return
    given_unset: dict[str, Any] = dict.fromkeys(
        ("url", "events", "active", "secret", "header"), UNSET
    )
    operation = operations.update(HOOK, **{**given_unset, **fields})
    assert body(operation) == fields
    assert set(operation.secrets) >= {
        fields[name] for name in ("secret", "header") if fields.get(name)
    }


def test_update_distinguishes_none_and_unset() -> None:
    assert body(operations.update(HOOK, secret=None, header=None)) == {
        "secret": None,
        "header": None,
    }
    assert body(operations.update(HOOK, secret=UNSET, active=False)) == {"active": False}
    with pytest.raises(InvalidArgumentError, match="at least one of url, events, active"):
        operations.update(HOOK, secret=UNSET)


def test_unset_is_a_singleton() -> None:
    assert UNSET is Unset.UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET  # noqa: S301
    assert deepcopy(UNSET) is UNSET
    assert repr(UNSET) == "UNSET"


def create(**fields: Any) -> Operation[Any]:
    given_fields: dict[str, Any] = {"url": "https://a.example", **fields}
    return operations.create(**given_fields)


def update(**fields: Any) -> Operation[Any]:
    return operations.update(HOOK, **fields)


WRONG_FIELDS: list[tuple[str, Any]] = [
    *(("url", value) for value in ("", " ", "\t\n", None, 5, b"https://x.example")),
    *(
        ("url", value)
        for value in (
            "example.com/x",
            "//example.com/x",
            "/hooks",
            "ftp://example.com",
            "https:example.com",
            "https://",
            "https:///hooks",
            "https://:443/hooks",
            "https://user@/hooks",
            "https://a.example:0",
            "https://a.example:65536",
            "https://a.example:port",
            "https://[::1/hooks",
            "https://a.example/two words",
            "https://a.example/\nx",
            " https://a.example",
        )
    ),
    *(
        ("events", value)
        for value in (
            "application_form",
            "",
            b"carrier",
            5,
            None,
            {"carrier"},
            {"carrier": 1},
            [1],
            [None],
            [""],
            [" "],
            ["carrier", b"x"],
            ["application_form: quoted"],
            ["carrier,application_form"],
            ["f\u00f6rm"],
            ["a:b:c"],
            ["application_form:*"],
        )
    ),
    *(("active", value) for value in ("true", 1, 0, None)),
    *(("secret", value) for value in (5, b"x", ["x"])),
    *(("header", value) for value in (5, b"X: y", {"X": "y"}, "", "no colon")),
]


@pytest.mark.parametrize("make", [create, update])
@pytest.mark.parametrize(("name", "value"), WRONG_FIELDS)
def test_invalid_arguments_raise(
    make: Callable[..., Operation[Any]], name: str, value: object
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make(**{name: value})
    assert name in str(caught.value) or (name, value) == ("active", "true")
    assert len(str(caught.value).splitlines()) == 1


def test_invalid_event_is_located_and_corrected() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        create(events=["carrier", "application_form.quoted"])
    assert str(caught.value) == (
        "events[1] must be a subject, a subject:action or *, with a colon before the action instead"
        " of a dot, got 'application_form.quoted' (did you mean 'application_form:quoted'?)."
    )


def test_event_names_of_the_service_can_be_sent_back_in_an_update() -> None:
    listed = WebhookSubscription.from_dict(subscription(events=["Application_Form", "a.b"]))
    events = [*listed.events, "carrier"]
    assert body(update(events=events))["events"] == ["Application_Form", "a.b", "carrier"]


@pytest.mark.parametrize("make", [create, update])
def test_events_that_are_not_listed_in_the_documentation_are_valid(
    make: Callable[..., Operation[Any]],
) -> None:
    events = ["a_new_subject", "a_new_subject:an-action2", "Foo:Bar", "new.subject:action", "*"]
    assert body(make(events=events))["events"] == events


@pytest.mark.parametrize("make", [create, update])
@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "HTTP://127.0.0.1:8000/hooks",
        "http://localhost/",
        "https://[::1]:8443/in",
        "https://b\u00fccher.example/\u00e9?k=v#f",
        "https://user:password@a.example/in?token=t",
        "https://a.example?x=1",
    ],
)
def test_absolute_urls_are_valid(make: Callable[..., Operation[Any]], url: str) -> None:
    assert body(make(url=url))["url"] == url


@pytest.mark.parametrize("make", [create, update])
def test_invalid_url_is_named_and_its_credentials_are_not_quoted(
    make: Callable[..., Operation[Any]],
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make(url="user:pa55w0rd@example.com/x?token=t0k3n#t0k3n")
    assert str(caught.value) == (
        "url must be an http or https URL with a host, such as"
        " 'https://subscriber.example/hooks', got '***@example.com/x'."
    )


@pytest.mark.parametrize("make", [create, update])
@pytest.mark.parametrize("scheme", ["https://", "ftp://", ""])
@pytest.mark.parametrize("separator", ["?", "#", "/", "@", ":", "?#", "/?@", " "])
@pytest.mark.parametrize("query", ["", "?token=t0k3n", "#t0k3n"])
def test_no_part_of_a_password_in_an_invalid_url_is_quoted(
    make: Callable[..., Operation[Any]], scheme: str, separator: str, query: str
) -> None:
    # The space makes the URL invalid in every case.
    with pytest.raises(InvalidArgumentError) as caught:
        make(url=f"{scheme}us3r:pa{separator}5w0rd@host.example/a hook{query}")
    assert str(caught.value).endswith(", got '***@host.example/a hook'.")


@pytest.mark.parametrize("make", [create, update])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
@pytest.mark.parametrize(
    "form", ["X-Key: k3y{}Evil: yes", "X-Key: k3y{}", "{}X-Key: k3y", "X{}: y"]
)
def test_header_with_line_break_is_rejected(
    make: Callable[..., Operation[Any]], end: str, form: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="one HTTP header") as caught:
        make(header=form.format(end))
    assert "k3y" not in str(caught.value)


@pytest.mark.parametrize("make", [create, update])
@pytest.mark.parametrize("value", [["hidden"], 5, b"hidden"])
def test_invalid_secret_is_not_quoted(make: Callable[..., Operation[Any]], value: object) -> None:
    for name in ("secret", "header"):
        with pytest.raises(InvalidArgumentError) as caught:
            make(**{name: value})
        assert "hidden" not in str(caught.value)


def test_active_create_requires_an_event() -> None:
    with pytest.raises(InvalidArgumentError, match="at least one event"):
        operations.create(url="https://a.example", active=True)
    assert (
        body(operations.create(url="https://a.example", events=["*"], active=True))["active"]
        is True
    )


def test_operation_is_frozen_and_repr_hides_credentials() -> None:
    operation = operations.create(url="https://a.example", secret="s3cr3t", header="X-Key: k3y")
    same = operations.create(url="https://a.example", secret="s3cr3t", header="X-Key: k3y")
    assert operation == same
    assert hash(operation) == hash(same)
    assert "s3cr3t" not in repr(operation)
    assert "k3y" not in repr(operation)
    assert set(operation.secrets) >= {"s3cr3t", "X-Key: k3y"}
    with pytest.raises(FrozenInstanceError):
        operation.path = "/"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_header_value_without_name_is_a_secret() -> None:
    for operation in (create(header="X-Key:  k3y-1 "), update(header="X-Key:  k3y-1 ")):
        assert "k3y-1" in operation.secrets


@pytest.mark.parametrize("make", [create, update])
def test_active_with_empty_events_is_rejected(
    make: Callable[..., Operation[Any]],
) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one event"):
        make(url="https://a.example", active=True, events=[])


WRONG_OPERATIONS: list[tuple[str, Any]] = [
    *(("name", value) for value in ("", None, 5, b"list")),
    *(("method", value) for value in ("GE T", "GET\r\nX: y", "", "get", None, b"GET")),
    *(("response_type", value) for value in (None, "WebhookEvent", 5, [WebhookEvent])),
    *(("hook_id", value) for value in (str(HOOK), 5)),
    *(("request_id", value) for value in (str(REQUEST), b"x")),
    *(("content_type", value) for value in ("a\r\nX: y", "a\x00", "\x7f", None, b"text/xml")),
    *(("endpoint", value) for value in ("tokens", "", None, ["api"])),
    # Behind the base URL "https://api.example", each of these would name another host or port.
    *(("path", value) for value in ("hooks", ".evil.example/", "@evil.example/", ":81/x")),
    *(("path", value) for value in ("/a b", "/\r\nX: y", "/\u00e9", None, b"/hooks")),
    *(("safety", value) for value in ("safe", "non-idempotent", None)),
    *(("success", value) for value in (200, {200}, [200], frozenset({"200"}), frozenset({99}))),
    *(("content", value) for value in ("text", {"a": 1}, 5)),
    *(("headers", value) for value in ({"te": "trailers"}, ("te",), (("a", "b", "c"),), "te")),
    *(("headers", value) for value in ((("X\r\n", "y"),), (("X", "y\r\nZ: z"),), (("X", 5),))),
    *(("headers", (("X", value),)) for value in ("a\0", "a\x01", "a\x7f", "a\x1b[0m", " a", "a\t")),
    *(("headers", (("X", value),)) for value in ("\ud800", "s3cr3t\n")),
    *(("secrets", value) for value in ("s3cr3t", b"s3cr3t", ["s3cr3t"], (5,), None)),
]


@pytest.mark.parametrize(("name", "value"), WRONG_OPERATIONS)
def test_invalid_fields_of_an_operation_are_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^{name} of an Operation must be ") as caught:
        evolve(operations.list(), **{name: value})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "M-SEARCH"),
        ("response_type", list[WebhookEvent]),
        ("response_type", dict[str, Any]),
        ("response_type", WebhookEvent | int),
        ("response_type", Any),
        ("response_type", NoneType),
        ("response_type", NewType("Count", int)),
        ("content_type", 'multipart/form-data; boundary="a b"'),
        ("headers", (("X-Empty", ""), ("X-Tab", "a\tb \u00e9"))),
        ("endpoint", "token"),
    ],
)
def test_valid_fields_of_an_operation_are_accepted(name: str, value: Any) -> None:
    assert getattr(evolve(operations.list(), **{name: value}), name) == value


def test_arguments_without_a_repr_are_named() -> None:
    huge: Any = 10**5_000
    with pytest.raises(InvalidArgumentError, match=r"^hook_id must be a UUID .*of type int\.$"):
        operations.get(huge)
    for name in ("url", "active", "events"):
        with pytest.raises(InvalidArgumentError, match=rf"^{name} must be .*of type int\.$"):
            create(**{name: huge})
