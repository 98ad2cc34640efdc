"""Client credentials, the token request and the token cache."""

from __future__ import annotations

import pickle
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webhooks_sdk import AccessToken, ClientCredentials, ConfigurationError
from webhooks_sdk._core.tokens import TokenCache, check_token, token_operation
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import APIConnectionError, APIError, AuthenticationError
from webhooks_sdk.operations import Safety

ENCODABLE = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)
STYLES: list[Any] = ["form", "multipart", "basic"]


@given(ENCODABLE, ENCODABLE)
@settings(deadline=None)
def test_form_style(client_id: str, secret: str) -> None:
    operation = token_operation(ClientCredentials(client_id, secret))
    assert operation.content is not None
    assert parse_qsl(operation.content.decode("ascii"), keep_blank_values=True) == [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_secret", secret),
    ]
    assert operation.content_type == "application/x-www-form-urlencoded"
    assert (operation.path, operation.headers) == ("", ())


@given(ENCODABLE, ENCODABLE)
@example("id\r\n--x", 'a"; name="client_id')
@settings(deadline=None)
def test_multipart_style(client_id: str, secret: str) -> None:
    operation = token_operation(ClientCredentials(client_id, secret, style="multipart"))
    kind, _, boundary = operation.content_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    assert operation.content is not None
    first, *parts, last = operation.content.decode().split(f"--{boundary}")
    assert (first, last) == ("", "--\r\n")
    fields = [part.removeprefix("\r\n").removesuffix("\r\n").split("\r\n\r\n", 1) for part in parts]
    assert fields == [
        ['Content-Disposition: form-data; name="grant_type"', "client_credentials"],
        ['Content-Disposition: form-data; name="client_id"', client_id],
        ['Content-Disposition: form-data; name="client_secret"', secret],
    ]


@given(ENCODABLE.filter(lambda text: ":" not in text), ENCODABLE)
@settings(deadline=None)
def test_basic_style(client_id: str, secret: str) -> None:
    operation = token_operation(ClientCredentials(client_id, secret, style="basic"))
    ((name, value),) = operation.headers
    assert name == "Authorization"
    assert b64decode(value.removeprefix("Basic ")).decode() == f"{client_id}:{secret}"
    assert operation.path == "?grant_type=client_credentials"
    assert operation.content is None
    assert value.removeprefix("Basic ") in operation.secrets


@pytest.mark.parametrize("style", STYLES)
def test_token_operation(style: Any) -> None:
    operation = token_operation(ClientCredentials("id-1", "hunter2", style=style))
    assert (operation.name, operation.method, operation.endpoint) == ("token", "POST", "token")
    assert operation.success == {200}
    assert operation.safety is Safety.SAFE
    assert "hunter2" in operation.secrets
    assert "hunter2" not in repr(operation)
    assert operation.decode(b'{"access_token": "abc"}') == AccessToken(access_token="abc")


def test_credentials_repr_hides_the_secret() -> None:
    credentials = ClientCredentials("id-1", "hunter2", style="basic")
    assert "hunter2" not in repr(credentials)
    assert "hunter2" not in str(credentials)
    assert "id-1" in repr(credentials)


WRONG_CREDENTIALS: list[tuple[Any, Any, Any]] = [
    ("", "hunter2", "form"),
    ("id", "", "form"),
    (None, "hunter2", "form"),
    ("id", None, "form"),
    ("id", b"hunter2", "form"),
    ("id", "hunter2", "FORM"),
    ("id", "hunter2", ""),
    ("id", "hunter2", None),
    ("id", "hunter2", ["form"]),
    ("i:d", "hunter2", "basic"),
]


@pytest.mark.parametrize(("client_id", "client_secret", "style"), WRONG_CREDENTIALS)
def test_invalid_credentials_raise(client_id: Any, client_secret: Any, style: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientCredentials(client_id, client_secret, style=style)
    assert "hunter2" not in str(caught.value)


def test_client_id_with_colon_is_allowed_in_a_form() -> None:
    assert ClientCredentials("i:d", "hunter2").client_id == "i:d"


@pytest.mark.parametrize("token", ["a", "eyJ.a-b_c~+/==", "!", "~"])
def test_check_token_returns_valid_tokens_unchanged(token: str) -> None:
    assert check_token(token) == token


@pytest.mark.parametrize(
    "token",
    ["", " ", "hunter2 x", "hunter2\r\nX: y", "hunter2\n", "hünter2", "\0", None, 5, b"hunter2"],
)
def test_check_token_rejects_invalid_tokens_without_quoting_them(token: object) -> None:
    with pytest.raises(ConfigurationError, match="visible ASCII") as caught:
        check_token(token)
    assert "hunter2" not in str(caught.value)
    assert "hünter2" not in str(caught.value)


@pytest.mark.parametrize(
    "token",
    ["Bearer hunter2", "bearer hunter2", "BEARER\thunter2", "Authorization: Bearer hunter2"],
)
def test_token_with_the_name_of_the_scheme_is_refused_with_the_reason(token: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"begins with 'Bearer '.*only the token"
    ) as caught:
        check_token(token)
    assert "hunter2" not in str(caught.value)
    assert check_token("bearer") == "bearer"


@given(st.text())
@settings(deadline=None)
def test_check_token_raises_only_configuration_error(text: str) -> None:
    try:
        token = check_token(text)
    except ConfigurationError:
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


def cache_with(token: str, expires_in: int | None, requested_at: float = 1_000.0) -> TokenCache:
    cache = TokenCache()
    assert (
        cache.store(AccessToken(access_token=token, expires_in=expires_in), requested_at) == token
    )
    return cache


def test_empty_cache() -> None:
    assert TokenCache().current(0.0) is None


@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [
        (43_200, 42_900.0),
        (3_000, 2_700.0),
        (600, 540.0),
        (60, 54.0),
        (10, 9.0),
        (1, 0.9),
        (0, 0.0),
        (-5, 0.0),
        (-(10**400), 0.0),
    ],
    ids=short_repr,
)
def test_token_is_renewed_before_it_expires(expires_in: int, renewed_after: float) -> None:
    cache = cache_with("t", expires_in)
    assert cache.current(1_000.0 + renewed_after - 0.01) == "t"
    assert cache.current(1_000.0 + renewed_after + 0.01) is None


@pytest.mark.parametrize("expires_in", [None, 10**30])
def test_token_without_expiry_is_kept_until_invalidated(expires_in: int | None) -> None:
    cache = cache_with("t", expires_in)
    assert cache.current(900_000_000.0) == "t"
    cache.invalidate("t")
    assert cache.current(1_001.0) is None


@given(st.none() | st.integers(), st.floats(0, 1e9), st.floats(0, 1e9))
@settings(deadline=None)
def test_token_is_never_used_after_it_expires(
    expires_in: int | None, requested_at: float, elapsed: float
) -> None:
    cache = cache_with("t", expires_in, requested_at)
    if cache.current(requested_at + elapsed) is not None and expires_in is not None:
        assert elapsed <= expires_in


def test_invalidating_an_old_token_keeps_the_new_one() -> None:
    cache = cache_with("old", 100)
    cache.store(AccessToken(access_token="new", expires_in=100), 1_010.0)
    cache.invalidate("old")
    assert cache.current(1_020.0) == "new"
    cache.invalidate("new")
    assert cache.current(1_020.0) is None
    cache.invalidate("new")
    assert cache.current(1_020.0) is None


def test_new_token_has_its_own_expiry() -> None:
    cache = cache_with("old", 10)
    assert cache.current(1_009.5) is None
    cache.store(AccessToken(access_token="new", expires_in=100), 1_009.5)
    assert cache.current(1_090.0) == "new"


def failure() -> APIError:
    return AuthenticationError("token: 401.", operation="token", status=401, attempts=1)


def test_failure_is_reported_to_waiting_callers_only() -> None:
    cache = TokenCache()
    request_count = cache.request_count
    assert cache.outcome_since(request_count) is None
    cache.record_failure(failure())
    reported = cache.outcome_since(request_count)
    assert isinstance(reported, AuthenticationError)
    assert (str(reported), reported.status) == ("token: 401.", 401)
    assert cache.outcome_since(cache.request_count) is None


def test_last_failure_is_reported() -> None:
    cache = TokenCache()
    cache.record_failure(failure())
    cache.record_failure(APIConnectionError("token: lost.", operation="token"))
    assert isinstance(cache.outcome_since(0), APIConnectionError)
    assert isinstance(cache.outcome_since(1), APIConnectionError)
    assert cache.outcome_since(2) is None


def test_recorded_failure_has_no_traceback() -> None:
    cache = TokenCache()
    with pytest.raises(AuthenticationError) as caught:
        raise failure()
    cache.record_failure(caught.value)
    recorded = cache.outcome_since(0)
    assert isinstance(recorded, AuthenticationError)
    assert recorded is not caught.value
    assert recorded.__traceback__ is None


def test_waiting_callers_get_a_new_token_even_if_already_expired() -> None:
    cache = TokenCache()
    request_count = cache.request_count
    cache.store(AccessToken(access_token="brief", expires_in=0), 1_000.0)
    assert cache.current(1_000.0) is None
    assert cache.outcome_since(request_count) == "brief"
    assert cache.outcome_since(cache.request_count) is None


def test_failure_keeps_a_valid_token() -> None:
    cache = cache_with("t", 100)
    cache.record_failure(failure())
    assert cache.current(1_001.0) == "t"


def test_cache_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(cache_with("t", None))
