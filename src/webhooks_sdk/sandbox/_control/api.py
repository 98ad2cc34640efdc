"""The control API: the Python API of the sandbox over HTTP, under `/_sandbox/`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl

from attrs import asdict, frozen

from webhooks_sdk.sandbox._control.schemas import (
    check_fields,
    conflict,
    encode_attempt,
    encode_retry,
    encode_state,
    encode_tenant,
    read_event,
    read_faults,
    read_page,
    read_step,
    read_uuid,
    read_variants,
)
from webhooks_sdk.sandbox._http.requests import read_body, read_headers
from webhooks_sdk.sandbox._http.response import Response
from webhooks_sdk.sandbox._http.root import CONTROL_PATH
from webhooks_sdk.sandbox._service.errors import (
    RequestRefusedError,
    error_body,
    method_not_allowed,
    not_found,
    unprocessable,
)
from webhooks_sdk.sandbox._service.rules import read_json, read_object
from webhooks_sdk.sandbox._tenant import Tenant

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from webhooks_sdk.sandbox._records import DeliveryAttempt, EnvironmentName
    from webhooks_sdk.sandbox._runtime import Runtime

_match_subscriber = re.compile(r"subscriber/(?P<status>[2-5][0-9]{2})(?:/[^/]*)?").fullmatch
_match_tenant = re.compile(r"tenants/(?P<id>[^/]+)").fullmatch
_NO_CONTENT: Final = Response(HTTPStatus.NO_CONTENT)


@frozen
class ControlRequest:
    """A request to the control API.

    Attributes:
        tenant: The tenant that the request is about.
        query: The query parameters.
        body: The body.
    """

    tenant: Tenant
    query: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, object]:
        """The body as a JSON object."""
        return read_object(self.body)


Handler: TypeAlias = Callable[[ControlRequest], Awaitable[Response]]


class ControlAPI:
    """The control API of a sandbox, as an ASGI application.

    Args:
        runtime: The parts of the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._handlers: Mapping[str, Mapping[str, Handler]] = {
            "state": {"GET": self._state},
            "tenants": {"GET": self._tenants, "POST": self._add_tenant},
            "events": {"POST": self._publish},
            "attempts": {"GET": self._attempts},
            "retries": {"GET": self._retries},
            "advance": {"POST": self._advance},
            "faults": {
                "GET": self._faults,
                "POST": self._inject,
                "DELETE": self._clear_faults,
            },
            "variants": {"GET": self._variants, "PUT": self._set_variants},
            "tokens/expire": {"POST": self._expire_tokens},
            "reset": {"POST": self._reset},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        headers = read_headers(scope)
        try:
            body = await read_body(receive, headers)
            response = await self._handle(scope, headers, body)
        except RequestRefusedError as error:
            response = Response(error.status, error.body, error.headers or {})
        await response.send(send)

    async def _handle(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Response:
        path: str = scope["path"].removeprefix(CONTROL_PATH)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if (subscriber := _match_subscriber(path)) is not None:
            return Response(int(subscriber["status"]))
        handlers = self._handlers.get(path)
        if (tenant_match := _match_tenant(path)) is not None:
            handlers = {"DELETE": partial(self._delete_tenant, tenant_match["id"])}
        if handlers is None:
            raise not_found(f"Unknown path. The control API has: {', '.join(self._handlers)}.")
        if method not in handlers:
            raise method_not_allowed(handlers)
        if method in {"POST", "PUT"}:
            _check_content_type(headers)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        tenant = self._find_tenant(query.get("tenant"))
        try:
            return await handlers[method](ControlRequest(tenant, query, body))
        except RuntimeError:
            # If the tenant was closed during the call, respond with 404.
            self._find_tenant(str(tenant.tenant_id))
            raise

    def _find_tenant(self, text: str | None) -> Tenant:
        if text is None:
            return Tenant(self._runtime, self._runtime.tenants.first)
        tenant_id = read_uuid("tenant", text)
        for service in self._runtime.tenants.services:
            if service.account.id == tenant_id:
                return Tenant(self._runtime, service)
        raise not_found(f"There is no tenant {tenant_id}.")

    async def _state(self, request: ControlRequest) -> Response:
        return Response(HTTPStatus.OK, encode_state(request.tenant))

    async def _tenants(self, _: ControlRequest) -> Response:
        tenants = [Tenant(self._runtime, service) for service in self._runtime.tenants.services]
        return Response(HTTPStatus.OK, [encode_tenant(tenant) for tenant in tenants])

    async def _add_tenant(self, request: ControlRequest) -> Response:
        content = request.content
        check_fields(content, ("environment", "client_id", "client_secret"))
        if not all(value is None or isinstance(value, str) for value in content.values()):
            raise unprocessable("environment, client_id and client_secret must be strings.")
        try:
            service = self._runtime.tenants.add(
                cast("EnvironmentName", content.get("environment", "production")),
                cast("str | None", content.get("client_id")),
                cast("str | None", content.get("client_secret")),
            )
        except ValueError as error:
            raise unprocessable(str(error)) from None
        tenant = Tenant(self._runtime, service)
        content = {**encode_tenant(tenant), "client_secret": tenant.client_secret}
        return Response(HTTPStatus.CREATED, content)

    async def _delete_tenant(self, text: str, _: ControlRequest) -> Response:
        tenant = self._find_tenant(text)
        if tenant.tenant_id == self._runtime.tenants.first.account.id:
            raise conflict("The first tenant cannot be deleted. Reset it instead.")
        tenant.close()
        return _NO_CONTENT

    async def _publish(self, request: ControlRequest) -> Response:
        event, payload = read_event(request.content)
        attempts = await _deliver(partial(request.tenant.publish, event, payload))
        return Response(HTTPStatus.OK, {"attempts": [encode_attempt(item) for item in attempts]})

    async def _attempts(self, request: ControlRequest) -> Response:
        page = request.tenant.attempts_page(**cast("dict[str, Any]", read_page(request.query)))
        rows = [encode_attempt(attempt) for attempt in page.attempts]
        return Response(HTTPStatus.OK, {"attempts": rows, "next_before": page.next_before})

    async def _retries(self, request: ControlRequest) -> Response:
        retries = request.tenant.pending_retries
        return Response(HTTPStatus.OK, [encode_retry(retry) for retry in retries])

    async def _advance(self, request: ControlRequest) -> Response:
        step = read_step(request.content)
        attempts = await _deliver(partial(request.tenant.advance, step))
        now = request.tenant.now.isoformat()
        rows = [encode_attempt(attempt) for attempt in attempts]
        return Response(HTTPStatus.OK, {"now": now, "attempts": rows})

    async def _faults(self, request: ControlRequest) -> Response:
        return Response(HTTPStatus.OK, [fault.to_dict() for fault in request.tenant.faults])

    async def _inject(self, request: ControlRequest) -> Response:
        request.tenant.inject(*read_faults(read_json(request.body)))
        return await self._faults(request)

    async def _clear_faults(self, request: ControlRequest) -> Response:
        request.tenant.clear_faults()
        return _NO_CONTENT

    async def _variants(self, request: ControlRequest) -> Response:
        return Response(HTTPStatus.OK, asdict(request.tenant.variants))

    async def _set_variants(self, request: ControlRequest) -> Response:
        request.tenant.variants = read_variants(request.content)
        return await self._variants(request)

    async def _expire_tokens(self, request: ControlRequest) -> Response:
        request.tenant.expire_tokens()
        return _NO_CONTENT

    async def _reset(self, request: ControlRequest) -> Response:
        request.tenant.reset()
        return _NO_CONTENT


async def _deliver(call: Callable[[], tuple[DeliveryAttempt, ...]]) -> tuple[DeliveryAttempt, ...]:
    try:
        # The call blocks until this event loop has sent the deliveries.
        return await asyncio.to_thread(call)
    except ValueError as error:
        raise unprocessable(str(error)) from None


def _check_content_type(headers: Mapping[str, str]) -> None:
    """Check that the request is JSON, which HTML forms of other sites cannot send."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        message = "The request must have the header Content-Type: application/json."
        raise RequestRefusedError(status, error_body(status, message))
