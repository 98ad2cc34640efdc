"""schemathesis: requests that the document allows and that it forbids, against a running sandbox.

Every request finds the same state, and what is drawn depends on the document alone, so that a run
is like any other.
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

# Much of its types is unknown to a strict type checker.
kit, kit_checks = cast("Any", schemathesis), cast("Any", checks)

EXAMPLES = 60
SCENARIOS = 40
STEPS = 10

CHECKS = {
    # All that the document allows is taken; unless an id, which may be any UUID, is unknown.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404"]},
    "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "422"]},
}
TOKEN_CHECKS = {
    # Credentials that are drawn are hardly ever the right ones: 401. And a document cannot say
    # that the grant type stands in either of two places: a request without any is refused, 400.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401"]},
    "negative_data_rejection": {"expected-statuses": ["400", "401", "405"]},
}
COURSE_CHECKS = {
    # Whether a subscription may be active, and whether its events may be taken away, depends on
    # what came before: 422.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]},
}
CONFIG = kit.Config.from_dict(
    {
        "seed": 1,
        "generation": {"deterministic": True, "database": "none", "max-examples": EXAMPLES},
        "checks": CHECKS,
        "phases": {"stateful": {"checks": COURSE_CHECKS}},
        "operations": [{"include-operation-id": "requestAccessToken", "checks": TOKEN_CHECKS}],
    }
)

schema: Any = kit.openapi.from_dict(DOCUMENT, config=CONFIG)
for_each_operation: Callable[[Callable[..., None]], Callable[..., None]] = schema.parametrize()


class Stage:
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
        """Leave one subscription with one event, and return their ids by the path's names."""
        self.sandbox.reset()
        row = self._client.subscribe(self._subscriber.url)
        (attempt,) = self.sandbox.publish(EVENT, {"id": 1})
        # An inactive one can be changed in any way that the document allows.
        self._client.patch(f"/hooks/{row['id']}", json={"active": False}).raise_for_status()
        return {"hook_id": row["id"], "request_id": str(attempt.event_id)}

    def lead_here(self, case: Case[Any]) -> None:
        """Have deliveries go to the subscriber, for no other machine is to be reached."""
        body = case.body
        if isinstance(body, dict) and str(body.get("url")).lower().startswith("http"):
            body["url"] = self._subscriber.url


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    # The credentials are those of the document's examples.
    sandbox = Sandbox(client_id="my-client-id", client_secret="my-client-secret")
    with sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
        yield Stage(sandbox, client, subscriber)


def names_what_is_there(case: Case[Any]) -> bool:
    """Whether the ids in the path may be replaced by those of the stage: in most good paths."""
    meta = case.meta
    part = None if meta is None else meta.components.get(ParameterLocation.PATH)
    if part is None or not part.mode.is_positive:
        return False
    return UUID(case.path_parameters["hook_id"]).int % 4 != 0


def errors_are_json(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check what is the sandbox's own promise, for the document leaves it open."""
    if response.status_code >= 400:
        error = response.json()["error"]
        assert isinstance(error, str), case


def exemptions(case: Case[Any], response: Response) -> list[Any]:
    """The checks that one request is exempt from."""
    if case.query.get("grant_type") == "":
        # The document forbids it, but RFC 6749, section 3.2, has it taken for left out.
        return [kit_checks.negative_data_rejection]
    if response.status_code == 422 and "which the service sets itself" in response.text:
        # The document does not say which headers a subscription cannot have.
        return [kit_checks.positive_data_acceptance]
    return []


@for_each_operation
def test_each_operation_answers_as_the_document_says(case: Any, stage: Stage) -> None:
    known = stage.set_up()
    if names_what_is_there(case):
        case.path_parameters = {name: known[name] for name in case.path_parameters}
    stage.lead_here(case)
    response = case.call(**stage.options)
    case.validate_response(
        response,
        headers=stage.options["headers"],
        additional_checks=[errors_are_json],
        excluded_checks=exemptions(case, response),
        transport_kwargs=stage.options,
    )


def test_a_course_of_operations_answers_as_the_document_says(stage: Stage) -> None:
    answered: set[tuple[str, int]] = set()

    machine: Any = schema.as_state_machine()

    class Course(machine):  # type: ignore[misc] # made at run time
        def setup(self) -> None:
            stage.set_up()

        def before_call(self, case: Case[Any]) -> None:
            stage.lead_here(case)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:  # noqa: ARG002 - overrides
            return stage.options

        def after_call(self, response: Response, case: Case[Any]) -> None:
            machine.after_call(self, response, case)
            answered.add((case.operation.label, response.status_code))

    Course.run(
        settings=settings(
            max_examples=SCENARIOS,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            # How long it takes says nothing here, and links make it filter and draw much.
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
    )
    # Whether a course comes to a redelivery is left to the draw.
    hook = "/hooks/{hook_id}"
    assert answered >= {
        ("GET /hooks", 200),
        ("POST /hooks", 201),
        (f"GET {hook}", 200),
        (f"PUT {hook}", 200),
        (f"PATCH {hook}", 200),
        (f"DELETE {hook}", 204),
        (f"GET {hook}/requests", 200),
    }
