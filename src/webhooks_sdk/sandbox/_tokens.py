"""The token endpoint: client credentials in, access tokens out, and which of them are good."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import datetime, timedelta
from email.parser import BytesParser
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from uuid import uuid4

from attrs import field, frozen

from webhooks_sdk.sandbox._refusals import oauth_error, unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GRANT_TYPE = "client_credentials"

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
        query: Its query string, in which the grant type can stand, and nothing else.
        body: Its body.

    Raises:
        RequestRefusedError: 400, the credentials stand there twice.
    """
    form = _read_form(headers.get("content-type", ""), body)
    basic = _read_basic(headers.get("authorization", ""))
    if basic is not None and "client_secret" in form:
        raise oauth_error(
            HTTPStatus.BAD_REQUEST, "invalid_request", "The credentials must be sent one way only."
        )
    grant_type = form.get("grant_type") or dict(parse_qsl(query)).get("grant_type")
    credentials = basic
    if basic is None and "client_id" in form and "client_secret" in form:
        credentials = (form["client_id"], form["client_secret"])
    return TokenRequest(grant_type, credentials, basic is not None)


def _read_form(content_type: str, body: bytes) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    return {}


def _read_multipart(content_type: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    for part in BytesParser().parsebytes(head + body).walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode(errors="replace")
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


class TokenOffice:
    """Issues access tokens for one client's credentials, and knows which are valid."""

    def __init__(
        self, client_id: str, client_secret: str, *, lifetime: int, now: Callable[[], datetime]
    ) -> None:
        self._credentials = (client_id, client_secret)
        self._lifetime = lifetime
        self._now = now
        self._uid = str(uuid4())
        self._valid_until: dict[str, datetime] = {}

    def issue(self, request: TokenRequest) -> dict[str, object]:
        """Return the answer to a token request, with a new access token.

        Raises:
            RequestRefusedError: 400, the grant is not client credentials; 401, the credentials
                are not the client's.
        """
        if request.grant_type is None:
            raise oauth_error(HTTPStatus.BAD_REQUEST, "invalid_request", "grant_type is missing.")
        if request.grant_type != GRANT_TYPE:
            raise oauth_error(
                HTTPStatus.BAD_REQUEST,
                "unsupported_grant_type",
                f"grant_type must be {GRANT_TYPE}.",
            )
        if request.credentials is None or not self._knows(request.credentials):
            challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'} if request.basic else None
            raise oauth_error(
                HTTPStatus.UNAUTHORIZED,
                "invalid_client",
                "Client id or secret is wrong.",
                challenge,
            )
        return self._answer(self._new_token())

    def check(self, authorization: str) -> None:
        """Check the `Authorization` header of an API call.

        Raises:
            RequestRefusedError: 401, it has no valid access token.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized("The call needs an access token: Authorization: Bearer ...")
        valid_until = self._valid_until.get(token.strip())
        if valid_until is None or valid_until <= self._now():
            raise unauthorized("The access token is unknown or has expired.")

    def expire_all(self) -> None:
        """Refuse from now on every access token issued so far."""
        self._valid_until = {}

    def _knows(self, credentials: Pair) -> bool:
        pairs = zip(credentials, self._credentials, strict=True)
        return all(hmac.compare_digest(given.encode(), own.encode()) for given, own in pairs)

    def _new_token(self) -> str:
        token = secrets.token_urlsafe(32)
        self._valid_until[token] = self._now() + timedelta(seconds=self._lifetime)
        return token

    def _answer(self, token: str) -> dict[str, object]:
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._lifetime,
            "refresh_token": secrets.token_urlsafe(32),
            "scope": "",
            "uid": self._uid,
            "info": {
                "name": "Sandbox Client",
                "email": None,
                "first_name": "Sandbox",
                "last_name": "Client",
            },
        }
