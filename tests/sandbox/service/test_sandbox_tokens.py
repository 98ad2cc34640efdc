"""The token endpoint and bearer tokens: the rules called directly, then over HTTP."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webhooks_sdk.sandbox import Sandbox
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._service.tokens import (
    TokenIssuer,
    TokenOwner,
    TokenRequest,
    read_token_request,
)
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANT = "client_credentials"
FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--x y\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n'
    b'--x y\r\nContent-Disposition: form-data; name="client_id"\r\n\r\na\r\n'
    b'--x y\r\nContent-Disposition: form-data; name="client_secret"\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xbc\r\n--x y--\r\n"
)


class Clock:
    """A clock that stands still until it is set."""

    time = 1_767_225_600_000_000

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


@pytest.mark.parametrize(
    ("headers", "query", "body", "expected"),
    [
        (
            {"content-type": FORM},
            "",
            b"grant_type=client_credentials&client_id=a%26b&client_secret=%C3%BC+1",
            TokenRequest(GRANT, ("a&b", "ü 1"), basic=False),
        ),
        (
            {"content-type": 'multipart/form-data; boundary="x y"'},
            "",
            MULTIPART,
            TokenRequest(GRANT, ("a", "ü"), basic=False),
        ),
        (
            {"authorization": basic("a:b:c")},
            "grant_type=client_credentials",
            b"",
            TokenRequest(GRANT, ("a", "b:c"), basic=True),
        ),
        (
            {"authorization": basic("a:b"), "content-type": FORM},
            "",
            b"grant_type=client_credentials",
            TokenRequest(GRANT, ("a", "b"), basic=True),
        ),
        (
            {"content-type": FORM},
            "client_id=a&client_secret=b",
            b"grant_type=password",
            TokenRequest("password", None, basic=False),
        ),
        (
            {"content-type": FORM},
            "grant_type=client_credentials",
            b"client_id=a&client_secret=b",
            TokenRequest(None, ("a", "b"), basic=False),
        ),
        (
            {"content-type": "application/json"},
            "",
            b'{"grant_type": "client_credentials"}',
            TokenRequest(None, None, basic=False),
        ),
        ({"authorization": "Basic !"}, "", b"", TokenRequest(None, ("", ""), basic=True)),
        ({"content-type": "multipart/form-data"}, "", b"x", TokenRequest(None, None, basic=False)),
    ],
)
def test_every_style_is_read(
    headers: dict[str, str], query: str, body: bytes, expected: TokenRequest
) -> None:
    assert read_token_request(headers, query, body) == expected


def test_a_multipart_form_that_is_nested_without_end_is_read_as_one() -> None:
    nested = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (depth, depth + 1)
        for depth in range(3_000)
    )
    headers = {"content-type": "multipart/form-data; boundary=b0"}
    assert read_token_request(headers, "", nested).grant_type is None


def test_of_a_multipart_form_with_thousands_of_fields_the_first_count() -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    many = field % (b"n", b"v") * 20_000
    form = field % (b"grant_type", GRANT.encode()) + many + field % (b"grant_type", b"other")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert read_token_request(headers, "", form).grant_type == GRANT


@given(st.text(alphabet="mutlipar/fo-d;bny=\"*0'%\\ \x80", max_size=60), st.binary(max_size=200))
@example("; boundary*0*=x%", b"--x")
@example('; boundary=""', b"----")
@example("; boundary*=b", b"--b\r\nContent-Disposition: form-data; name*=q\r\n\r\n")
def test_no_multipart_form_is_a_failure(parameters: str, body: bytes) -> None:
    headers = {"content-type": f"multipart/form-data{parameters}"}
    with suppress(RequestRefusedError):
        read_token_request(headers, "", body)


def test_credentials_must_come_one_way_only() -> None:
    headers = {"authorization": basic("a:b"), "content-type": FORM}
    with pytest.raises(RequestRefusedError) as caught:
        read_token_request(headers, "", b"client_id=a&client_secret=b")
    assert caught.value.status == 400
    assert caught.value.body["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("grant_type=password", b"grant_type=client_credentials&client_id=a&client_secret=b"),
        ("grant_type=password&grant_type=client_credentials", b"client_id=a&client_secret=b"),
        ("", b"grant_type=client_credentials&client_id=a&client_id=b&client_secret=b"),
        ("", b"grant_type=client_credentials&client_id=a&client_secret=b&client_secret=c"),
    ],
)
def test_a_parameter_with_two_values_is_refused(query: str, form: bytes) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read_token_request({"content-type": FORM}, query, form)
    assert caught.value.status == 400
    assert caught.value.body["error"] == "invalid_request"


def test_a_parameter_that_is_repeated_or_empty_does_no_harm() -> None:
    form = b"grant_type=client_credentials&client_id=a&client_id=&client_secret=b"
    request = read_token_request({"content-type": FORM}, "grant_type=client_credentials", form)
    assert request == TokenRequest(GRANT, ("a", "b"), basic=False)
    headers = {"authorization": basic("a:b"), "content-type": FORM}
    request = read_token_request(headers, "grant_type=client_credentials", b"client_secret=")
    assert request == TokenRequest(GRANT, ("a", "b"), basic=True)


def test_a_token_request_hides_its_credentials() -> None:
    assert "hush" not in repr(TokenRequest(GRANT, ("a", "hush"), basic=False))


def test_a_token_is_valid_for_its_lifetime() -> None:
    clock, database = Clock(), Database()
    registry = TenantRegistry(database, clock=clock, new_id=uuid4)
    account = registry.add("production", "a", "b").account
    issuer = TokenIssuer(database, clock=clock, lifetime=60)
    answer = issuer.issue(TokenRequest(GRANT, ("a", "b"), basic=False), account)
    authorization = f"Bearer {answer['access_token']}"
    assert answer["expires_in"] == 60
    clock.time += 60_000_000 - 1
    assert issuer.find_owner(authorization) == TokenOwner(account.number, is_valid=True)
    clock.time += 1
    assert issuer.find_owner(authorization) == TokenOwner(account.number, is_valid=False)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(client_id="the id", client_secret="the:secret&ü") as sandbox:
        yield sandbox


def post(sandbox: Sandbox, **form: str) -> httpx.Response:
    return httpx.post(sandbox.token_url, data=form, trust_env=False)


def credentials(sandbox: Sandbox) -> dict[str, str]:
    return {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}


def test_the_answer_has_the_documented_fields(sandbox: Sandbox) -> None:
    answer = post(sandbox, grant_type=GRANT, **credentials(sandbox))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 43_200
    assert token["scope"] == ""
    assert isinstance(token["access_token"], str)
    assert isinstance(token["refresh_token"], str)
    assert isinstance(token["uid"], str)
    assert token["info"] == {
        "name": "Sandbox Client",
        "email": None,
        "first_name": "Sandbox",
        "last_name": "Client",
    }


def test_multipart_forms_are_taken(sandbox: Sandbox) -> None:
    form = {"grant_type": GRANT, **credentials(sandbox)}
    files = {name: (None, value) for name, value in form.items()}
    answer = httpx.post(sandbox.token_url, files=files, trust_env=False)
    assert answer.request.headers["content-type"].startswith("multipart/form-data")
    assert answer.status_code == 200


def test_http_basic_with_the_grant_in_the_query_is_taken(sandbox: Sandbox) -> None:
    answer = httpx.post(
        sandbox.token_url,
        params={"grant_type": GRANT},
        auth=(sandbox.client_id, sandbox.client_secret),
        trust_env=False,
    )
    assert answer.status_code == 200


def test_every_token_is_new_and_all_are_valid(sandbox: Sandbox) -> None:
    tokens = {
        post(sandbox, grant_type=GRANT, **credentials(sandbox)).json()["access_token"]
        for _ in range(3)
    }
    assert len(tokens) == 3
    for token in tokens:
        headers = {"Authorization": f"bearer {token}"}
        assert httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"client_secret": "x"}, {"client_id": "x"}, {"client_id": "", "client_secret": ""}]
)
def test_wrong_credentials_are_an_invalid_client(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    form = {"grant_type": GRANT, **credentials(sandbox), **wrong}
    answer = post(sandbox, **form)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_client",
        "error_description": "The client id or client secret is wrong.",
    }


def test_missing_credentials_are_an_invalid_client(sandbox: Sandbox) -> None:
    answer = post(sandbox, grant_type=GRANT)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_wrong_basic_credentials_are_challenged(sandbox: Sandbox) -> None:
    answer = httpx.post(f"{sandbox.token_url}?grant_type={GRANT}", auth=("x", "y"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="sandbox"'


def test_another_grant_is_not_supported(sandbox: Sandbox) -> None:
    answer = post(sandbox, grant_type="refresh_token", **credentials(sandbox))
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_a_grant_must_be_named(sandbox: Sandbox) -> None:
    answer = post(sandbox, **credentials(sandbox))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_tokens_are_only_posted_for(sandbox: Sandbox) -> None:
    answer = httpx.get(sandbox.token_url)
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic eDp5", "x"])
def test_without_a_valid_token_every_operation_is_refused(
    sandbox: Sandbox, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    some_id = "29dd8606-4e01-46cb-aca2-dd6022e74865"
    with httpx.Client(base_url=sandbox.base_url, headers=headers, trust_env=False) as client:
        for method, path in (
            ("GET", "/hooks"),
            ("POST", "/hooks"),
            ("GET", f"/hooks/{some_id}"),
            ("PUT", f"/hooks/{some_id}"),
            ("PATCH", f"/hooks/{some_id}"),
            ("DELETE", f"/hooks/{some_id}"),
            ("GET", f"/hooks/{some_id}/requests"),
            ("POST", f"/hooks/{some_id}/requests/{some_id}/redeliver"),
        ):
            answer = client.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.json().keys() == {"error", "message"}
            assert answer.json()["error"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


def test_tokens_can_be_expired_at_once() -> None:
    with Sandbox(token_lifetime=7200) as sandbox:

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code

        answer = post(sandbox, grant_type=GRANT, **credentials(sandbox)).json()
        assert answer["expires_in"] == 7200
        assert status(answer["access_token"]) == 200
        sandbox.expire_tokens()
        assert status(answer["access_token"]) == 401
        renewed = post(sandbox, grant_type=GRANT, **credentials(sandbox)).json()
        assert status(renewed["access_token"]) == 200
        assert status(answer["access_token"]) == 401
        assert sandbox.token_requests == 2


def test_a_token_can_be_had_without_a_request() -> None:
    with Sandbox() as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.issue_token()}"}
        assert httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code == 200
        assert sandbox.token_requests == 0
        sandbox.expire_tokens()
        assert httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code == 401


@pytest.mark.parametrize("lifetime", [0, -1, 10**30])
def test_a_token_lives_at_least_a_second_and_not_for_ever(lifetime: int) -> None:
    with pytest.raises(ValueError, match="token_lifetime"):
        Sandbox(token_lifetime=lifetime)
