"""`python -m webhooks_sdk.sandbox`, as a process of its own."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from webhooks_sdk.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "webhooks_sdk.sandbox"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_to_paste_and_ends_cleanly(number: signal.Signals) -> None:
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
        answer = httpx.get(f"{settings['WEBHOOKS_BASE_URL']}/hooks", headers=headers)
        assert answer.json() == []
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_it_refuses_hosts_that_others_can_reach() -> None:
    ended = run("--host", "192.0.2.1")
    assert ended.returncode == 2
    assert "--allow-remote" in ended.stderr


def test_it_says_if_it_cannot_listen() -> None:
    with Sandbox() as sandbox:
        port = str(urlsplit(sandbox.base_url).port)
        ended = run("--port", port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Cannot listen on 127.0.0.1, port {port}: ")
    assert len(ended.stderr.splitlines()) == 1
    assert run("--port", "70000").returncode == 1
    assert run("--host", "192.0.2.1", "--allow-remote").returncode == 1
