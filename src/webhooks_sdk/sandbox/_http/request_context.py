"""Read requests to the API, identify their tenant, record them, and date the responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._clock import http_date
from webhooks_sdk.sandbox._http.requests import read_body, read_headers
from webhooks_sdk.sandbox._http.response import Response
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox._service.routes import Route, find_route
from webhooks_sdk.sandbox._service.service import Service
from webhooks_sdk.sandbox._service.tokens import read_client_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhooks_sdk.sandbox._service.request_log import RequestLog
    from webhooks_sdk.sandbox._service.tenants import TenantRegistry
    from webhooks_sdk.sandbox._service.tokens import TokenIssuer

REQUEST = "webhooks_sdk.sandbox.request"
"""The key of the `APIRequest` in the ASGI scope."""


@frozen(kw_only=True)
class APIRequest:
    """A request that was read completely.

    Attributes:
        route: The route of the request.
        service: The service of the tenant that sent it; the first tenant's if it is unknown.
        is_authorized: Whether it has a valid access token of that tenant and environment.
        headers: The headers, with lower-case names.
        query: The query string.
        body: The body.
    """

    route: Route
    service: Service
    is_authorized: bool
    headers: Mapping[str, str]
    query: str
    body: bytes


class RequestContextMiddleware:
    """An ASGI middleware that adds an `APIRequest` to the scope, and a `Date` to the response.

    The date is the time of the tenant's clock.

    Args:
        app: The wrapped application.
        tenants: The tenants of the sandbox.
        tokens: Looks up the owners of access tokens.
        log: Records the requests.
    """

    def __init__(
        self, app: ASGIApp, *, tenants: TenantRegistry, tokens: TokenIssuer, log: RequestLog
    ) -> None:
        self._app = app
        self._tenants = tenants
        self._tokens = tokens
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a request, pass it on, and record the status of the response."""
        headers = read_headers(scope)
        route = find_route(scope["method"], scope["path"])
        service, is_authorized = self._authenticate(route, headers)
        number = self._log.add(service, scope["method"], scope["path"])

        async def recording_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._log.set_status(number, message["status"])
                # Clients read the service's time here, such as after a step of the clock.
                date = (b"date", http_date(service.now))
                message = {**message, "headers": [*message["headers"], date]}
            await send(message)

        try:
            body = await read_body(receive, headers)
        except RequestRefusedError as error:
            await Response(error.status, error.body).send(recording_send)
            return
        query = scope["query_string"].decode("latin-1")
        if route.is_token:
            service = self._find_by_client_id(route, headers, body)
            self._log.reassign(number, service)
        scope[REQUEST] = APIRequest(
            route=route,
            service=service,
            is_authorized=is_authorized,
            headers=headers,
            query=query,
            body=body,
        )
        await self._app(scope, receive, recording_send)

    def _authenticate(self, route: Route, headers: Mapping[str, str]) -> tuple[Service, bool]:
        """Return the tenant that owns the access token, and whether the request is authorized."""
        owner = self._tokens.find_owner(headers.get("authorization", ""))
        service = None if owner is None else self._tenants.by_number(owner.tenant)
        if owner is None or service is None:
            return self._tenants.first, False
        return service, owner.is_valid and service.account.environment == route.environment

    def _find_by_client_id(self, route: Route, headers: Mapping[str, str], body: bytes) -> Service:
        """Return the tenant with the client ID of a token request; the first one if unknown."""
        client_id = read_client_id(headers, body)
        service = self._tenants.by_client_id(route.environment, client_id or "")
        return service or self._tenants.first
