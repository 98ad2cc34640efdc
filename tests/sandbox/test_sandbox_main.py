"""`python -m webhooks_sdk.sandbox`, in a separate process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from webhooks_sdk import Client, RateLimitError, RetryPolicy
from webhooks_sdk.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "webhooks_sdk.sandbox"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prints_settings_and_stops_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "Ctrl-C" in process.stdout.readline()
        exports = [shlex.split(process.stdout.readline()) for _ in range(4)]
        assert {words[0] for words in exports} == {"export"}
        settings = dict(words[1].split("=", 1) for words in exports)
        assert list(settings) == [
            "WEBHOOKS_BASE_URL",
            "WEBHOOKS_TOKEN_URL",
            "WEBHOOKS_CLIENT_ID",
            "WEBHOOKS_CLIENT_SECRET",
        ]
        inspector, control = process.stdout.readline(), process.stdout.readline()
        assert inspector == f"# Inspector: {settings['WEBHOOKS_BASE_URL']}/\n"
        assert control == f"# Control API: {settings['WEBHOOKS_BASE_URL']}/_sandbox/\n"
        form = {
            "grant_type": "client_credentials",
            "client_id": settings["WEBHOOKS_CLIENT_ID"],
            "client_secret": settings["WEBHOOKS_CLIENT_SECRET"],
        }
        token = httpx.post(settings["WEBHOOKS_TOKEN_URL"], data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        response = httpx.get(f"{settings['WEBHOOKS_BASE_URL']}/hooks", headers=headers)
        assert response.json() == []
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_rejects_remote_host() -> None:
    completed = run("--host", "192.0.2.1")
    assert completed.returncode == 2
    assert "--allow-remote" in completed.stderr


def test_reports_listen_errors() -> None:
    with Sandbox() as sandbox:
        port = str(urlsplit(sandbox.base_url).port)
        completed = run("--port", port)
    assert completed.returncode == 1
    assert completed.stderr.startswith(f"Cannot listen on 127.0.0.1, port {port}: ")
    assert len(completed.stderr.splitlines()) == 1
    assert run("--host", "192.0.2.1", "--allow-remote").returncode == 1


@contextmanager
def running(*arguments: str) -> Generator[dict[str, str]]:
    """Run the sandbox, and yield the variables that it exports."""
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(7)]
            words = [shlex.split(line) for line in lines if line.startswith("export ")]
            yield dict(word.split("=", 1) for _, word in words)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_printed_settings_configure_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--client-id", "me", "--client-secret", "it's mine")
    with running(*options, "--fault", "rate_limited operation=list retry_after=9") as exported:
        assert exported["WEBHOOKS_CLIENT_SECRET"] == "it's mine"
        for name, value in exported.items():
            monkeypatch.setenv(name, value)
        with Client.from_env(retry=RetryPolicy.none()) as client:
            with pytest.raises(RateLimitError) as caught:
                client.hooks.list()
            assert caught.value.retry_after == 9
            assert client.hooks.create(url="http://127.0.0.1:9/").active is False


def test_demo_in_a_file_is_kept(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.sqlite")
    states: list[dict[str, object]] = []
    for arguments in (
        ("--seed-demo", "--seed", "7", "--variant", "all_different"),
        ("--manual-time",),
    ):
        with running("--database", file, *arguments) as exported:
            response = httpx.get(f"{exported['WEBHOOKS_BASE_URL']}/_sandbox/state")
            states.append(response.json())
    first, second = states
    assert first["subscriptions"] == second["subscriptions"] == 4
    assert first["variants"] == second["variants"]
    assert first["client_id"] == second["client_id"]
    with Sandbox(database=file) as sandbox:
        assert len(sandbox.attempts) > 200
        assert sandbox.variants.order == "oldest_first"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fault", "explosion"), "kind must be one of latency"),
        (("--fault", "latency times"), "'times' in the fault"),
        (("--variant", "odd"), "There are no variants named 'odd'"),
        (("--client-id", ""), "must not be empty"),
        (("--port", "70000"), "port must be an integer from 0 to 65,535, got 70000"),
        (
            ("--response-timeout", "0"),
            "response_timeout must be a number of seconds greater than 0",
        ),
        (("--connect-timeout", "soon"), "invalid float value: 'soon'"),
        (("--connect-timeout", "nan"), "connect_timeout must be a number of seconds"),
        (("--connect-timeout", "1e10"), "and at most 1,000,000, got 10000000000.0"),
        (("--token-lifetime", "-1"), "token_lifetime must be an integer from 1 to"),
        (("--token-lifetime", "x"), "invalid int value: 'x'"),
        (("--seed", "x"), "invalid int value"),
    ],
)
def test_reports_invalid_arguments(arguments: tuple[str, ...], message: str) -> None:
    completed = run("--port", "0", *arguments)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr


def test_the_help_says_why_the_default_of_time_differs_from_python() -> None:
    completed = run("--help")
    text = " ".join(completed.stdout.split())
    assert (
        "--manual-time run automatic retries only when the clock is advanced, which is the default"
        " of Sandbox() in Python, so that tests are repeatable; without this option they also run"
        " as time passes, so that you can watch them" in text
    )
    with running("--seed-demo") as watched, Sandbox(seed_demo=True) as tested:
        assert "Retries are sent as time passes" in httpx.get(watched["WEBHOOKS_BASE_URL"]).text
        assert "Retries are sent only when" in httpx.get(tested.base_url).text


def test_foreign_file_is_rejected_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, this is no database at all")
    completed = run("--port", "0", "--database", str(file))
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1
    assert "not an SQLite database" in completed.stderr


def test_missing_directory_is_rejected_in_one_line(tmp_path: Path) -> None:
    completed = run("--port", "0", "--database", str(tmp_path / "gone" / "f.sqlite"))
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1
    assert "directory does not exist" in completed.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
def test_stops_if_stdout_is_closed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [*COMMAND, "--port", "0"], stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writer)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "standard output is closed" in errors
    assert "Cannot listen" not in errors
