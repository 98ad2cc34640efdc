"""The token endpoint: parses token requests, issues and checks access tokens."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from email.message import Message
from email.parser import BytesHeaderParser
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from attrs import field, frozen

from webhooks_sdk.sandbox._service.errors import RequestRefusedError, oauth_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._service.timeline import Clock
    from webhooks_sdk.sandbox._storage.database import Database

GRANT_TYPE = "client_credentials"
MAX_TOKEN_LIFETIME = 10**9
"""The longest lifetime of an access token, in seconds: 31 years."""
# A token request has three fields. The last part that is split off holds all the rest.
_MAX_FIELDS = 100

Pair = tuple[str, str]


@frozen
class TokenRequest:
    """A request to the token endpoint.

    Attributes:
        grant_type: The grant type; None if missing.
        credentials: Client ID and client secret; None unless both are present.
        basic: Whether the credentials use HTTP Basic.
    """

    grant_type: str | None
    credentials: Pair | None = field(repr=False)
    basic: bool


def read_token_request(headers: Mapping[str, str], query: str, body: bytes) -> TokenRequest:
    """Parse a token request: a form, URL-encoded or multipart, or HTTP Basic.

    Args:
        headers: The headers of the request, by lower-case name.
        query: Its query string. The grant type in it counts only with HTTP Basic.
        body: Its body.

    Raises:
        RequestRefusedError: 400, the credentials are both in HTTP Basic and in the form, or a
            parameter has more than one value.
    """
    form = _read_form(headers.get("content-type", ""), body)
    basic = _read_basic(headers.get("authorization", ""))
    grants = (pair for pair in parse_qsl(query) if pair[0] == "grant_type")
    grant_type = _single_value("grant_type", (*form, *grants))
    grant_type_in_form = _single_value("grant_type", form)
    client_id = _single_value("client_id", form)
    client_secret = _single_value("client_secret", form)
    if basic is not None:
        if client_secret is not None:
            raise _invalid_request("Send the credentials as HTTP Basic or in the form, not both.")
        return TokenRequest(grant_type, basic, basic=True)
    credentials = None
    if client_id is not None and client_secret is not None:
        credentials = (client_id, client_secret)
    return TokenRequest(grant_type_in_form, credentials, basic=False)


def _single_value(name: str, pairs: Iterable[Pair]) -> str | None:
    """Return the value of a parameter; None if missing or empty (RFC 6749, section 3.2)."""
    values = {value for key, value in pairs if key == name and value}
    if len(values) > 1:
        raise _invalid_request(f"{name} has more than one value.")
    return next(iter(values), None)


def _invalid_request(description: str) -> RequestRefusedError:
    return oauth_error(HTTPStatus.BAD_REQUEST, "invalid_request", description)


def read_client_id(headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the client ID of a token request, even of an invalid one; None if there is none."""
    basic = _read_basic(headers.get("authorization", ""))
    if basic is not None:
        return basic[0]
    return dict(_read_form(headers.get("content-type", ""), body)).get("client_id")


def _read_form(content_type: str, body: bytes) -> list[Pair]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return parse_qsl(body.decode(errors="replace"))
    if media_type == "multipart/form-data":
        return _read_multipart(content_type, body)
    return []


def _read_multipart(content_type: str, body: bytes) -> list[Pair]:
    form = Message()
    form["Content-Type"] = content_type
    boundary = form.get_boundary()
    if not boundary:
        return []
    # Not the email parser: it would recurse into nested multipart bodies.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="replace"), _MAX_FIELDS)
    fields: list[Pair] = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2])
        name = headers.get_param("name", header="content-disposition")
        if isinstance(name, str):
            fields.append((name, content.decode(errors="replace")))
    return fields


def _read_basic(authorization: str) -> Pair | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    client_id, _, client_secret = decoded.partition(":")
    return client_id, client_secret


class TokenIssuer:
    """Issues and looks up access tokens. They expire in real time.

    Args:
        database: The database.
        clock: The source of real time.
        lifetime: The lifetime of a token, in seconds.
    """

    def __init__(self, database: Database, *, clock: Clock, lifetime: int) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = lifetime

    def issue(self, request: TokenRequest, account: Account | None) -> dict[str, object]:
        """Return the response body for a token request, with a new access token.

        Args:
            request: The request.
            account: The account with the client ID; None if there is none in the environment.

        Raises:
            RequestRefusedError: 400, the grant type is missing or unsupported; 401, the credentials
                are wrong.
        """
        if request.grant_type is None:
            raise _invalid_request("grant_type is required.")
        if request.grant_type != GRANT_TYPE:
            raise oauth_error(
                HTTPStatus.BAD_REQUEST,
                "unsupported_grant_type",
                f"grant_type must be {GRANT_TYPE}.",
            )
        if account is None or not _credentials_match(account, request.credentials):
            challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'} if request.basic else None
            raise oauth_error(
                HTTPStatus.UNAUTHORIZED,
                "invalid_client",
                "The client ID or client secret is wrong.",
                challenge,
            )
        return self._token_response(self.new_token(account), account)

    def new_token(self, account: Account) -> str:
        """Issue and return an access token for a tenant."""
        token = secrets.token_urlsafe(32)
        valid_until = self._clock.now() + self._lifetime * 1_000_000
        self._database.execute(
            "INSERT INTO tokens (token, tenant, valid_until) VALUES (?, ?, ?)",
            (token, account.number, valid_until),
        )
        return token

    def find_owner(self, authorization: str) -> TokenOwner | None:
        """Return the owner of the token in an `Authorization` header, even of an expired one."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        sql = "SELECT tenant, valid_until FROM tokens WHERE token = ?"
        row = self._database.row(sql, (token.strip(),))
        return None if row is None else TokenOwner(row[0], is_valid=row[1] > self._clock.now())

    def expire(self, account: Account) -> None:
        """Expire all access tokens of a tenant."""
        self._database.execute(
            "UPDATE tokens SET valid_until = 0 WHERE tenant = ?", (account.number,)
        )

    def _token_response(self, token: str, account: Account) -> dict[str, object]:
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._lifetime,
            "refresh_token": secrets.token_urlsafe(32),
            "scope": "",
            "uid": str(account.owner_id),
            "info": {
                "name": "Sandbox Client",
                "email": None,
                "first_name": "Sandbox",
                "last_name": "Client",
            },
        }


@frozen
class TokenOwner:
    """The owner of an access token.

    Attributes:
        tenant: The account number of the tenant.
        is_valid: Whether the token has not expired.
    """

    tenant: int
    is_valid: bool


def _credentials_match(account: Account, credentials: Pair | None) -> bool:
    if credentials is None:
        return False
    pairs = zip(credentials, (account.client_id, account.client_secret), strict=True)
    # A list, not a generator: both are compared in any case.
    return all([hmac.compare_digest(given.encode(), own.encode()) for given, own in pairs])  # noqa: C419
