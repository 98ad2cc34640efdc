"""Credentials, the request for an access token, and whether a token is still good. No I/O."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from copy import copy
from math import inf
from typing import Any, Literal, NoReturn, TypeAlias
from urllib.parse import urlencode

from attrs import Attribute, field, frozen

from webhooks_sdk._models import SENDABLE_TOKEN, AccessToken
from webhooks_sdk.errors import APIError, ConfigurationError
from webhooks_sdk.operations import Operation, Safety

_GRANT = ("grant_type", "client_credentials")


def _non_empty(_: object, attribute: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{attribute.name} must be a string that is not empty.")


def _known_style(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value not in ("form", "multipart", "basic"):
        raise ConfigurationError(
            f"{attribute.name} must be 'form', 'multipart' or 'basic', not {value!r}."
        )


_Style: TypeAlias = Literal["form", "multipart", "basic"]


@frozen
class ClientCredentials:
    """What a client asks for access tokens with (RFC 6749, section 4.4). `repr` masks the secret.

    Source: developers.boldpenguin.com/docs/api/authenticate.

    Attributes:
        client_id: The public half.
        client_secret: The secret half.
        style: How both are sent: as URL-encoded form data (`"form"`), as multipart form data
            (`"multipart"`), or in an `Authorization: Basic` header with the grant type in the
            query (`"basic"`), which some of the vendor's services still want.

    Raises:
        ConfigurationError: A half is empty, the style is unknown, or a `client_id` with a colon is
            to be sent in a Basic header.
    """

    client_id: str = field(validator=_non_empty)
    client_secret: str = field(validator=_non_empty, repr=lambda _: "'***'")
    style: _Style = field(default="form", validator=_known_style, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.style == "basic" and ":" in self.client_id:
            raise ConfigurationError("A client_id with a colon cannot be sent with style='basic'.")


TokenProvider: TypeAlias = Callable[[], str]
"""Returns an access token, asked before each attempt."""

AsyncTokenProvider: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns an access token or an awaitable of one, asked before each attempt."""

Auth: TypeAlias = str | ClientCredentials | TokenProvider
AsyncAuth: TypeAlias = str | ClientCredentials | AsyncTokenProvider


def token_operation(credentials: ClientCredentials) -> Operation[AccessToken]:
    """Declare the request for an access token: `POST` to the token URL, 200."""
    secret = credentials.client_secret
    fields = (_GRANT, ("client_id", credentials.client_id), ("client_secret", secret))
    query, content, content_type = "", None, ""
    headers: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = (secret,)
    match credentials.style:
        case "form":
            content_type = "application/x-www-form-urlencoded"
            content = urlencode(fields).encode()
        case "multipart":
            boundary = _boundary(fields)
            content_type = f"multipart/form-data; boundary={boundary}"
            content = _multipart(fields, boundary)
        case "basic":
            encoded = b64encode(f"{credentials.client_id}:{secret}".encode()).decode()
            query = f"?{urlencode([_GRANT])}"
            headers = (("Authorization", f"Basic {encoded}"),)
            secrets = (secret, encoded)
    return Operation(
        name="token",
        method="POST",
        path=query,
        safety=Safety.SAFE,
        success=frozenset({200}),
        response_type=AccessToken,
        content=content,
        content_type=content_type,
        headers=headers,
        endpoint="token",
        secrets=secrets,
    )


def _boundary(fields: tuple[tuple[str, str], ...]) -> str:
    boundary = "webhooks-sdk"
    while any(boundary in value for _, value in fields):
        boundary += "-"
    return boundary


def _multipart(fields: tuple[tuple[str, str], ...], boundary: str) -> bytes:
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return f"{''.join(parts)}--{boundary}--\r\n".encode()


def check_token(token: object) -> str:
    """Return an access token that can stand in a header.

    Raises:
        ConfigurationError: It is no string, empty, or has characters that no token has. It is not
            quoted in the message.
    """
    if isinstance(token, str) and SENDABLE_TOKEN(token):
        return token
    raise ConfigurationError(
        "An access token must be a string of visible ASCII characters without spaces"
        f" (got {'one with others' if isinstance(token, str) and token else type(token).__name__})."
    )


_MARGIN = 300.0
_MARGIN_SHARE = 0.1
_LONG_LIFE = (
    10**9
)  # about 30 years; an integer of JSON may be too large for arithmetic with a clock


class TokenCache:
    """One access token for all callers, and what became of the last attempt to get one.

    It holds no lock and reads no clock: a driver does both. All times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self._outcome: str | APIError | None = None
        # One reference, so that a thread never sees a token beside the age of another.
        self._held: tuple[str, float] | None = None

    def current(self, now: float) -> str | None:
        """Return the token if there is one that is not to be renewed yet.

        It is renewed 5 minutes before it expires, a short-lived one after 90 % of its life.
        """
        held = self._held
        return held[0] if held is not None and now < held[1] else None

    def store(self, answer: AccessToken, asked_at: float) -> str:
        """Keep a new token, whose life is counted from the moment when it was asked for."""
        renew_at = inf
        if answer.expires_in is not None:
            life = min(answer.expires_in, _LONG_LIFE)
            renew_at = asked_at + life - min(_MARGIN, life * _MARGIN_SHARE)
        self._held = answer.access_token, renew_at
        self._outcome = answer.access_token
        self.rounds += 1
        return answer.access_token

    def refuse(self, token: str) -> None:
        """Forget a token that the service refused, unless it is a newer one that is kept."""
        held = self._held
        if held is not None and held[0] == token:
            self._held = None

    def fail(self, error: APIError) -> None:
        """Note that a request for a token failed, for those who wait for its outcome."""
        # A copy has no traceback, which would keep everything alive that the failed call saw.
        self._outcome = copy(error)
        self._outcome.__cause__ = error.__cause__
        self.rounds += 1

    def outcome_since(self, seen: int) -> str | APIError | None:
        """Return the token, or the failure, that came of a request since `rounds` was `seen`."""
        return self._outcome if self.rounds != seen else None

    def __reduce__(self) -> NoReturn:
        raise TypeError("A token cache cannot be pickled: it holds a credential.")
