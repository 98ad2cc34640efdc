"""The token endpoint and bearer tokens: unit tests, then over HTTP."""

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


class ManualClock:
    """A clock that moves only when `time` is set."""

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
def test_every_style_is_parsed(
    headers: dict[str, str], query: str, body: bytes, expected: TokenRequest
) -> None:
    assert read_token_request(headers, query, body) == expected


def test_a_deeply_nested_multipart_form_is_parsed_without_recursion() -> None:
    nested = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (depth, depth + 1)
        for depth in range(3_000)
    )
    headers = {"content-type": "multipart/form-data; boundary=b0"}
    assert read_token_request(headers, "", nested).grant_type is None


def test_only_the_first_fields_of_a_huge_multipart_form_are_parsed() -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    many = field % (b"n", b"v") * 20_000
    form = field % (b"grant_type", GRANT.encode()) + many + field % (b"grant_type", b"other")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert read_token_request(headers, "", form).grant_type == GRANT


@given(st.text(alphabet="mutlipar/fo-d;bny=\"*0'%\\ \x80", max_size=60), st.binary(max_size=200))
@example("; boundary*0*=x%", b"--x")
@example('; boundary=""', b"----")
@example("; boundary*=b", b"--b\r\nContent-Disposition: form-data; name*=q\r\n\r\n")
def test_malformed_multipart_forms_do_not_raise_other_errors(parameters: str, body: bytes) -> None:
    headers = {"content-type": f"multipart/form-data{parameters}"}
    with suppress(RequestRefusedError):
        read_token_request(headers, "", body)


def test_credentials_both_in_basic_and_form_are_rejected() -> None:
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
def test_a_parameter_with_two_values_is_rejected(query: str, form: bytes) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read_token_request({"content-type": FORM}, query, form)
    assert caught.value.status == 400
    assert caught.value.body["error"] == "invalid_request"


def test_repeated_and_empty_parameters_are_accepted() -> None:
    form = b"grant_type=client_credentials&client_id=a&client_id=&client_secret=b"
    request = read_token_request({"content-type": FORM}, "grant_type=client_credentials", form)
    assert request == TokenRequest(GRANT, ("a", "b"), basic=False)
    headers = {"authorization": basic("a:b"), "content-type": FORM}
    request = read_token_request(headers, "grant_type=client_credentials", b"client_secret=")
    assert request == TokenRequest(GRANT, ("a", "b"), basic=True)


def test_repr_of_a_token_request_hides_the_credentials() -> None:
    assert "hush" not in repr(TokenRequest(GRANT, ("a", "hush"), basic=False))


def test_a_token_is_valid_for_its_lifetime() -> None:
    clock, database = ManualClock(), Database()
    registry = TenantRegistry(database, clock=clock, new_id=uuid4)
    account = registry.add("production", "a", "b").account
    issuer = TokenIssuer(database, clock=clock, lifetime=60)
    response = issuer.issue(TokenRequest(GRANT, ("a", "b"), basic=False), account)
    authorization = f"Bearer {response['access_token']}"
    assert response["expires_in"] == 60
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


def test_the_response_has_the_documented_fields(sandbox: Sandbox) -> None:
    response = post(sandbox, grant_type=GRANT, **credentials(sandbox))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    token = response.json()
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


def test_multipart_forms_are_accepted(sandbox: Sandbox) -> None:
    form = {"grant_type": GRANT, **credentials(sandbox)}
    files = {name: (None, value) for name, value in form.items()}
    response = httpx.post(sandbox.token_url, files=files, trust_env=False)
    assert response.request.headers["content-type"].startswith("multipart/form-data")
    assert response.status_code == 200


def test_http_basic_with_the_grant_type_in_the_query_is_accepted(sandbox: Sandbox) -> None:
    response = httpx.post(
        sandbox.token_url,
        params={"grant_type": GRANT},
        auth=(sandbox.client_id, sandbox.client_secret),
        trust_env=False,
    )
    assert response.status_code == 200


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
    response = post(sandbox, **form)
    assert response.status_code == 401
    assert response.json() == {
        "error": "invalid_client",
        "error_description": "The client ID or client secret is wrong.",
    }


def test_missing_credentials_are_an_invalid_client(sandbox: Sandbox) -> None:
    response = post(sandbox, grant_type=GRANT)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_wrong_basic_credentials_get_a_challenge(sandbox: Sandbox) -> None:
    response = httpx.post(f"{sandbox.token_url}?grant_type={GRANT}", auth=("x", "y"))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"] == 'Basic realm="sandbox"'


def test_other_grant_types_are_unsupported(sandbox: Sandbox) -> None:
    response = post(sandbox, grant_type="refresh_token", **credentials(sandbox))
    assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")


def test_the_grant_type_is_required(sandbox: Sandbox) -> None:
    response = post(sandbox, **credentials(sandbox))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_the_token_url_accepts_only_post(sandbox: Sandbox) -> None:
    response = httpx.get(sandbox.token_url)
    assert (response.status_code, response.json()["error"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic eDp5", "x"])
def test_every_operation_requires_a_valid_token(
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
            response = client.request(method, path)
            assert response.status_code == 401, (method, path)
            assert response.json().keys() == {"error", "message"}
            assert response.json()["error"] == "unauthorized"
            assert response.headers["www-authenticate"] == "Bearer"


def test_expire_tokens() -> None:
    with Sandbox(token_lifetime=7200) as sandbox:

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code

        response = post(sandbox, grant_type=GRANT, **credentials(sandbox)).json()
        assert response["expires_in"] == 7200
        assert status(response["access_token"]) == 200
        sandbox.expire_tokens()
        assert status(response["access_token"]) == 401
        renewed = post(sandbox, grant_type=GRANT, **credentials(sandbox)).json()
        assert status(renewed["access_token"]) == 200
        assert status(response["access_token"]) == 401
        assert sandbox.token_request_count == 2


def test_issue_token_makes_no_request() -> None:
    with Sandbox() as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.issue_token()}"}
        assert httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code == 200
        assert sandbox.token_request_count == 0
        sandbox.expire_tokens()
        assert httpx.get(f"{sandbox.base_url}/hooks", headers=headers).status_code == 401


@pytest.mark.parametrize("lifetime", [0, -1, 10**30])
def test_token_lifetimes_out_of_range_are_rejected(lifetime: int) -> None:
    with pytest.raises(ValueError, match="token_lifetime"):
        Sandbox(token_lifetime=lifetime)
