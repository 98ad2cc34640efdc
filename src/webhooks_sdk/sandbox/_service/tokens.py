"""The token endpoint: client credentials in, access tokens out, and which of them are good."""

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
"""Seconds that an access token can live at most: 31 years."""
# A token request has three; the last one read holds whatever follows it.
_MAX_FIELDS = 100

Pair = tuple[str, str]


@frozen
class TokenRequest:
    """What a client says to the token endpoint.

    Attributes:
        grant_type: None if it names none.
        credentials: Client id and client secret, None if they are not both there.
        basic: Whether they came as HTTP Basic.
    """

    grant_type: str | None
    credentials: Pair | None = field(repr=False)
    basic: bool


def read_token_request(headers: Mapping[str, str], query: str, body: bytes) -> TokenRequest:
    """Read a token request in any of its styles: a form, URL-encoded or multipart, or HTTP Basic.

    Args:
        headers: The request's headers, looked up in lower case.
        query: Its query string, in which the grant type can stand, and nothing else. Beside a form
            with the credentials it does not count: there the grant type belongs in the form.
        body: Its body.

    Raises:
        RequestRefusedError: 400, the credentials stand there in two ways, or a parameter with two
            values.
    """
    form = _read_form(headers.get("content-type", ""), body)
    basic = _read_basic(headers.get("authorization", ""))
    grants = (pair for pair in parse_qsl(query) if pair[0] == "grant_type")
    grant_type, grant_in_form = _only("grant_type", (*form, *grants)), _only("grant_type", form)
    client_id, client_secret = _only("client_id", form), _only("client_secret", form)
    if basic is not None:
        if client_secret is not None:
            raise _invalid("The credentials must be sent one way only.")
        return TokenRequest(grant_type, basic, basic=True)
    credentials = None
    if client_id is not None and client_secret is not None:
        credentials = (client_id, client_secret)
    return TokenRequest(grant_in_form, credentials, basic=False)


def _only(name: str, pairs: Iterable[Pair]) -> str | None:
    """Return a parameter's value; RFC 6749, section 3.2, takes an empty one for none."""
    values = {value for key, value in pairs if key == name and value}
    if len(values) > 1:
        raise _invalid(f"{name} must be sent once only.")
    return next(iter(values), None)


def _invalid(description: str) -> RequestRefusedError:
    return oauth_error(HTTPStatus.BAD_REQUEST, "invalid_request", description)


def read_client_id(headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the client id in a token request, whatever else is wrong with it; None without one."""
    basic = _read_basic(headers.get("authorization", ""))
    if basic is not None:
        return basic[0]
    return dict(_read_form(headers.get("content-type", ""), body)).get("client_id")


def _read_form(content_type: str, body: bytes) -> list[Pair]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return parse_qsl(body.decode(errors="replace"))
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    return []


def _read_multipart(content_type: str, body: bytes) -> list[Pair]:
    form = Message()
    form["Content-Type"] = content_type
    boundary = form.get_boundary()
    if not boundary:
        return []
    # Not parsed as mail would be: a form has no forms inside it, however often one says it has.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="replace"), _MAX_FIELDS)
    fields: list[Pair] = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        named = BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2])
        name = named.get_param("name", header="content-disposition")
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
    """Issues access tokens, and knows whose they are and which are valid. Their time is real.

    Args:
        database: Where they are kept.
        clock: The real time.
        lifetime: Seconds for which a token is valid.
    """

    def __init__(self, database: Database, *, clock: Clock, lifetime: int) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = lifetime

    def issue(self, request: TokenRequest, account: Account | None) -> dict[str, object]:
        """Return the answer to a token request, with a new access token.

        Args:
            request: The request.
            account: Whose client id it names; None if it names nobody's of the environment.

        Raises:
            RequestRefusedError: 400, the grant is not client credentials; 401, the credentials
                are not the client's.
        """
        if request.grant_type is None:
            raise _invalid("grant_type is missing.")
        if request.grant_type != GRANT_TYPE:
            raise oauth_error(
                HTTPStatus.BAD_REQUEST,
                "unsupported_grant_type",
                f"grant_type must be {GRANT_TYPE}.",
            )
        if account is None or not _knows(account, request.credentials):
            challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'} if request.basic else None
            raise oauth_error(
                HTTPStatus.UNAUTHORIZED,
                "invalid_client",
                "Client id or secret is wrong.",
                challenge,
            )
        return self._answer(self.new_token(account), account)

    def new_token(self, account: Account) -> str:
        """Return a new access token of a tenant."""
        token = secrets.token_urlsafe(32)
        valid_until = self._clock.now() + self._lifetime * 1_000_000
        self._database.write(
            "INSERT INTO tokens (token, tenant, valid_until) VALUES (?, ?, ?)",
            (token, account.number, valid_until),
        )
        return token

    def holder(self, authorization: str) -> TokenOwner | None:
        """Return whose token an `Authorization` header has, valid or not; None for nobody's."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        sql = "SELECT tenant, valid_until FROM tokens WHERE token = ?"
        row = self._database.row(sql, (token.strip(),))
        return None if row is None else TokenOwner(row[0], is_valid=row[1] > self._clock.now())

    def expire(self, account: Account) -> None:
        """Refuse from now on every access token that the tenant has got so far."""
        self._database.write(
            "UPDATE tokens SET valid_until = 0 WHERE tenant = ?", (account.number,)
        )

    def _answer(self, token: str, account: Account) -> dict[str, object]:
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
    """Whose an access token is.

    Attributes:
        tenant: The number of the tenant's account.
        is_valid: Whether the token has not expired.
    """

    tenant: int
    is_valid: bool


def _knows(account: Account, credentials: Pair | None) -> bool:
    if credentials is None:
        return False
    pairs = zip(credentials, (account.client_id, account.client_secret), strict=True)
    return all([hmac.compare_digest(given.encode(), own.encode()) for given, own in pairs])  # noqa: C419 - both
