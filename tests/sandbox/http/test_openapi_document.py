"""The OpenAPI document is valid, consistent with the SDK, and served without a token."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import attrs
import httpx
import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.openapi_helpers import DOCUMENT, document_operations
from support.samples import HOOK_ID, OPERATIONS, REQUEST_ID

from webhooks_sdk import (
    AccessToken,
    ClientCredentials,
    SubscriptionConfig,
    WebhookEvent,
    WebhookSubscription,
)
from webhooks_sdk._core.tokens import token_operation
from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from webhooks_sdk.sandbox import Sandbox
from webhooks_sdk.sandbox._http.openapi import read_document
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox._service.rules import read_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATION_IDS = {
    "token": "requestAccessToken",
    "list": "listSubscriptions",
    "get": "getSubscription",
    "create": "createSubscription",
    "update": "updateSubscription",
    "delete": "deleteSubscription",
    "list_events": "listEvents",
    "redeliver": "redeliverEvent",
}
"""The ids in the document of the operations of the SDK."""


def nodes(node: object) -> Iterator[dict[str, Any]]:
    """Yield all JSON objects in a part of the document."""
    if isinstance(node, dict):
        yield cast("dict[str, Any]", node)
        node = list(cast("dict[str, Any]", node).values())
    if isinstance(node, list):
        for child in cast("list[object]", node):
            yield from nodes(child)


def examples() -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield all examples with their schemas."""
    for node in nodes(DOCUMENT):
        if isinstance(node.get("schema"), dict):
            if "example" in node:
                yield node["schema"], node["example"]
            for example in node.get("examples", {}).values():
                yield node["schema"], example["value"]
        elif isinstance(node.get("examples"), list):
            for example in node["examples"]:
                yield node, example


def test_document_is_valid() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_examples_are_valid() -> None:
    found = list(examples())
    assert len(found) > 10
    for schema, example in found:
        full_schema = {**schema, "components": DOCUMENT["components"]}
        OAS31Validator(full_schema, format_checker=oas31_format_checker).validate(example)


@pytest.mark.parametrize("name", ["url", "header", "events"])
@pytest.mark.parametrize("text", ["\x1f", "\x85", "\ufeff", " ", "", "a b", "x: \ny", "a:", "*:b"])
def test_schemas_forbid_what_the_sandbox_refuses(name: str, text: str) -> None:
    value = [text] if name == "events" else text
    full_schema = {**SCHEMAS["SubscriptionChanges"], "components": DOCUMENT["components"]}
    allowed = OAS31Validator(full_schema).is_valid({name: value})
    with nullcontext() if allowed else pytest.raises(RequestRefusedError):
        read_changes({name: value})


def test_operations_have_unique_ids_summaries_and_known_tags() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    ids = [operation["operationId"] for _, _, operation in document_operations()]
    assert len(ids) == len(set(ids))
    for _, _, operation in document_operations():
        assert operation["summary"]
        assert set(operation["tags"]) <= tags


def test_all_components_are_used_and_all_urls_are_relative() -> None:
    used = {node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node}
    used |= {f"#/components/securitySchemes/{name}" for name in schemes()}
    components = DOCUMENT["components"]
    assert used == {
        f"#/components/{kind}/{name}" for kind in components for name in components[kind]
    }
    flows = components["securitySchemes"]["clientCredentials"]["flows"]
    urls = [server["url"] for server in DOCUMENT["servers"]]
    assert all(url.startswith("/") for url in (*urls, flows["clientCredentials"]["tokenUrl"]))


def schemes() -> Iterator[str]:
    for node in nodes(DOCUMENT):
        for requirement in node.get("security", ()):
            yield from requirement


def operations_of_the_sdk() -> dict[str, tuple[str, str, set[str]]]:
    """Return the method, path and success statuses of each operation that the SDK declares."""
    credentials = ClientCredentials("id", "secret")
    declared = {name: make() for name, make in OPERATIONS.items()}
    found = {
        name: (
            operation.method.lower(),
            template(operation.path),
            {str(status) for status in operation.success},
        )
        for name, operation in declared.items()
    }
    token = token_operation(credentials)
    found["token"] = (
        token.method.lower(),
        "/auth/token",
        {str(status) for status in token.success},
    )
    return found


def template(path: str) -> str:
    return path.replace(str(HOOK_ID), "{hook_id}").replace(str(REQUEST_ID), "{request_id}")


def test_operations_match_those_of_the_sdk() -> None:
    found = {
        operation["operationId"]: (
            method,
            path,
            {status for status in operation["responses"] if status.startswith("2")},
        )
        for path, method, operation in document_operations()
    }
    # PUT does the same as PATCH, and the SDK does not use it.
    assert found.pop("updateSubscriptionWithPut") == ("put", "/hooks/{hook_id}", {"200"})
    assert found == {
        OPERATION_IDS[name]: operation for name, operation in operations_of_the_sdk().items()
    }


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_request_bodies_match_those_of_the_sdk(name: str) -> None:
    bodies = {
        operation["operationId"]: operation.get("requestBody")
        for _, _, operation in document_operations()
    }
    operation = OPERATIONS[name]()
    assert (bodies[OPERATION_IDS[name]] is None) == (operation.content is None)


@pytest.mark.parametrize(
    ("schema", "model"),
    [
        (SCHEMAS["Subscription"], WebhookSubscription),
        (SCHEMAS["Subscription"]["properties"]["config"], SubscriptionConfig),
        (SCHEMAS["WebhookEvent"], WebhookEvent),
    ],
)
def test_schemas_match_the_models_of_the_sdk(schema: dict[str, Any], model: type[Any]) -> None:
    fields = {field.name: field for field in attrs.fields(model) if field.name != "extra"}
    assert set(schema["properties"]) == set(fields)
    required = {name for name, field in fields.items() if field.default is attrs.NOTHING}
    assert set(schema["required"]) == required


def test_schema_matches_the_access_token_of_the_sdk() -> None:
    fields = {field.name for field in attrs.fields(AccessToken)} - {"extra"}
    assert set(SCHEMAS["AccessToken"]["properties"]) == fields


def test_delivery_headers_match_those_of_the_sdk() -> None:
    delivery = DOCUMENT["webhooks"]["delivery"]["post"]
    headers = {parameter["name"] for parameter in delivery["parameters"]}
    assert headers == {EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER, "User-Agent"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_document_is_served_without_a_token(sandbox: Sandbox) -> None:
    response = httpx.get(f"{sandbox.base_url}/openapi.json", trust_env=False)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.content == read_document()
    head = httpx.head(f"{sandbox.base_url}/openapi.json", trust_env=False)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(read_document()))
    assert sandbox.requests == ()


def test_document_is_read_only(sandbox: Sandbox) -> None:
    response = httpx.post(f"{sandbox.base_url}/openapi.json", trust_env=False)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["error"] == "method_not_allowed"


def test_sandbox_has_all_paths_of_the_document(sandbox: Sandbox) -> None:
    urls = [server["url"].rstrip("/") for server in DOCUMENT["servers"]]
    root = sandbox.base_url
    for path, method, _ in document_operations():
        for url in urls:
            request_url = re.sub(r"\{\w+\}", str(HOOK_ID), f"{root}{url}{path}")
            response = httpx.request(method, request_url, trust_env=False)
            # Not 404, so the path exists and requires credentials.
            assert response.status_code == (400 if path == "/auth/token" else 401), request_url
    assert httpx.get(f"{root}/other/hooks", trust_env=False).status_code == 404
