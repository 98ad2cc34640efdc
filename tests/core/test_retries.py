"""Classification of failed attempts, retry decisions and Retry-After."""

from __future__ import annotations

import pickle
import socket
import ssl
from email.utils import formatdate
from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webhooks_sdk import ConfigurationError, RetryPolicy, Safety
from webhooks_sdk._core.retries import (
    ConnectionFailure,
    FailureKind,
    NothingSentError,
    classify_exception,
    classify_status,
    leaves_outcome_unknown,
    may_retry,
    parse_retry_after,
)
from webhooks_sdk._wire.redaction import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_700_000_000.0


def chained(*links: BaseException) -> BaseException:
    """Chain exceptions, each caused by the next, and return the first."""
    for link, cause in pairwise(links):
        link.__cause__ = cause
    return links[0]


@pytest.mark.parametrize(
    ("safety", "failure_kind", "resend_unknown", "expected"),
    [
        (Safety.SAFE, FailureKind.NOT_SENT, False, True),
        (Safety.SAFE, FailureKind.DEFERRED, False, True),
        (Safety.SAFE, FailureKind.AMBIGUOUS, False, True),
        (Safety.SAFE, FailureKind.REJECTED, True, False),
        (Safety.SAFE, FailureKind.UNDECODABLE, True, False),
        (Safety.IDEMPOTENT, FailureKind.NOT_SENT, False, True),
        (Safety.IDEMPOTENT, FailureKind.DEFERRED, False, True),
        (Safety.IDEMPOTENT, FailureKind.AMBIGUOUS, False, True),
        (Safety.IDEMPOTENT, FailureKind.REJECTED, True, False),
        (Safety.IDEMPOTENT, FailureKind.UNDECODABLE, True, False),
        (Safety.NON_IDEMPOTENT, FailureKind.NOT_SENT, False, True),
        (Safety.NON_IDEMPOTENT, FailureKind.DEFERRED, False, True),
        (Safety.NON_IDEMPOTENT, FailureKind.AMBIGUOUS, False, False),
        (Safety.NON_IDEMPOTENT, FailureKind.AMBIGUOUS, True, True),
        (Safety.NON_IDEMPOTENT, FailureKind.REJECTED, True, False),
        (Safety.NON_IDEMPOTENT, FailureKind.UNDECODABLE, True, False),
        (Safety.SAFE, FailureKind.AMBIGUOUS_PERMANENT, True, False),
        (Safety.IDEMPOTENT, FailureKind.AMBIGUOUS_PERMANENT, True, False),
        (Safety.NON_IDEMPOTENT, FailureKind.AMBIGUOUS_PERMANENT, True, False),
    ],
)
def test_may_retry(
    safety: Safety, failure_kind: FailureKind, resend_unknown: bool, expected: bool
) -> None:
    assert may_retry(safety, failure_kind, resend_unknown=resend_unknown) is expected


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("failure_kind", FailureKind)
def test_leaves_outcome_unknown(safety: Safety, failure_kind: FailureKind) -> None:
    unknown = {
        (Safety.IDEMPOTENT, FailureKind.AMBIGUOUS),
        (Safety.NON_IDEMPOTENT, FailureKind.AMBIGUOUS),
        (Safety.IDEMPOTENT, FailureKind.AMBIGUOUS_PERMANENT),
        (Safety.NON_IDEMPOTENT, FailureKind.AMBIGUOUS_PERMANENT),
        (Safety.IDEMPOTENT, FailureKind.UNDECODABLE),
        (Safety.NON_IDEMPOTENT, FailureKind.UNDECODABLE),
    }
    assert leaves_outcome_unknown(safety, failure_kind) is ((safety, failure_kind) in unknown)


@pytest.mark.parametrize(
    ("status", "retry_after", "failure_kind"),
    [
        (429, None, FailureKind.DEFERRED),
        (429, 5.0, FailureKind.DEFERRED),
        (503, 5.0, FailureKind.DEFERRED),
        (503, 0.0, FailureKind.DEFERRED),
        (503, None, FailureKind.AMBIGUOUS),
        (408, None, FailureKind.AMBIGUOUS),
        (408, 5.0, FailureKind.AMBIGUOUS),
        (500, None, FailureKind.AMBIGUOUS),
        (500, 5.0, FailureKind.AMBIGUOUS),
        (502, None, FailureKind.AMBIGUOUS),
        (504, 1.0, FailureKind.AMBIGUOUS),
        (599, None, FailureKind.AMBIGUOUS),
        (202, None, FailureKind.REJECTED),
        (204, None, FailureKind.REJECTED),
        (301, None, FailureKind.REJECTED),
        (302, 5.0, FailureKind.REJECTED),
        (400, None, FailureKind.REJECTED),
        (401, None, FailureKind.REJECTED),
        (404, 5.0, FailureKind.REJECTED),
        (409, None, FailureKind.REJECTED),
        (425, None, FailureKind.REJECTED),
        (499, None, FailureKind.REJECTED),
    ],
)
def test_classify_status(status: int, retry_after: float | None, failure_kind: FailureKind) -> None:
    assert classify_status(status, retry_after=retry_after) is failure_kind


PROVEN_UNSENT: list[tuple[BaseException, ...]] = [
    (httpx.ConnectError("refused"), httpcore.ConnectError("refused"), ConnectionRefusedError()),
    (httpx.ConnectError("no name"), httpcore.ConnectError("no name"), socket.gaierror(-2, "x")),
    (httpx.ConnectTimeout("slow"), httpcore.ConnectTimeout("slow"), TimeoutError()),
    (httpx.ConnectError("tls"), httpcore.ConnectError("tls"), ssl.SSLEOFError(8, "EOF")),
    (httpx.ConnectError("tls"), httpcore.ConnectError("tls"), ConnectionResetError()),
    (httpx.PoolTimeout("busy"), httpcore.PoolTimeout("busy")),
    (httpx.ProxyError("407"), httpcore.ProxyError("407")),
    (httpx.UnsupportedProtocol("ftp"), httpcore.UnsupportedProtocol("ftp")),
    (ConnectionRefusedError(),),
    (socket.gaierror(-3, "temporary"),),
    (RuntimeError("wrapped"), httpx.ConnectError("x"), OSError("y"), ConnectionRefusedError()),
]


@pytest.mark.parametrize("links", PROVEN_UNSENT, ids=lambda links: type(links[0]).__name__)
@pytest.mark.parametrize("network_failure", [True, False])
def test_cause_can_prove_that_nothing_was_sent(
    links: tuple[BaseException, ...], network_failure: bool
) -> None:
    failure = classify_exception(chained(*links), network_failure=network_failure)
    assert failure.kind is FailureKind.NOT_SENT
    assert failure.nothing_sent


def tls_failure(text: str) -> tuple[BaseException, ...]:
    return httpx.ConnectError("c"), httpcore.ConnectError("c"), ssl.SSLError(1, text)


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (
            (
                httpx.PoolTimeout("busy"),
                NothingSentError("busy", ConnectionFailure.NO_FREE_CONNECTION),
            ),
            ConnectionFailure.NO_FREE_CONNECTION,
        ),
        (
            (httpx.PoolTimeout("busy"), httpcore.PoolTimeout("busy")),
            ConnectionFailure.NO_FREE_CONNECTION_IN_HTTP_CLIENT,
        ),
        ((ConnectionRefusedError(),), ConnectionFailure.NOT_CONNECTED),
        (
            tls_failure("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            ConnectionFailure.NOT_TLS,
        ),
        (
            tls_failure("[SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1033)"),
            ConnectionFailure.NOT_TLS,
        ),
        (tls_failure("[SSL] record layer failure (_ssl.c:1006)"), ConnectionFailure.NOT_TLS),
        (tls_failure("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]"), ConnectionFailure.NOT_CONNECTED),
        (
            (
                httpx.ReadError("r"),
                httpcore.ReadError("r"),
                ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"),
            ),
            ConnectionFailure.NO_RESPONSE,
        ),
    ],
    ids=short_repr,
)
def test_reason_that_nothing_was_sent(
    links: tuple[BaseException, ...], expected: ConnectionFailure
) -> None:
    assert classify_exception(chained(*links), network_failure=True) is expected


@pytest.mark.parametrize("failure", ConnectionFailure)
def test_explanation_agrees_with_the_kind(failure: ConnectionFailure) -> None:
    text = failure.explain(setting="token_url", url="https://a.example", unsent="NOT SENT")
    assert text.startswith("NOT SENT: ") is failure.nothing_sent
    assert text.endswith((".", "?"))
    assert "{" not in text
    for safety in Safety:
        if failure.nothing_sent:
            assert not leaves_outcome_unknown(safety, failure.kind)


def test_causes_of_another_request_prove_nothing() -> None:
    error = chained(*PROVEN_UNSENT[0])
    for network_failure, expected in (
        (True, ConnectionFailure.NO_RESPONSE),
        (False, ConnectionFailure.UNEXPECTED_EXCEPTION),
    ):
        failure = classify_exception(error, network_failure=network_failure, can_prove_unsent=False)
        assert failure is expected


AMBIGUOUS: list[tuple[BaseException, ...]] = [
    (httpx.ConnectError("bare"),),
    (httpx.ConnectTimeout("bare"),),
    (httpx.PoolTimeout("bare"),),
    (httpx.ProxyError("bare"),),
    (httpx.ConnectError("lost after sending"), ConnectionResetError()),
    (httpx.ConnectTimeout("lost after sending"), TimeoutError()),
    (httpx.ReadTimeout("r"), httpcore.ReadTimeout("r"), TimeoutError()),
    (httpx.WriteTimeout("w"), httpcore.WriteTimeout("w")),
    (httpx.ReadError("r"), httpcore.ReadError("r"), ConnectionResetError()),
    (httpx.WriteError("w"), httpcore.WriteError("w"), BrokenPipeError()),
    (httpx.RemoteProtocolError("p"), httpcore.RemoteProtocolError("p")),
    (httpx.ReadError("tls"), httpcore.ReadError("tls"), ssl.SSLError(1, "bad record")),
    (TimeoutError(),),
    (OSError(),),
]


@pytest.mark.parametrize("links", AMBIGUOUS, ids=lambda links: type(links[0]).__name__)
def test_failure_without_proof_is_ambiguous(links: tuple[BaseException, ...]) -> None:
    failure = classify_exception(chained(*links), network_failure=True)
    assert failure is ConnectionFailure.NO_RESPONSE
    assert failure.kind is FailureKind.AMBIGUOUS
    assert not failure.nothing_sent


@pytest.mark.parametrize("error", [RuntimeError("hook"), KeyError("x"), httpx.InvalidURL("x")])
def test_other_exceptions_are_permanent(error: Exception) -> None:
    failure = classify_exception(error, network_failure=False)
    assert failure.kind is FailureKind.AMBIGUOUS_PERMANENT
    assert not failure.nothing_sent


@pytest.mark.parametrize(
    "links",
    [
        (ssl.SSLCertVerificationError(1, "expired"),),
        (
            httpx.ConnectError("c"),
            httpcore.ConnectError("c"),
            ssl.SSLCertVerificationError(1, "hostname mismatch"),
        ),
    ],
)
@pytest.mark.parametrize("network_failure", [True, False])
def test_certificate_errors_are_rejected(
    links: tuple[BaseException, ...], network_failure: bool
) -> None:
    failure = classify_exception(chained(*links), network_failure=network_failure)
    assert failure is ConnectionFailure.UNTRUSTED_CERTIFICATE
    assert failure.kind is FailureKind.REJECTED
    assert failure.nothing_sent


def test_context_is_not_proof() -> None:
    # The host's first address refused; the request was sent to the second and lost.
    error = httpx.ReadError("lost")
    error.__context__ = ConnectionRefusedError()
    assert classify_exception(error, network_failure=True).kind is FailureKind.AMBIGUOUS
    certificate = httpx.ReadError("lost")
    certificate.__context__ = ssl.SSLCertVerificationError(1, "expired")
    assert classify_exception(certificate, network_failure=True).kind is FailureKind.AMBIGUOUS


def test_exception_group_member_is_not_proof() -> None:
    group = ExceptionGroup("attempts", [ConnectionRefusedError(), ConnectionResetError()])
    error = chained(OSError("all failed"), group)
    assert classify_exception(error, network_failure=True).kind is FailureKind.AMBIGUOUS


class ConnectError(Exception):
    """Shares its name with an httpcore error."""


def test_unrelated_class_of_the_same_name_is_not_proof() -> None:
    assert classify_exception(ConnectError(), network_failure=True).kind is FailureKind.AMBIGUOUS


def test_circular_cause_chain() -> None:
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert classify_exception(first, network_failure=True).kind is FailureKind.AMBIGUOUS
    itself = ConnectionRefusedError()
    itself.__cause__ = itself
    assert classify_exception(itself, network_failure=True).kind is FailureKind.NOT_SENT


@given(st.lists(st.sampled_from(["refused", "reset", "other"]), min_size=1, max_size=8))
@settings(deadline=None)
def test_proof_at_any_depth(kinds: list[str]) -> None:
    factories: dict[str, Callable[[], Exception]] = {
        "refused": ConnectionRefusedError,
        "reset": ConnectionResetError,
        "other": lambda: httpx.ReadError("x"),
    }
    error = chained(*(factories[kind]() for kind in kinds))
    expected = FailureKind.NOT_SENT if "refused" in kinds else FailureKind.AMBIGUOUS
    assert classify_exception(error, network_failure=True).kind is expected


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]+ [0-9:]+ \w*"))
@example("0")
@example("9" * 400)
@example("Mon, 01 Jan 9999 00:00:00 +9999")
@example("Thu, 01 Jan 0001 00:00:00 GMT")
@settings(deadline=None, max_examples=250)
def test_parse_retry_after_never_raises(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**12))
@settings(deadline=None)
def test_retry_after_seconds(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds
    assert parse_retry_after(f" 0{seconds}\t", NOW) == seconds


@given(st.integers(-(10**9), 10**9))
@settings(deadline=None)
def test_retry_after_date(distance: int) -> None:
    date = formatdate(NOW + distance, usegmt=True)
    assert parse_retry_after(date, NOW) == max(0, distance)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("5 s", None),
        ("5, 6", None),
        ("\u0665", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 32 Nov 2023 22:13:20 GMT", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Mon, 13 Nov 2023 22:14:20 GMT", 0.0),
        ("9" * 299, float("9" * 299)),
        ("9" * 300, inf),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


def test_policy_defaults() -> None:
    policy = RetryPolicy()
    assert (policy.max_attempts, policy.initial_backoff, policy.max_backoff) == (3, 0.5, 8)
    assert (policy.deadline, policy.max_retry_after) == (120, 60)
    assert policy.resend_unknown is False


def test_policy_none_keeps_the_deadline() -> None:
    assert RetryPolicy.none() == RetryPolicy(max_attempts=1)
    assert RetryPolicy.none(deadline=10) == RetryPolicy(max_attempts=1, deadline=10)
    assert RetryPolicy.none(deadline=None).deadline is None
    with pytest.raises(ConfigurationError, match=r"^deadline must be"):
        RetryPolicy.none(deadline=1e10)


WRONG_SETTINGS: list[tuple[str, Any]] = [
    *(("max_attempts", value) for value in (0, -1, 1.0, True, None, "3")),
    *(
        (name, value)
        for name in ("initial_backoff", "max_backoff", "max_retry_after")
        for value in (-0.1, nan, inf, None, "1", True)
    ),
    *(("deadline", value) for value in (0, -1, nan, inf, "120", True)),
    *(("resend_unknown", value) for value in ("false", None, 1)),
]


@pytest.mark.parametrize(("name", "value"), WRONG_SETTINGS)
def test_invalid_policy_settings_are_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must be"):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 1),
        ("initial_backoff", 0),
        ("max_backoff", 0.0),
        ("max_retry_after", 0),
        ("deadline", None),
        ("deadline", 0.001),
    ],
)
def test_policy_settings_at_the_limits_are_valid(name: str, value: Any) -> None:
    assert getattr(RetryPolicy(**{name: value}), name) == value


def test_policy_is_frozen_hashable_and_picklable() -> None:
    policy = RetryPolicy(deadline=None)
    with pytest.raises(FrozenInstanceError):
        policy.max_attempts = 9  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301
    assert {policy, RetryPolicy(deadline=None)} == {policy}
