"""The control API: everything that Python can do with a sandbox, over HTTP under `/_sandbox/`."""

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
    attempt_row,
    check_fields,
    conflict,
    read_event,
    read_faults,
    read_page,
    read_step,
    read_uuid,
    read_variants,
    retry_row,
    state_row,
    tenant_row,
)
from webhooks_sdk.sandbox._http.requests import read_body, read_headers
from webhooks_sdk.sandbox._http.response import Answer
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

_read_subscriber = re.compile(r"subscriber/(?P<status>[2-5][0-9]{2})(?:/[^/]*)?").fullmatch
_read_tenant = re.compile(r"tenants/(?P<id>[^/]+)").fullmatch
_NO_CONTENT: Final = Answer(HTTPStatus.NO_CONTENT)


@frozen
class ControlRequest:
    """A request to the control API.

    Attributes:
        tenant: The tenant that it is about.
        query: Its query parameters.
        body: Its body.
    """

    tenant: Tenant
    query: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, object]:
        """Its body, a JSON object."""
        return read_object(self.body)


Handler: TypeAlias = Callable[[ControlRequest], Awaitable[Answer]]


class Control:
    """The control API of a sandbox: an ASGI application."""

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
        """Answer a request."""
        headers = read_headers(scope)
        try:
            body = await read_body(receive, headers)
            answer = await self._answer(scope, headers, body)
        except RequestRefusedError as refusal:
            answer = Answer(refusal.status, refusal.body, refusal.headers or {})
        await answer.send(send)

    async def _answer(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Answer:
        path: str = scope["path"].removeprefix(CONTROL_PATH)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if (demo := _read_subscriber(path)) is not None:
            return Answer(int(demo["status"]))
        handlers = self._handlers.get(path)
        if (one := _read_tenant(path)) is not None:
            handlers = {"DELETE": partial(self._delete_tenant, one["id"])}
        if handlers is None:
            raise not_found(f"The control API has: {', '.join(self._handlers)}.")
        if method not in handlers:
            raise method_not_allowed(handlers)
        if method in {"POST", "PUT"}:
            _check_content_type(headers)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        tenant = self._tenant(query.get("tenant"))
        try:
            return await handlers[method](ControlRequest(tenant, query, body))
        except RuntimeError:
            # 404, if it was closed meanwhile.
            self._tenant(str(tenant.tenant_id))
            raise

    def _tenant(self, id_: str | None) -> Tenant:
        if id_ is None:
            return Tenant(self._runtime, self._runtime.tenants.first)
        wanted = read_uuid("tenant", id_)
        for service in self._runtime.tenants.services:
            if service.account.id == wanted:
                return Tenant(self._runtime, service)
        raise not_found(f"There is no tenant {wanted}.")

    async def _state(self, request: ControlRequest) -> Answer:
        return Answer(HTTPStatus.OK, state_row(request.tenant))

    async def _tenants(self, _: ControlRequest) -> Answer:
        tenants = [Tenant(self._runtime, one) for one in self._runtime.tenants.services]
        return Answer(HTTPStatus.OK, [tenant_row(one) for one in tenants])

    async def _add_tenant(self, request: ControlRequest) -> Answer:
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
        row = {**tenant_row(tenant), "client_secret": tenant.client_secret}
        return Answer(HTTPStatus.CREATED, row)

    async def _delete_tenant(self, id_: str, _: ControlRequest) -> Answer:
        tenant = self._tenant(id_)
        if tenant.tenant_id == self._runtime.tenants.first.account.id:
            raise conflict("The first tenant lives as long as the sandbox; it can be reset.")
        tenant.close()
        return _NO_CONTENT

    async def _publish(self, request: ControlRequest) -> Answer:
        event, payload = read_event(request.content)
        attempts = await _deliver(partial(request.tenant.publish, event, payload))
        return Answer(HTTPStatus.OK, {"attempts": [attempt_row(one) for one in attempts]})

    async def _attempts(self, request: ControlRequest) -> Answer:
        page = request.tenant.attempts_page(**cast("dict[str, Any]", read_page(request.query)))
        rows = [attempt_row(one) for one in page.attempts]
        return Answer(HTTPStatus.OK, {"attempts": rows, "next_before": page.next_before})

    async def _retries(self, request: ControlRequest) -> Answer:
        return Answer(HTTPStatus.OK, [retry_row(one) for one in request.tenant.pending_retries])

    async def _advance(self, request: ControlRequest) -> Answer:
        step = read_step(request.content)
        attempts = await _deliver(partial(request.tenant.advance, step))
        now = request.tenant.now.isoformat()
        rows = [attempt_row(one) for one in attempts]
        return Answer(HTTPStatus.OK, {"now": now, "attempts": rows})

    async def _faults(self, request: ControlRequest) -> Answer:
        return Answer(HTTPStatus.OK, [one.to_dict() for one in request.tenant.faults])

    async def _inject(self, request: ControlRequest) -> Answer:
        request.tenant.inject(*read_faults(read_json(request.body)))
        return await self._faults(request)

    async def _clear_faults(self, request: ControlRequest) -> Answer:
        request.tenant.clear_faults()
        return _NO_CONTENT

    async def _variants(self, request: ControlRequest) -> Answer:
        return Answer(HTTPStatus.OK, asdict(request.tenant.variants))

    async def _set_variants(self, request: ControlRequest) -> Answer:
        request.tenant.variants = read_variants(request.content)
        return await self._variants(request)

    async def _expire_tokens(self, request: ControlRequest) -> Answer:
        request.tenant.expire_tokens()
        return _NO_CONTENT

    async def _reset(self, request: ControlRequest) -> Answer:
        request.tenant.reset()
        return _NO_CONTENT


async def _deliver(call: Callable[[], tuple[DeliveryAttempt, ...]]) -> tuple[DeliveryAttempt, ...]:
    try:
        # It blocks until this loop has delivered.
        return await asyncio.to_thread(call)
    except ValueError as error:
        raise unprocessable(str(error)) from None


def _check_content_type(headers: Mapping[str, str]) -> None:
    """Check that no HTML form of another page can have sent this: those cannot send JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        message = "The request must have the header Content-Type: application/json."
        raise RequestRefusedError(status, error_body(status, message))
