"""Routing: the environment and operation of a request."""

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
"""The path prefix of each environment."""

TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path, not a password
TOKEN_PATHS: Final = tuple(prefix + TOKEN_PATH for prefix in PREFIXES.values())

Methods: TypeAlias = "Mapping[str, OperationName]"

_TOKEN: Methods = {"POST": "token"}
_HOOKS: Methods = {"GET": "list", "POST": "create"}
_HOOK: Methods = {"GET": "get", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_EVENTS: Methods = {"GET": "list_events"}
_REDELIVER: Methods = {"POST": "redeliver"}

_match_path = re.compile(
    "/hooks(?:/(?P<hook>[^/]+)(?P<requests>/requests(?:/(?P<request>[^/]+)/redeliver)?)?)?",
).fullmatch
_match_uuid = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


@frozen
class Route:
    """The route of a request.

    Attributes:
        environment: The environment.
        operations: The operation for each method; empty if the path is unknown.
        method: The method; GET for HEAD.
        raw_hook_id: The subscription ID in the path, unvalidated; "" if there is none.
        raw_request_id: The event ID in the path, unvalidated; "" if there is none.
    """

    environment: EnvironmentName
    operations: Methods
    method: str
    raw_hook_id: str = ""
    raw_request_id: str = ""

    @property
    def operation(self) -> OperationName | None:
        """The operation; None if the path is unknown or does not allow the method."""
        return self.operations.get(self.method)

    @property
    def is_token(self) -> bool:
        """Whether the path is a token URL, with any method."""
        return self.operations is _TOKEN

    @property
    def hook_id(self) -> UUID:
        """The subscription ID.

        Raises:
            RequestRefusedError: 404, the ID in the path is not a UUID.
        """
        return _uuid(self.raw_hook_id, "hook_id")

    @property
    def request_id(self) -> UUID:
        """The event ID.

        Raises:
            RequestRefusedError: 404, the ID in the path is not a UUID.
        """
        return _uuid(self.raw_request_id, "request_id")

    def require_operation(self) -> OperationName:
        """Return the operation.

        Raises:
            RequestRefusedError: 404, the path is unknown; 405, it does not allow the method.
        """
        if not self.operations:
            raise not_found("The API has no such path.")
        operation = self.operation
        if operation is None:
            head = ("HEAD",) if "GET" in self.operations else ()
            raise method_not_allowed((*self.operations, *head))
        return operation


def find_route(method: str, path: str) -> Route:
    """Return the route of a request.

    Args:
        method: The method of the request.
        path: Its path, percent-decoded, without the query string.
    """
    environment: EnvironmentName = "production"
    if path.startswith("/staging/"):
        environment, path = "staging", path.removeprefix("/staging")
    method = "GET" if method == "HEAD" else method
    if path == TOKEN_PATH:
        return Route(environment, _TOKEN, method)
    match = _match_path(path)
    if match is None:
        return Route(environment, {}, method)
    hook, requests, request = match["hook"], match["requests"], match["request"]
    if request:
        return Route(environment, _REDELIVER, method, hook, request)
    if requests:
        return Route(environment, _EVENTS, method, hook)
    return Route(environment, _HOOK, method, hook) if hook else Route(environment, _HOOKS, method)


def _uuid(text: str, name: str) -> UUID:
    if not _match_uuid(text):
        raise not_found(f"{name} in the path is not a valid UUID.")
    return UUID(text)
