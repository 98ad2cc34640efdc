"""Use schemathesis to send requests that the document allows or forbids to a running sandbox.

The tests are reproducible: every request starts from the same state, and the generated data depends
on the document only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks
from support.openapi_helpers import DOCUMENT
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemathesis import Case, CheckContext, Response

# Untyped for a strict type checker, since many of their types are unknown.
untyped_schemathesis, untyped_checks = cast("Any", schemathesis), cast("Any", checks)

EXAMPLES = 60
SCENARIOS = 40
STEPS = 10

CHECKS = {
    # Allowed requests succeed, unless an id, which can be any UUID, is unknown.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404"]},
    "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "422"]},
}
TOKEN_CHECKS = {
    # Generated credentials are almost never correct: 401. The document cannot express that the
    # grant type is required in one of two places: a request without it gets a 400.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401"]},
    "negative_data_rejection": {"expected-statuses": ["400", "401", "405"]},
}
STATEFUL_CHECKS = {
    # Whether a subscription can be activated, or its events removed, depends on earlier requests:
    # 422.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]},
}
CONFIG = untyped_schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"deterministic": True, "database": "none", "max-examples": EXAMPLES},
        "checks": CHECKS,
        "phases": {"stateful": {"checks": STATEFUL_CHECKS}},
        "operations": [{"include-operation-id": "requestAccessToken", "checks": TOKEN_CHECKS}],
    }
)

schema: Any = untyped_schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
for_each_operation: Callable[[Callable[..., None]], Callable[..., None]] = schema.parametrize()


class SandboxHarness:
    """A sandbox, a subscriber, and an access token."""

    def __init__(self, sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber) -> None:
        self.sandbox = sandbox
        self._subscriber = subscriber
        self._client = client
        self.options: dict[str, Any] = {
            "base_url": sandbox.base_url,
            "headers": {"Authorization": client.headers["authorization"]},
        }

    def set_up(self) -> dict[str, str]:
        """Reset to one subscription with one event, and return their ids by path parameter."""
        self.sandbox.reset()
        row = self._client.subscribe(self._subscriber.url)
        (attempt,) = self.sandbox.publish(EVENT, {"id": 1})
        # All changes that the document allows are valid for an inactive subscription.
        self._client.patch(f"/hooks/{row['id']}", json={"active": False}).raise_for_status()
        return {"hook_id": row["id"], "request_id": str(attempt.event_id)}

    def redirect_deliveries(self, case: Case[Any]) -> None:
        """Replace the URL of a subscription, so that no other machine gets deliveries."""
        body = case.body
        if isinstance(body, dict) and str(body.get("url")).lower().startswith("http"):
            body["url"] = self._subscriber.url


@pytest.fixture(scope="module")
def sandbox_harness() -> Iterator[SandboxHarness]:
    # The credentials are from the examples of the document.
    sandbox = Sandbox(client_id="my-client-id", client_secret="my-client-secret")
    with sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
        yield SandboxHarness(sandbox, client, subscriber)


def uses_existing_ids(case: Case[Any]) -> bool:
    """Return whether to replace the ids in the path with existing ones: in most valid paths."""
    meta = case.meta
    path_meta = None if meta is None else meta.components.get(ParameterLocation.PATH)
    if path_meta is None or not path_meta.mode.is_positive:
        return False
    return UUID(case.path_parameters["hook_id"]).int % 4 != 0


def errors_are_json(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that errors are JSON, which the sandbox guarantees beyond the document."""
    if response.status_code >= 400:
        error = response.json()["error"]
        assert isinstance(error, str), case


def exemptions(case: Case[Any], response: Response) -> list[Any]:
    """Return the checks to skip for a request."""
    if case.query.get("grant_type") == "":
        # The document forbids it, but RFC 6749, section 3.2, treats it as omitted.
        return [untyped_checks.negative_data_rejection]
    if response.status_code == 422 and "which the service sets itself" in response.text:
        # The document does not list the headers that a subscription cannot have.
        return [untyped_checks.positive_data_acceptance]
    return []


@for_each_operation
def test_each_operation_conforms_to_the_document(
    case: Any, sandbox_harness: SandboxHarness
) -> None:
    ids = sandbox_harness.set_up()
    if uses_existing_ids(case):
        case.path_parameters = {name: ids[name] for name in case.path_parameters}
    sandbox_harness.redirect_deliveries(case)
    response = case.call(**sandbox_harness.options)
    case.validate_response(
        response,
        headers=sandbox_harness.options["headers"],
        additional_checks=[errors_are_json],
        excluded_checks=exemptions(case, response),
        transport_kwargs=sandbox_harness.options,
    )


def test_sequences_of_operations_conform_to_the_document(sandbox_harness: SandboxHarness) -> None:
    responses: set[tuple[str, int]] = set()

    machine: Any = schema.as_state_machine()

    class Scenario(machine):  # type: ignore[misc] # made at run time
        def setup(self) -> None:
            sandbox_harness.set_up()

        def before_call(self, case: Case[Any]) -> None:
            sandbox_harness.redirect_deliveries(case)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:  # noqa: ARG002 - overrides
            return sandbox_harness.options

        def after_call(self, response: Response, case: Case[Any]) -> None:
            machine.after_call(self, response, case)
            responses.add((case.operation.label, response.status_code))

    Scenario.run(
        settings=settings(
            max_examples=SCENARIOS,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            # The duration is irrelevant here, and links make Hypothesis filter and draw a lot.
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
    )
    # Whether a scenario includes a redelivery depends on the generated data.
    hook = "/hooks/{hook_id}"
    assert responses >= {
        ("GET /hooks", 200),
        ("POST /hooks", 201),
        (f"GET {hook}", 200),
        (f"PUT {hook}", 200),
        (f"PATCH {hook}", 200),
        (f"DELETE {hook}", 204),
        (f"GET {hook}/requests", 200),
    }
