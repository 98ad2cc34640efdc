"""Which operation of which environment a request asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from uuid import UUID

from attrs import frozen

from webhooks_sdk.sandbox._records import EnvironmentName
from webhooks_sdk.sandbox._service.errors import method_not_allowed, not_found

if TYPE_CHECKING:
    from collections.abc import Mapping

OperationName: TypeAlias = Literal[
    "token", "list", "get", "create", "update", "delete", "list_events", "redeliver"
]

PREFIXES: Final[Mapping[EnvironmentName, str]] = {"production": "", "staging": "/staging"}
"""Where the API of an environment begins."""

TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path, no password
TOKEN_PATHS: Final = tuple(prefix + TOKEN_PATH for prefix in PREFIXES.values())

Methods: TypeAlias = "Mapping[str, OperationName]"

_TOKEN: Methods = {"POST": "token"}
_HOOKS: Methods = {"GET": "list", "POST": "create"}
_HOOK: Methods = {"GET": "get", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_EVENTS: Methods = {"GET": "list_events"}
_REDELIVER: Methods = {"POST": "redeliver"}

_read_path = re.compile(
    "/hooks(?:/(?P<hook>[^/]+)(?P<requests>/requests(?:/(?P<request>[^/]+)/redeliver)?)?)?",
).fullmatch
_is_uuid = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


@frozen
class Route:
    """Where a request leads.

    Attributes:
        environment: The environment whose API it is.
        operations: The operation for each method; empty if nothing is there.
        method: The method, GET for HEAD.
        hook_text: The subscription's id as it stands in the path, "" if there is none.
        request_text: The event's id, likewise.
    """

    environment: EnvironmentName
    operations: Methods
    method: str
    hook_text: str = ""
    request_text: str = ""

    @property
    def operation(self) -> OperationName | None:
        """The operation; None if there is none at the path, or not with this method."""
        return self.operations.get(self.method)

    @property
    def is_token(self) -> bool:
        """Whether the path is a token URL's, whatever the method."""
        return self.operations is _TOKEN

    @property
    def hook_id(self) -> UUID:
        """The id of the subscription.

        Raises:
            RequestRefusedError: 404, what stands in the path is no UUID.
        """
        return _uuid(self.hook_text, "hook_id")

    @property
    def request_id(self) -> UUID:
        """The id of the event, as above."""
        return _uuid(self.request_text, "request_id")

    def check(self) -> OperationName:
        """Return the operation.

        Raises:
            RequestRefusedError: 404, nothing is at the path; 405, not with this method.
        """
        if not self.operations:
            raise not_found("Not Found.")
        operation = self.operation
        if operation is None:
            head = ("HEAD",) if "GET" in self.operations else ()
            raise method_not_allowed((*self.operations, *head))
        return operation


def find_route(method: str, path: str) -> Route:
    """Return where a request leads.

    Args:
        method: Its method.
        path: Its path, percent-decoded, without the query string.
    """
    environment: EnvironmentName = "production"
    if path.startswith("/staging/"):
        environment, path = "staging", path.removeprefix("/staging")
    method = "GET" if method == "HEAD" else method
    if path == TOKEN_PATH:
        return Route(environment, _TOKEN, method)
    match = _read_path(path)
    if match is None:
        return Route(environment, {}, method)
    hook, requests, request = match["hook"], match["requests"], match["request"]
    if request:
        return Route(environment, _REDELIVER, method, hook, request)
    if requests:
        return Route(environment, _EVENTS, method, hook)
    return Route(environment, _HOOK, method, hook) if hook else Route(environment, _HOOKS, method)


def _uuid(text: str, name: str) -> UUID:
    if not _is_uuid(text):
        raise not_found(f"The {name} in the path is no UUID.")
    return UUID(text)
