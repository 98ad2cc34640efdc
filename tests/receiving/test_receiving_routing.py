"""The choice of the handler for an event."""

from __future__ import annotations

import pytest
from support.receiving_helpers import BODY, SECRET, delivery_headers

from webhooks_sdk import ConfigurationError, Delivery, DeliveryRouter


def router_with_handlers() -> tuple[DeliveryRouter, dict[str, object]]:
    router = DeliveryRouter()
    handlers: dict[str, object] = {}

    for pattern in ("application_form:quoted", "application_form", "carrier", "*"):

        @router.on(pattern)
        def handle(_: Delivery, /) -> None: ...

        handlers[pattern] = handle
    return router, handlers


@pytest.mark.parametrize(
    ("event", "pattern"),
    [
        ("application_form:quoted", "application_form:quoted"),
        ("application_form:inactive", "application_form"),
        ("application_form:quoted:twice", "application_form"),
        ("application_form:", "application_form"),
        ("application_form", "application_form"),
        ("application_forms", "*"),
        ("Application_Form:quoted", "*"),
        ("carrier", "carrier"),
        ("quoted", "*"),
        (":quoted", "*"),
        ("*", "*"),
    ],
)
def test_the_most_specific_handler_is_chosen(event: str, pattern: str) -> None:
    router, handlers = router_with_handlers()
    assert router.handler_for(event) is handlers[pattern]


def test_an_event_may_have_no_handler() -> None:
    router = DeliveryRouter()
    router.on("carrier:bridged")(print)
    assert router.handler_for("carrier") is None
    assert router.handler_for("quote_request:failed") is None
    assert router.handler_for("carrier:bridged") is print


def test_the_decorator_returns_the_function_and_can_be_stacked() -> None:
    router = DeliveryRouter()

    @router.on("question_set")
    @router.on("carrier")
    async def handle(_: Delivery) -> int:
        return 1

    assert router.handler_for("carrier") is router.handler_for("question_set:completed") is handle


@pytest.mark.parametrize("pattern", ["*", "carrier", "carrier:bridged"])
def test_a_second_handler_for_a_pattern_is_rejected(pattern: str) -> None:
    router = DeliveryRouter()
    router.on(pattern)(print)
    with pytest.raises(ConfigurationError, match="already"):
        router.on(pattern)(repr)
    assert router.handler_for(pattern) is print


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        " ",
        ":",
        "carrier:",
        ":bridged",
        "carrier:*",
        "a b",
        "a,b",
        "a:b:c",
        "a\n",
        "\u00e9",
    ],
)
def test_an_invalid_pattern_is_rejected(pattern: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"event must be a subject, a subject:action or \*"
    ):
        DeliveryRouter().on(pattern)


def test_a_dot_in_place_of_the_colon_is_rejected_with_the_right_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DeliveryRouter().on("application_form.quoted")
    assert str(caught.value) == (
        "event must be a subject, a subject:action or *, with a colon before the action instead of"
        " a dot, got 'application_form.quoted' (did you mean 'application_form:quoted'?)."
    )


@pytest.mark.parametrize("event", ["Foo:Bar", "new.subject:action", "a/b"])
def test_a_handler_can_be_registered_for_any_event_that_can_arrive(event: str) -> None:
    router = DeliveryRouter()
    router.on(event)(print)
    delivery = Delivery.from_http(delivery_headers(event=event), BODY, secret=SECRET)
    assert router.handler_for(delivery.event) is print
