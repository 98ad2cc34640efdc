"""Public exports: documented, importable from the module they report, stable in pickles."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pickletools
import typing
from types import FunctionType, ModuleType
from typing import Any
from uuid import UUID

import attrs
import pytest
from support.samples import event, subscription

import webhooks_sdk
import webhooks_sdk.asgi
import webhooks_sdk.replay
import webhooks_sdk.sandbox
import webhooks_sdk.wsgi
from webhooks_sdk import (
    Environment,
    Headers,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    WebhookEvent,
    WebhookSubscription,
    errors,
    operations,
)
from webhooks_sdk.replay import Coverage, Outcome, OutcomeStatus, Target

PUBLIC: tuple[ModuleType, ...] = (
    webhooks_sdk,
    webhooks_sdk.asgi,
    errors,
    operations,
    webhooks_sdk.replay,
    webhooks_sdk.sandbox,
    webhooks_sdk.wsgi,
)
EXPORTED = [(module.__name__, name) for module in PUBLIC for name in module.__all__]
CLASSES = [
    pytest.param(exported, id=f"{module}.{name}")
    for module, name in EXPORTED
    if isinstance(exported := getattr(importlib.import_module(module), name), type)
]


@pytest.mark.parametrize(("module", "name"), EXPORTED)
def test_what_is_exported_reports_a_public_module(module: str, name: str) -> None:
    exported = getattr(importlib.import_module(module), name)
    if not isinstance(exported, type | FunctionType):
        return
    assert "._" not in exported.__module__
    home = importlib.import_module(exported.__module__)
    assert getattr(home, exported.__name__) is exported


@pytest.mark.parametrize("exported", CLASSES)
def test_every_public_class_has_a_docstring(exported: type) -> None:
    assert (exported.__doc__ or "").strip()


@pytest.mark.parametrize("exported", CLASSES)
def test_the_annotations_of_fields_resolve(exported: type) -> None:
    hints = typing.get_type_hints(exported)
    if attrs.has(exported):
        assert {field.name for field in attrs.fields(exported)} <= set(hints)


@pytest.mark.parametrize("exported", CLASSES)
def test_the_source_of_a_class_is_its_own_or_unavailable(exported: type) -> None:
    try:
        source = inspect.getsource(exported)
    except OSError:
        return
    assert f"class {exported.__name__}" in source


def functions_of(cls: type) -> list[FunctionType]:
    """Return the functions that a class and its bases in the SDK define in a file."""
    members = [
        member
        for base in cls.__mro__
        if base.__module__.startswith("webhooks_sdk")
        for member in vars(base).values()
    ]
    functions = [
        inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
        for member in members
    ]
    return [
        function
        for function in functions
        # Methods that attrs generates are not in a file.
        if isinstance(function, FunctionType) and not function.__code__.co_filename.startswith("<")
    ]


@pytest.mark.parametrize(("module", "name"), EXPORTED)
def test_the_annotations_of_functions_resolve_without_help(module: str, name: str) -> None:
    exported = getattr(importlib.import_module(module), name)
    functions = functions_of(exported) if isinstance(exported, type) else [exported]
    for function in functions:
        if isinstance(function, FunctionType):
            hints = typing.get_type_hints(function)
            assert hints.keys() == inspect.get_annotations(function).keys()


def error() -> RateLimitError:
    return RateLimitError(
        "redeliver: 429 Too Many Requests.",
        operation="redeliver",
        hook_id=UUID(int=1),
        request_id=UUID(int=2),
        status=429,
        headers=Headers([(b"Retry-After", b"3")]),
        body="slow down",
        attempts=3,
        retry_after=3.0,
    )


PICKLED = [
    WebhookEvent.from_dict(event()),
    WebhookSubscription.from_dict(subscription()),
    error(),
    NotFoundError("get: 404.", operation="get"),
    errors.ConfigurationError("wrong"),
    errors.SignatureVerificationError("wrong"),
    Outcome(
        hook_id=UUID(int=1), request_id=UUID(int=2), status=OutcomeStatus.FAILED, error=error()
    ),
    Target(UUID(int=1), UUID(int=2)),
    RetryPolicy(max_attempts=5),
    Environment.STAGING,
    Headers([(b"A", b"b")]),
    operations.redeliver(UUID(int=1), UUID(int=2)),
    operations.UNSET,
    Coverage(oldest_listed=None, covers_since=False, pending=0),
]


def globals_in(pickled: bytes) -> set[tuple[str, str]]:
    """Return the modules and names that a pickle (protocol 4 or later) refers to."""
    found: set[tuple[str, str]] = set()
    texts: list[str] = []
    memo: list[str | None] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in {"SHORT_BINUNICODE", "BINUNICODE"}:
            texts.append(typing.cast("str", argument))
        elif opcode.name == "BINGET":
            text = memo[typing.cast("int", argument)]
            texts.append(text or "")
        elif opcode.name == "MEMOIZE":
            memo.append(texts[-1] if texts else None)
        elif opcode.name == "STACK_GLOBAL":
            found.add((texts[-2], texts[-1]))
    return found


@pytest.mark.parametrize("value", PICKLED, ids=lambda value: type(value).__name__)
def test_pickles_name_public_paths_only(value: Any) -> None:
    pickled = pickle.dumps(value, protocol=4)
    named = {(module, name) for module, name in globals_in(pickled) if "webhooks_sdk" in module}
    assert named
    for module, name in named:
        assert module in {one.__name__ for one in PUBLIC}
        assert name in importlib.import_module(module).__all__
    again = pickle.loads(pickled)  # noqa: S301 - made a moment ago
    assert type(again) is type(value)
    if isinstance(value, Exception):
        assert (again.args, vars(again)) == (value.args, vars(value))
    elif not isinstance(value, Outcome):
        assert again == value
