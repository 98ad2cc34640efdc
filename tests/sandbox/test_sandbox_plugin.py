"""The pytest plugin, as the tests of its users see it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from webhooks_sdk.sandbox import Subscriber, Tenant

pytest_plugins = ["pytester"]

# What users' tests have in common: a subscription at the sandbox.
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
def users(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder of a user's tests."""
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makeconftest(CONFTEST)
    return pytester


def run(users: pytest.Pytester, *options: str) -> pytest.RunResult:
    return users.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=120)


def test_both_fixtures_work_here(webhooks_sandbox: Tenant, webhooks_subscriber: Subscriber) -> None:
    assert webhooks_sandbox.attempts == ()
    assert webhooks_subscriber.deliveries == ()


def test_a_users_test_passes_and_leaves_nothing_behind(users: pytest.Pytester) -> None:
    users.makepyfile("""
        def test_redelivery(webhooks_sandbox, webhooks_subscriber, client, subscription):
            webhooks_subscriber.fail(503)
            (missed,) = webhooks_sandbox.publish("application_form:quoted", {"id": 1})
            webhooks_subscriber.recover()
            assert client.hooks.redeliver(subscription.id, missed.event_id).delivered
            assert [one.json() for one in webhooks_subscriber.deliveries] == [{"id": 1}] * 2
    """)
    run(users).assert_outcomes(passed=1)


def test_each_test_has_a_tenant_and_a_subscriber_of_its_own(users: pytest.Pytester) -> None:
    users.makepyfile("""
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

        def test_there_was_one_server_for_all_and_nothing_of_them_is_left(webhooks_sandbox):
            base_urls, tenants, tokens = (set(column) for column in zip(*seen))
            assert base_urls == {webhooks_sandbox.base_url}
            assert len({*tenants, webhooks_sandbox.tenant_id}) == 4
            for token in tokens:
                bearer = {"Authorization": f"Bearer {token}"}
                hooks = httpx.get(f"{webhooks_sandbox.base_url}/hooks", headers=bearer)
                assert hooks.status_code == 401
    """)
    run(users).assert_outcomes(passed=4)


def test_each_worker_of_xdist_has_a_server_of_its_own(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import os
        import pathlib
        import time
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_worker(turn, webhooks_sandbox, webhooks_subscriber, client, subscription):
            webhooks_sandbox.publish("application_form", {"turn": turn})
            assert [one.json() for one in webhooks_subscriber.deliveries] == [{"turn": turn}]
            pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).write_text(webhooks_sandbox.base_url)
            # One worker cannot take both: each waits for the other.
            while len(urls := [path.read_text() for path in pathlib.Path().glob("gw*")]) < 2:
                time.sleep(0.01)
            assert len(set(urls)) == 2
    """)
    run(users, "-n2", "--dist=load").assert_outcomes(passed=2)


def test_a_failure_of_the_sandbox_fails_the_test_that_caused_it(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import pytest
        from webhooks_sdk import InternalServerError, RetryPolicy
        from webhooks_sdk.sandbox._http import api

        def test_before(webhooks_sandbox, client):
            assert client.hooks.list() == []

        def test_cause(webhooks_sandbox, client, monkeypatch):
            monkeypatch.delattr(api, "subscription_row")
            with pytest.raises(InternalServerError):
                client.with_options(retry=RetryPolicy.none()).hooks.create(url="http://a.example")

        def test_after(webhooks_sandbox, client):
            assert client.hooks.list() == []
    """)
    result = run(users)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_cause*", "*sandbox server failed*"])
    result.stdout.no_fnmatch_line("*ERROR at teardown of test_after*")


def test_a_hanging_subscriber_does_not_hold_up_the_end(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import threading

        def test_hang(webhooks_sandbox, webhooks_subscriber, subscription):
            webhooks_subscriber.hang()
            threading.Thread(target=publish, args=(webhooks_sandbox,)).start()
            webhooks_subscriber.wait_for(1)

        def publish(sandbox):
            try:
                sandbox.publish("application_form:quoted", {})
            except RuntimeError:  # the sandbox ended first
                pass
    """)
    run(users).assert_outcomes(passed=1)


def test_what_is_under_way_at_the_end_of_a_test_disturbs_no_other(
    users: pytest.Pytester,
) -> None:
    users.makepyfile("""
        import threading

        import attrs
        import pytest
        from webhooks_sdk import APIError, RetryPolicy

        # Torn down in this order: either is the first to go.
        BOTH = [
            ["webhooks_sandbox", "webhooks_subscriber"],
            ["webhooks_subscriber", "webhooks_sandbox"],
        ]

        @pytest.fixture(params=BOTH, ids=",".join)
        def both(request):
            return {name: request.getfixturevalue(name) for name in request.param}

        @pytest.mark.parametrize("redelivery", ["waits", "answers_early"])
        def test_cut_off(both, redelivery, client, webhooks_sandbox, webhooks_subscriber):
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

        def test_quiet(webhooks_sandbox, webhooks_subscriber, subscription):
            webhooks_sandbox.publish("application_form", {})
            assert len(webhooks_sandbox.attempts) == len(webhooks_subscriber.deliveries) == 1
    """)
    run(users).assert_outcomes(passed=5)


@pytest.mark.parametrize("fixture", ["webhooks_sandbox", "webhooks_subscriber"])
def test_a_missing_extra_is_explained_where_it_is_needed(
    users: pytest.Pytester, fixture: str
) -> None:
    users.makeconftest("import sys; sys.modules['uvicorn'] = None")
    users.makepyfile(f"""
        def test_without():
            pass

        def test_with({fixture}):
            pass
    """)
    result = run(users)
    result.assert_outcomes(passed=1, errors=1)
    said = "webhooks_sdk.sandbox needs uvicorn: pip install 'webhooks-sdk[[]sandbox]'"
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_another_failure_to_import_is_told_in_full(users: pytest.Pytester) -> None:
    users.makeconftest("import sys; sys.modules['anyio'] = None")
    users.makepyfile("def test_with(webhooks_sandbox): pass")
    result = run(users, "-p", "no:anyio", "-p", "no:schemathesis")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*import anyio*", "*ModuleNotFoundError*"])


def loaded(folder: Path, *options: str) -> set[str]:
    """Return what pytest has loaded when it runs a test that uses no fixture."""
    (folder / "test_loaded.py").write_text("import sys\ndef test(): print('LOADED', *sys.modules)")
    ended = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = (line for line in ended.stdout.splitlines() if "LOADED" in line)
    return set(line.split())


def test_it_imports_nothing_until_a_fixture_is_used(tmp_path: Path) -> None:
    more = loaded(tmp_path, "-p", "pytest_webhooks_sdk") - loaded(tmp_path)
    assert more == {"pytest_webhooks_sdk"}
