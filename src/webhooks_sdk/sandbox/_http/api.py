"""The HTTP handlers of the API's operations."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._http.request_context import REQUEST
from webhooks_sdk.sandbox._http.response import Response, error_response
from webhooks_sdk.sandbox._service.encoding import encode_event, encode_subscription
from webhooks_sdk.sandbox._service.errors import RequestRefusedError, unauthorized
from webhooks_sdk.sandbox._service.rules import read_changes, read_object
from webhooks_sdk.sandbox._service.tokens import read_client_id, read_token_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
    from webhooks_sdk.sandbox._http.request_context import APIRequest
    from webhooks_sdk.sandbox._service.routes import OperationName
    from webhooks_sdk.sandbox._service.tenants import TenantRegistry
    from webhooks_sdk.sandbox._service.tokens import TokenIssuer


class API:
    """The operations of the API and the token endpoint, as an ASGI application.

    It must be wrapped in a `RequestContextMiddleware`.

    Args:
        tenants: The tenants of the sandbox.
        tokens: Issues access tokens.
        dispatcher: Sends redeliveries.
    """

    def __init__(
        self, tenants: TenantRegistry, tokens: TokenIssuer, dispatcher: DeliveryDispatcher
    ) -> None:
        self._tenants = tenants
        self._tokens = tokens
        self._dispatcher = dispatcher
        self._handlers: Mapping[OperationName, Callable[[APIRequest], Awaitable[Response]]] = {
            "token": self._token,
            "list": self._list,
            "get": self._get,
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
            "list_events": self._list_events,
            "redeliver": self._redeliver,
        }

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Handle the `APIRequest` in the scope."""
        try:
            response = await self._handle(scope[REQUEST])
        except RequestRefusedError as error:
            response = Response(error.status, error.body, error.headers or {})
        except Exception:
            await _INTERNAL_ERROR.send(send)
            # The server records the failure.
            raise
        await response.send(send)

    async def _handle(self, request: APIRequest) -> Response:
        operation = request.route.require_operation()
        if not request.route.is_token and not request.is_authorized:
            raise unauthorized("The call needs a valid access token: Authorization: Bearer ...")
        if request.service.is_closed:
            raise unauthorized("The tenant was closed.")
        return await self._handlers[operation](request)

    async def _token(self, request: APIRequest) -> Response:
        token_request = read_token_request(request.headers, request.query, request.body)
        client_id = read_client_id(request.headers, request.body) or ""
        service = self._tenants.by_client_id(request.route.environment, client_id)
        content = self._tokens.issue(token_request, None if service is None else service.account)
        # RFC 6749, section 5.1: a response with an access token must not be cached.
        return Response(HTTPStatus.OK, content, {"Cache-Control": "no-store"})

    async def _list(self, request: APIRequest) -> Response:
        subscriptions = request.service.list_subscriptions()
        return Response(HTTPStatus.OK, [encode_subscription(item) for item in subscriptions])

    async def _get(self, request: APIRequest) -> Response:
        subscription = request.service.get_subscription(request.route.hook_id)
        return Response(HTTPStatus.OK, encode_subscription(subscription))

    async def _create(self, request: APIRequest) -> Response:
        service = request.service
        subscription = service.create_subscription(read_changes(read_object(request.body)))
        return Response(service.variants.create_status, encode_subscription(subscription))

    async def _update(self, request: APIRequest) -> Response:
        service = request.service
        # Look the subscription up first: if it is unknown, the response is 404 for any body.
        hook_id = service.get_subscription(request.route.hook_id).id
        subscription = service.update_subscription(hook_id, read_changes(read_object(request.body)))
        return Response(HTTPStatus.OK, encode_subscription(subscription))

    async def _delete(self, request: APIRequest) -> Response:
        request.service.delete_subscription(request.route.hook_id)
        return Response(HTTPStatus.NO_CONTENT)

    async def _list_events(self, request: APIRequest) -> Response:
        service = request.service
        tenant_id, missing_response = service.account.id, service.variants.missing_response
        attempts = service.list_attempts(request.route.hook_id)
        items = [encode_event(attempt, tenant_id, missing_response) for attempt in attempts]
        return Response(HTTPStatus.OK, items)

    async def _redeliver(self, request: APIRequest) -> Response:
        service, route = request.service, request.route
        attempt = await self._dispatcher.redeliver(service, route.hook_id, route.request_id)
        item = encode_event(attempt, service.account.id, service.variants.missing_response)
        return Response(HTTPStatus.OK, item)


_INTERNAL_ERROR = error_response(
    HTTPStatus.INTERNAL_SERVER_ERROR, "An internal error occurred in the sandbox."
)
