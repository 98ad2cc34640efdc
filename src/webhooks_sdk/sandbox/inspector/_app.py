"""The inspector as an ASGI application: routes requests to pages and actions."""

from __future__ import annotations

import hmac
import re
import secrets
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING
from uuid import UUID

from webhooks_sdk.sandbox._http.requests import read_body, read_headers
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox.inspector._actions import Actions
from webhooks_sdk.sandbox.inspector._filters import FilterError, read_filters
from webhooks_sdk.sandbox.inspector._forms import MAX_FORM_BYTES, FormError, read_form
from webhooks_sdk.sandbox.inspector._live import stream
from webhooks_sdk.sandbox.inspector._notices import add_notice, read_notice
from webhooks_sdk.sandbox.inspector._queries import find_event_tenant
from webhooks_sdk.sandbox.inspector._responses import redirect, respond

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from webhooks_sdk.sandbox._runtime import Runtime
    from webhooks_sdk.sandbox._service.service import Service
    from webhooks_sdk.sandbox.inspector._filters import Filters
    from webhooks_sdk.sandbox.inspector._pages import Pages

ROOT = "/inspector"

_match_event_path = re.compile(
    f"{ROOT}/events/(?P<id>[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})(?P<rest>|/body|/redeliver)"
).fullmatch
_STATIC_FILES: Mapping[str, str] = {
    "inspector.css": "text/css",
    "inspector.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class PageError(Exception):
    """A page cannot be shown, or an action cannot be run.

    Attributes:
        status: The HTTP status of the response.
        headers: Additional headers of the response.
    """

    def __init__(
        self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Inspector:
    """Serves the inspector, and passes other requests on.

    Args:
        app: The application for other requests.
        runtime: The parts of the sandbox.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        # Pages of other origins cannot read it. A restart changes it.
        self._form_token = secrets.token_urlsafe(16)
        self._run_id = secrets.token_hex(4)
        self._actions = Actions(runtime)
        self._cached_pages: Pages | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        path: str = scope["path"]
        if path not in ("/", ROOT) and not path.startswith(f"{ROOT}/"):
            await self._app(scope, receive, send)
            return
        try:
            if path == f"{ROOT}/live" and scope["method"] == "GET":
                service = self._find_tenant(_read_filters(scope))
                await stream(service.changes, self._run_id, receive, send)
                return
            response = await self._respond(scope, receive)
        except PageError as error:
            html = self._pages.render_error(error.status, str(error))
            response = respond(html, "text/html", error.status, error.headers)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        if method == "POST":
            return await self._submit(scope, await self._read_form(scope, receive))
        if path in _ACTIONS or path.endswith("/redeliver"):
            raise _method_not_allowed("This URL accepts only form submissions.", "POST")
        if method not in {"GET", "HEAD"}:
            raise _method_not_allowed(f"{method} is not allowed here.", "GET, HEAD")
        if path == ROOT:
            return redirect("/")
        if path.startswith(f"{ROOT}/static/"):
            return _static_file(path.removeprefix(f"{ROOT}/static/"))
        if path == "/":
            filters = _read_filters(scope)
            return self._list_page(scope, filters, self._find_tenant(filters))
        return self._event_page(scope)

    def _list_page(
        self,
        scope: Scope,
        filters: Filters,
        service: Service,
        form: Mapping[str, str] | None = None,
        error: FormError | None = None,
    ) -> Response:
        notice = read_notice(scope["query_string"].decode("latin-1")) if form is None else None
        html = self._pages.render_list(service, filters, notice=notice, form=form, error=error)
        status = HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY
        return respond(html, "text/html", status)

    def _event_page(self, scope: Scope) -> Response:
        service, event_id, rest = self._find_event(scope["path"])
        if rest == "/body":
            headers = {"Content-Disposition": f'attachment; filename="{event_id}.json"'}
            body = service.event_body(event_id) or b""
            return respond(body, "application/octet-stream", headers=headers)
        filters = _read_filters(scope)
        notice = read_notice(scope["query_string"].decode("latin-1"))
        html = self._pages.render_event(service, event_id, filters, notice)
        return respond(html, "text/html")

    async def _submit(self, scope: Scope, form: Mapping[str, str]) -> Response:
        path: str = scope["path"]
        if path not in _ACTIONS and not path.endswith("/redeliver"):
            raise _method_not_allowed("This page does not accept forms.", "GET, HEAD")
        if not hmac.compare_digest(form.get("token", "").encode(), self._form_token.encode()):
            raise PageError(
                HTTPStatus.FORBIDDEN,
                "The form is not from this run of the sandbox. Open the inspector again and retry.",
            )
        try:
            back = read_filters(form.get("back", ""))
        except FilterError as error:
            raise PageError(HTTPStatus.BAD_REQUEST, str(error)) from None
        if path not in _ACTIONS:
            service, event_id, _ = self._find_event(path)
            try:
                notice = await self._actions.redeliver(service, event_id)
            except RequestRefusedError:
                raise PageError(
                    HTTPStatus.CONFLICT,
                    "The event cannot be redelivered: its subscription is deleted.",
                ) from None
            page = path.removesuffix("/redeliver") if form.get("page") == "event" else "/"
            return redirect(add_notice(back.link(page, before=back.before), notice))
        service = self._find_tenant(back)
        action = self._actions.publish if path == f"{ROOT}/publish" else self._actions.advance
        try:
            notice = await action(service, form)
        except FormError as error:
            return self._list_page(scope, back, service, form, error)
        return redirect(add_notice(back.link(before=back.before), notice))

    def _find_tenant(self, filters: Filters) -> Service:
        if filters.tenant is None:
            return self._runtime.tenants.first
        for service in self._runtime.tenants.services:
            if service.account.id == filters.tenant:
                return service
        raise PageError(HTTPStatus.NOT_FOUND, "Tenant not found. It may have been closed.")

    def _find_event(self, path: str) -> tuple[Service, UUID, str]:
        match = _match_event_path(path)
        if match is None:
            raise PageError(HTTPStatus.NOT_FOUND, "Page not found.")
        event_id = UUID(match["id"])
        number = find_event_tenant(self._runtime.database, event_id)
        service = None if number is None else self._runtime.tenants.by_number(number)
        if service is None:
            raise PageError(
                HTTPStatus.NOT_FOUND, "Event not found. The tenant may have been reset."
            )
        return service, event_id, match["rest"]

    async def _read_form(self, scope: Scope, receive: Receive) -> dict[str, str]:
        try:
            return read_form(await read_body(receive, read_headers(scope), MAX_FORM_BYTES))
        except RequestRefusedError as error:
            raise PageError(
                error.status, f"The form must not be larger than {MAX_FORM_BYTES >> 20} MiB."
            ) from None
        except ValueError:
            raise PageError(HTTPStatus.BAD_REQUEST, "The form is malformed.") from None

    @property
    def _pages(self) -> Pages:
        if self._cached_pages is None:
            # Most sandboxes in a test suite serve no page, so Jinja is imported only when needed.
            from webhooks_sdk.sandbox.inspector._pages import Pages  # noqa: PLC0415 - see above

            self._cached_pages = Pages(
                self._runtime, form_token=self._form_token, run_id=self._run_id
            )
        return self._cached_pages


_ACTIONS = {f"{ROOT}/publish", f"{ROOT}/advance"}


def _method_not_allowed(message: str, allow: str) -> PageError:
    return PageError(HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": allow})


def _read_filters(scope: Scope) -> Filters:
    try:
        return read_filters(scope["query_string"].decode("latin-1"))
    except FilterError as error:
        raise PageError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _static_file(name: str) -> Response:
    if name not in _STATIC_FILES:
        raise PageError(HTTPStatus.NOT_FOUND, "File not found.")
    content = files("webhooks_sdk.sandbox.inspector").joinpath("static", name).read_bytes()
    return respond(content, _STATIC_FILES[name])
