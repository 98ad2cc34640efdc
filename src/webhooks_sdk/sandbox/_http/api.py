"""The service's HTTP face: what each operation answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._http.request_context import REQUEST
from webhooks_sdk.sandbox._http.response import Answer, refuse
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
    """The operations of the API and the token endpoint: an ASGI application behind a `RequestContextMiddleware`.

    Args:
        tenants: The tenants of the sandbox.
        tokens: Who issues access tokens.
        dispatcher: Who carries out redeliveries.
    """

    def __init__(
        self, tenants: TenantRegistry, tokens: TokenIssuer, dispatcher: DeliveryDispatcher
    ) -> None:
        self._tenants = tenants
        self._tokens = tokens
        self._dispatcher = dispatcher
        self._handlers: Mapping[OperationName, Callable[[APIRequest], Awaitable[Answer]]] = {
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
        """Answer the request in the scope."""
        try:
            answer = await self._answer(scope[REQUEST])
        except RequestRefusedError as refusal:
            answer = Answer(refusal.status, refusal.body, refusal.headers or {})
        except Exception:
            await _FAILED.send(send)
            # The server tells of it.
            raise
        await answer.send(send)

    async def _answer(self, request: APIRequest) -> Answer:
        operation = request.route.require_operation()
        if not request.route.is_token and not request.is_authorized:
            raise unauthorized("The call needs a valid access token: Authorization: Bearer ...")
        if request.service.is_closed:
            raise unauthorized("The tenant was closed.")
        return await self._handlers[operation](request)

    async def _token(self, request: APIRequest) -> Answer:
        asked = read_token_request(request.headers, request.query, request.body)
        client_id = read_client_id(request.headers, request.body) or ""
        known = self._tenants.by_client_id(request.route.environment, client_id)
        answer = self._tokens.issue(asked, None if known is None else known.account)
        # RFC 6749, section 5.1: no cache may keep an access token.
        return Answer(HTTPStatus.OK, answer, {"Cache-Control": "no-store"})

    async def _list(self, request: APIRequest) -> Answer:
        rows = [encode_subscription(one) for one in request.service.list_subscriptions()]
        return Answer(HTTPStatus.OK, rows)

    async def _get(self, request: APIRequest) -> Answer:
        subscription = request.service.get_subscription(request.route.hook_id)
        return Answer(HTTPStatus.OK, encode_subscription(subscription))

    async def _create(self, request: APIRequest) -> Answer:
        service = request.service
        subscription = service.create_subscription(read_changes(read_object(request.body)))
        return Answer(service.variants.create_status, encode_subscription(subscription))

    async def _update(self, request: APIRequest) -> Answer:
        service = request.service
        # An unknown subscription is 404 whatever the body says.
        hook_id = service.get_subscription(request.route.hook_id).id
        subscription = service.update_subscription(hook_id, read_changes(read_object(request.body)))
        return Answer(HTTPStatus.OK, encode_subscription(subscription))

    async def _delete(self, request: APIRequest) -> Answer:
        request.service.delete_subscription(request.route.hook_id)
        return Answer(HTTPStatus.NO_CONTENT)

    async def _list_events(self, request: APIRequest) -> Answer:
        service = request.service
        tenant_id, unanswered = service.account.id, service.variants.unanswered
        attempts = service.list_attempts(request.route.hook_id)
        return Answer(HTTPStatus.OK, [encode_event(one, tenant_id, unanswered) for one in attempts])

    async def _redeliver(self, request: APIRequest) -> Answer:
        service, route = request.service, request.route
        attempt = await self._dispatcher.redeliver(service, route.hook_id, route.request_id)
        row = encode_event(attempt, service.account.id, service.variants.unanswered)
        return Answer(HTTPStatus.OK, row)


_FAILED = refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The sandbox itself failed.")
