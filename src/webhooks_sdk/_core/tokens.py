"""Client credentials, the token request and the access token cache. No I/O."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from copy import copy
from math import inf
from typing import Any, Literal, NoReturn, TypeAlias, cast
from urllib.parse import urlencode

from attrs import Attribute, field, frozen

from webhooks_sdk._models import AccessToken, token_problem
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import APIError, ConfigurationError
from webhooks_sdk.operations import Operation, Safety

_GRANT_TYPE_FIELD = ("grant_type", "client_credentials")


def _validate_non_empty(_: object, attribute: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{attribute.name} must be a non-empty string.")


def _validate_style(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value not in ("form", "multipart", "basic"):
        raise ConfigurationError(
            f"{attribute.name} must be 'form', 'multipart' or 'basic', got {short_repr(value)}."
        )


_CredentialStyle: TypeAlias = Literal["form", "multipart", "basic"]


@frozen
class ClientCredentials:
    """Credentials to request access tokens with (RFC 6749, section 4.4). `repr` masks the secret.

    Source: developers.boldpenguin.com/docs/api/authenticate.

    Attributes:
        client_id: The client ID.
        client_secret: The client secret.
        style: How both are sent: as URL-encoded form data (`"form"`), as multipart form data
            (`"multipart"`), or in an `Authorization: Basic` header with the grant type in the
            query (`"basic"`), which some services of Bold Penguin still require.

    Raises:
        ConfigurationError: The ID or secret is empty, the style is unknown, or the `client_id`
            contains a colon and `style` is `"basic"`.
    """

    client_id: str = field(validator=_validate_non_empty)
    client_secret: str = field(validator=_validate_non_empty, repr=lambda _: "'***'")
    style: _CredentialStyle = field(default="form", validator=_validate_style, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.style == "basic" and ":" in self.client_id:
            raise ConfigurationError(
                "A client_id with a colon cannot be sent with style='basic': use style='form'."
            )


TokenProvider: TypeAlias = Callable[[], str]
"""Returns an access token. Called before each attempt."""

AsyncTokenProvider: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns an access token or an awaitable of one. Called before each attempt."""

Auth: TypeAlias = str | ClientCredentials | TokenProvider
AsyncAuth: TypeAlias = str | ClientCredentials | AsyncTokenProvider


def token_operation(credentials: ClientCredentials) -> Operation[AccessToken]:
    """Return the operation that requests an access token: a `POST` to the token URL."""
    secret = credentials.client_secret
    fields = (_GRANT_TYPE_FIELD, ("client_id", credentials.client_id), ("client_secret", secret))
    query, content, content_type = "", None, ""
    headers: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = (secret,)
    match credentials.style:
        case "form":
            content_type = "application/x-www-form-urlencoded"
            content = urlencode(fields).encode()
        case "multipart":
            boundary = _choose_boundary(fields)
            content_type = f"multipart/form-data; boundary={boundary}"
            content = _encode_multipart(fields, boundary)
        case "basic":
            encoded = b64encode(f"{credentials.client_id}:{secret}".encode()).decode()
            query = f"?{urlencode([_GRANT_TYPE_FIELD])}"
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


def _choose_boundary(fields: tuple[tuple[str, str], ...]) -> str:
    boundary = "webhooks-sdk"
    while any(boundary in value for _, value in fields):
        boundary += "-"
    return boundary


def _encode_multipart(fields: tuple[tuple[str, str], ...], boundary: str) -> bytes:
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return f"{''.join(parts)}--{boundary}--\r\n".encode()


def check_token(token: object) -> str:
    """Return an access token if it is valid in a header.

    Raises:
        ConfigurationError: The token is not a string, is empty, begins with `Bearer `, or contains
            invalid characters. The message does not quote it.
    """
    problem = token_problem(token)
    if problem is None:
        return cast("str", token)
    raise ConfigurationError(
        f"An access token must be a string of visible ASCII characters without spaces, {problem}."
    )


_RENEWAL_MARGIN = 300.0
_RENEWAL_MARGIN_SHARE = 0.1
# About 30 years. A larger integer from JSON could overflow when added to a clock's float.
_MAX_LIFETIME = 10**9


class TokenCache:
    """Caches one access token for all callers, and the outcome of the last token request.

    The cache holds no lock and reads no clock; the driver does both. All times are monotonic
    seconds.

    Attributes:
        request_count: The number of token requests that have succeeded or failed.
    """

    def __init__(self) -> None:
        self.request_count = 0
        self._last_outcome: str | APIError | None = None
        # The token and when to renew it, in one reference, so that threads never see a mix.
        self._cached: tuple[str, float] | None = None

    def current(self, now: float) -> str | None:
        """Return the cached token, or None if there is none or it is due for renewal.

        A token is renewed 5 minutes before it expires, or after 90 % of a shorter lifetime.
        """
        cached = self._cached
        return cached[0] if cached is not None and now < cached[1] else None

    def store(self, token: AccessToken, requested_at: float) -> str:
        """Cache a new token, whose lifetime starts when it was requested, and return it."""
        renew_at = inf
        if token.expires_in is not None:
            lifetime = min(max(0, token.expires_in), _MAX_LIFETIME)
            renew_at = (
                requested_at + lifetime - min(_RENEWAL_MARGIN, lifetime * _RENEWAL_MARGIN_SHARE)
            )
        self._cached = token.access_token, renew_at
        self._last_outcome = token.access_token
        self.request_count += 1
        return token.access_token

    def invalidate(self, token: str) -> None:
        """Remove a token that the service rejected, unless it has already been replaced."""
        cached = self._cached
        if cached is not None and cached[0] == token:
            self._cached = None

    def record_failure(self, error: APIError) -> None:
        """Record that a token request failed, for the callers that wait for its outcome."""
        # A copy has no traceback, which would keep the frames of the failed call alive.
        self._last_outcome = copy(error)
        self._last_outcome.__cause__ = error.__cause__
        self.request_count += 1

    def outcome_since(self, request_count: int) -> str | APIError | None:
        """Return the last token or failure if a request ended since `request_count` was read."""
        return self._last_outcome if self.request_count != request_count else None

    def __reduce__(self) -> NoReturn:
        raise TypeError("A TokenCache cannot be pickled, because it holds a credential.")
