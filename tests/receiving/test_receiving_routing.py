"""Which handler runs."""

from __future__ import annotations

import pytest

from webhooks_sdk import ConfigurationError, Delivery, DeliveryRouter


def full_router() -> tuple[DeliveryRouter, dict[str, object]]:
    router = DeliveryRouter()
    handlers: dict[str, object] = {}

    for key in ("application_form:quoted", "application_form", "carrier", "*"):

        @router.on(key)
        def handle(_: Delivery, /) -> None: ...

        handlers[key] = handle
    return router, handlers


@pytest.mark.parametrize(
    ("event", "key"),
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
def test_the_most_specific_handler_is_chosen(event: str, key: str) -> None:
    router, handlers = full_router()
    assert router.handler_for(event) is handlers[key]


def test_nobody_may_handle_an_event() -> None:
    router = DeliveryRouter()
    router.on("carrier:bridged")(print)
    assert router.handler_for("carrier") is None
    assert router.handler_for("quote_request:failed") is None
    assert router.handler_for("carrier:bridged") is print


def test_a_function_stays_what_it_is_and_can_handle_several_events() -> None:
    router = DeliveryRouter()

    @router.on("question_set")
    @router.on("carrier")
    async def handle(_: Delivery) -> int:
        return 1

    assert router.handler_for("carrier") is router.handler_for("question_set:completed") is handle


@pytest.mark.parametrize("key", ["*", "carrier", "carrier:bridged"])
def test_two_handlers_for_one_key_are_a_mistake(key: str) -> None:
    router = DeliveryRouter()
    router.on(key)(print)
    with pytest.raises(ConfigurationError, match="already"):
        router.on(key)(repr)
    assert router.handler_for(key) is print


@pytest.mark.parametrize(
    "key", ["", " ", ":", "carrier:", ":bridged", "carrier:*", "a b", "a,b", "a:b:c", "a\n", "**"]
)
def test_a_key_that_is_no_name_of_an_event_is_a_mistake(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a subject, a subject:action, or \*"):
        DeliveryRouter().on(key)
