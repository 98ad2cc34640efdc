"""The service's HTTP face: which request is which operation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webhooks_sdk.sandbox._openapi import DOCUMENT_PATH, answer_document
from webhooks_sdk.sandbox._refusals import RequestRefusedError, error_body, not_found
from webhooks_sdk.sandbox._rows import event_row, subscription_row
from webhooks_sdk.sandbox._rules import read_changes, read_object
from webhooks_sdk.sandbox._tokens import read_token_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from webhooks_sdk.sandbox._delivery import Deliverer
    from webhooks_sdk.sandbox._service import Service
    from webhooks_sdk.sandbox._tokens import TokenOffice

    Handler = Callable[[Request], Awaitable[Response]]

TOKEN_PATH = "/auth/token"  # noqa: S105 - a path, no password

_is_uuid = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


class API:
    """The operations of the API and the token endpoint, over the service.

    Args:
        service: The service.
        tokens: Who issues and checks access tokens.
        deliverer: Who carries out redeliveries.
        create_status: The HTTP status with which a create is answered.
    """

    def __init__(
        self, service: Service, tokens: TokenOffice, deliverer: Deliverer, *, create_status: int
    ) -> None:
        self._service = service
        self._tokens = tokens
        self._deliverer = deliverer
        self._create_status = create_status

    def build(self) -> Starlette:
        """Return the ASGI application."""
        hook = "/hooks/{hook_id}"
        redeliver = f"{hook}/requests/{{request_id}}/redeliver"
        update = self._update
        app = Starlette(
            routes=[
                Route(DOCUMENT_PATH, answer_document),
                Route(TOKEN_PATH, self._issue_token, methods=["POST"]),
                self._resource("/hooks", GET=self._list, POST=self._create),
                self._resource(hook, GET=self._get, PUT=update, PATCH=update, DELETE=self._delete),
                self._resource(f"{hook}/requests", GET=self._list_events),
                self._resource(redeliver, POST=self._redeliver),
            ],
            exception_handlers={
                RequestRefusedError: _answer_refusal,
                HTTPException: _answer_http_error,
                Exception: _answer_failure,
            },
        )
        app.router.redirect_slashes = False
        return app

    def _resource(self, path: str, **handlers: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            self._tokens.check(request.headers.get("authorization", ""))
            method = "GET" if request.method == "HEAD" else request.method
            return await handlers[method](request)

        return Route(path, endpoint, methods=list(handlers))

    async def _issue_token(self, request: Request) -> Response:
        body = await request.body()
        asked = read_token_request(request.headers, request.scope["query_string"].decode(), body)
        # RFC 6749, section 5.1: no cache may keep an access token.
        return JSONResponse(self._tokens.issue(asked), headers={"Cache-Control": "no-store"})

    async def _list(self, _: Request) -> Response:
        return JSONResponse([subscription_row(one) for one in self._service.list_subscriptions()])

    async def _get(self, request: Request) -> Response:
        return JSONResponse(subscription_row(self._service.get_subscription(_hook_id(request))))

    async def _create(self, request: Request) -> Response:
        changes = read_changes(read_object(await request.body()))
        row = subscription_row(self._service.create_subscription(changes))
        return JSONResponse(row, self._create_status)

    async def _update(self, request: Request) -> Response:
        # An unknown subscription is 404 whatever the body says.
        hook_id = self._service.get_subscription(_hook_id(request)).id
        changes = read_changes(read_object(await request.body()))
        return JSONResponse(subscription_row(self._service.update_subscription(hook_id, changes)))

    async def _delete(self, request: Request) -> Response:
        self._service.delete_subscription(_hook_id(request))
        return Response(status_code=204)

    async def _list_events(self, request: Request) -> Response:
        attempts = self._service.list_attempts(_hook_id(request))
        return JSONResponse([event_row(one, self._service.tenant_id) for one in attempts])

    async def _redeliver(self, request: Request) -> Response:
        event_id = _path_uuid(request, "request_id")
        delivery = self._service.redeliver(_hook_id(request), event_id)
        attempt = await self._deliverer.deliver(delivery)
        return JSONResponse(event_row(attempt, self._service.tenant_id))


def _hook_id(request: Request) -> UUID:
    return _path_uuid(request, "hook_id")


def _path_uuid(request: Request, name: str) -> UUID:
    value: str = request.path_params[name]
    if not _is_uuid(value):
        raise not_found(f"The {name} in the path is no UUID.")
    return UUID(value)


async def _answer_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = error_body(error.status_code, f"{error.detail}.")
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _answer_failure(_request: Request, _error: Exception) -> Response:
    return JSONResponse(error_body(500, "The sandbox itself failed."), 500)
