"""The pytest plugin, in the test suite of a user."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from webhooks_sdk.sandbox import Subscriber, Tenant

pytest_plugins = ["pytester"]

# A user's conftest.py.
CONFTEST = """
import pytest
from webhooks_sdk import Client, ClientCredentials

@pytest.fixture
def client(webhooks_sandbox):
    credentials = ClientCredentials(webhooks_sandbox.client_id, webhooks_sandbox.client_secret)
    with Client(
        credentials, base_url=webhooks_sandbox.base_url, token_url=webhooks_sandbox.token_url
    ) as client:
        yield client

@pytest.fixture
def subscription(client, webhooks_subscriber):
    return client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory with the tests of a user."""
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makeconftest(CONFTEST)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=120)


def test_the_fixtures_work_in_this_process(
    webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber
) -> None:
    assert webhooks_sandbox.attempts == ()
    assert webhooks_subscriber.deliveries == ()


def test_the_fixtures_work_and_emit_no_warnings(project: pytest.Pytester) -> None:
    project.makepyfile("""
        def test_redelivery(webhooks_sandbox, webhooks_subscriber, client, subscription):
            webhooks_subscriber.fail(503)
            (missed,) = webhooks_sandbox.publish("application_form:quoted", {"id": 1})
            webhooks_subscriber.recover()
            assert client.hooks.redeliver(subscription.id, missed.event_id).delivered
            assert [item.json() for item in webhooks_subscriber.deliveries] == [{"id": 1}] * 2
    """)
    run(project).assert_outcomes(passed=1)


def test_each_test_has_its_own_tenant_and_subscriber(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import httpx
        import pytest

        seen = []

        @pytest.mark.parametrize("turn", range(3))
        def test_isolation(turn, webhooks_sandbox, webhooks_subscriber, client, request):
            assert client.hooks.list() == []
            assert webhooks_sandbox.attempts == webhooks_subscriber.deliveries == ()
            assert webhooks_subscriber.status == 200
            client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
            webhooks_sandbox.publish("application_form", {})
            webhooks_subscriber.fail()
            token = httpx.post(webhooks_sandbox.token_url, data={
                "grant_type": "client_credentials",
                "client_id": webhooks_sandbox.client_id,
                "client_secret": webhooks_sandbox.client_secret,
            }).json()["access_token"]
            seen.append((webhooks_sandbox.base_url, webhooks_sandbox.tenant_id, token))

        def test_one_server_served_all_and_their_tenants_are_removed(webhooks_sandbox):
            base_urls, tenants, tokens = (set(column) for column in zip(*seen))
            assert base_urls == {webhooks_sandbox.base_url}
            assert len({*tenants, webhooks_sandbox.tenant_id}) == 4
            for token in tokens:
                bearer = {"Authorization": f"Bearer {token}"}
                hooks = httpx.get(f"{webhooks_sandbox.base_url}/hooks", headers=bearer)
                assert hooks.status_code == 401
    """)
    run(project).assert_outcomes(passed=4)


def test_each_xdist_worker_has_its_own_server(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import os
        import pathlib
        import time
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_worker(turn, webhooks_sandbox, webhooks_subscriber, client, subscription):
            webhooks_sandbox.publish("application_form", {"turn": turn})
            assert [item.json() for item in webhooks_subscriber.deliveries] == [{"turn": turn}]
            pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).write_text(webhooks_sandbox.base_url)
            # Each test waits for the other, so they must run in two workers.
            while len(urls := [path.read_text() for path in pathlib.Path().glob("gw*")]) < 2:
                time.sleep(0.01)
            assert len(set(urls)) == 2
    """)
    run(project, "-n2", "--dist=load").assert_outcomes(passed=2)


def test_a_sandbox_failure_is_an_error_of_the_test_that_caused_it(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest
        from webhooks_sdk import InternalServerError, RetryPolicy
        from webhooks_sdk.sandbox._http import api

        def test_before(webhooks_sandbox, client):
            assert client.hooks.list() == []

        def test_cause(webhooks_sandbox, client, monkeypatch):
            monkeypatch.delattr(api, "encode_subscription")
            with pytest.raises(InternalServerError):
                client.with_options(retry=RetryPolicy.none()).hooks.create(url="http://a.example")

        def test_after(webhooks_sandbox, client):
            assert client.hooks.list() == []
    """)
    result = run(project)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_cause*", "*sandbox server failed*"])
    result.stdout.no_fnmatch_line("*ERROR at teardown of test_after*")


def test_a_hanging_subscriber_does_not_block_teardown(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import threading

        def test_hang(webhooks_sandbox, webhooks_subscriber, subscription):
            webhooks_subscriber.hang()
            threading.Thread(target=publish, args=(webhooks_sandbox,)).start()
            webhooks_subscriber.wait_for(1)

        def publish(sandbox):
            try:
                sandbox.publish("application_form:quoted", {})
            except RuntimeError:  # the sandbox was closed first
                pass
    """)
    run(project).assert_outcomes(passed=1)


def test_requests_in_flight_at_the_end_of_a_test_do_not_affect_the_next(
    project: pytest.Pytester,
) -> None:
    project.makepyfile("""
        import threading

        import attrs
        import pytest
        from webhooks_sdk import APIError, RetryPolicy

        # Both orders of setup, and thus of teardown.
        BOTH = [
            ["webhooks_sandbox", "webhooks_subscriber"],
            ["webhooks_subscriber", "webhooks_sandbox"],
        ]

        @pytest.fixture(params=BOTH, ids=",".join)
        def both(request):
            return {name: request.getfixturevalue(name) for name in request.param}

        @pytest.mark.parametrize("redelivery", ["waits", "responds_early"])
        def test_interrupted(both, redelivery, client, webhooks_sandbox, webhooks_subscriber):
            hook = client.hooks.create(url=webhooks_subscriber.url, events=["*"], active=True)
            (attempt,) = webhooks_sandbox.publish("application_form", {})
            webhooks_sandbox.variants = attrs.evolve(
                webhooks_sandbox.variants, redelivery=redelivery
            )
            webhooks_subscriber.hang()
            impatient = client.with_options(timeout=0.1, retry=RetryPolicy.none())
            try:
                impatient.hooks.redeliver(hook.id, attempt.event_id)
            except APIError:
                assert redelivery == "waits"
            webhooks_subscriber.wait_for(2)

        def test_next(webhooks_sandbox, webhooks_subscriber, subscription):
            webhooks_sandbox.publish("application_form", {})
            assert len(webhooks_sandbox.attempts) == len(webhooks_subscriber.deliveries) == 1
    """)
    run(project).assert_outcomes(passed=5)


@pytest.mark.parametrize("fixture", ["webhooks_sandbox", "webhooks_subscriber"])
def test_a_missing_extra_is_explained_when_a_fixture_is_used(
    project: pytest.Pytester, fixture: str
) -> None:
    project.makeconftest("import sys; sys.modules['uvicorn'] = None")
    project.makepyfile(f"""
        def test_without():
            pass

        def test_with({fixture}):
            pass
    """)
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    message = "webhooks_sdk.sandbox needs uvicorn: pip install 'webhooks-sdk[[]sandbox]'"
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_another_import_error_keeps_its_traceback(project: pytest.Pytester) -> None:
    project.makeconftest("import sys; sys.modules['anyio'] = None")
    project.makepyfile("def test_with(webhooks_sandbox): pass")
    result = run(project, "-p", "no:anyio", "-p", "no:schemathesis")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*import anyio*", "*ModuleNotFoundError*"])


def loaded_modules(directory: Path, *options: str) -> set[str]:
    """Return the modules loaded by a pytest run whose test uses no fixture."""
    (directory / "test_loaded.py").write_text(
        "import sys\ndef test(): print('LOADED', *sys.modules)"
    )
    completed = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider", *options],
        cwd=directory,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = (line for line in completed.stdout.splitlines() if "LOADED" in line)
    return set(line.split())


def test_the_plugin_imports_nothing_until_a_fixture_is_used(tmp_path: Path) -> None:
    without_plugin = loaded_modules(tmp_path)
    with_plugin = loaded_modules(tmp_path, "-p", "pytest_webhooks_sdk")
    assert with_plugin - without_plugin == {"pytest_webhooks_sdk"}
