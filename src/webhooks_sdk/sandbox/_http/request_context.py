"""Takes the API's requests in: where they lead, whose they are, and a line in the log for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._http.requests import read_body, read_headers
from webhooks_sdk.sandbox._http.response import Answer
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
"""Where in the ASGI scope an `APIRequest` stands."""


@frozen(kw_only=True)
class APIRequest:
    """A request, read to its end.

    Attributes:
        route: Where it leads.
        service: The service of the tenant whose it is; the sandbox's own, if it is nobody's.
        is_authorized: Whether it has a valid access token of that tenant and environment.
        headers: Its headers, with names in lower case.
        query: Its query string.
        body: Its body.
    """

    route: Route
    service: Service
    is_authorized: bool
    headers: Mapping[str, str]
    query: str
    body: bytes


class RequestContextMiddleware:
    """An ASGI application that puts an `APIRequest` into the scope, for another application.

    Args:
        app: The other application.
        tenants: The tenants of the sandbox.
        tokens: Whose an access token is.
        log: Where requests are recorded.
    """

    def __init__(
        self, app: ASGIApp, *, tenants: TenantRegistry, tokens: TokenIssuer, log: RequestLog
    ) -> None:
        self._app = app
        self._tenants = tenants
        self._tokens = tokens
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request in, pass it on, and record the status of its answer."""
        headers = read_headers(scope)
        route = find_route(scope["method"], scope["path"])
        service, is_authorized = self._holder(route, headers)
        number = self._log.add(service, scope["method"], scope["path"])

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._log.set_status(number, message["status"])
            await send(message)

        try:
            body = await read_body(receive, headers)
        except RequestRefusedError as refusal:
            await Answer(refusal.status, refusal.body).send(send_recorded)
            return
        query = scope["query_string"].decode("latin-1")
        if route.is_token:
            service = self._applicant(route, headers, body)
            self._log.reassign(number, service)
        scope[REQUEST] = APIRequest(
            route=route,
            service=service,
            is_authorized=is_authorized,
            headers=headers,
            query=query,
            body=body,
        )
        await self._app(scope, receive, send_recorded)

    def _holder(self, route: Route, headers: Mapping[str, str]) -> tuple[Service, bool]:
        """Return whose a request is by its access token, and whether that gives it access."""
        holder = self._tokens.find_owner(headers.get("authorization", ""))
        service = None if holder is None else self._tenants.by_number(holder.tenant)
        if holder is None or service is None:
            return self._tenants.first, False
        return service, holder.is_valid and service.account.environment == route.environment

    def _applicant(self, route: Route, headers: Mapping[str, str], body: bytes) -> Service:
        """Return whose a token request is."""
        client_id = read_client_id(headers, body)
        service = self._tenants.by_client_id(route.environment, client_id or "")
        return service or self._tenants.first
