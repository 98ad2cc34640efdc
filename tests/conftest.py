"""Fixtures of all tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme
from support.fault_server import FaultServer
from support.harness import CLIENT_KINDS, ClientHarness
from support.replays import ReplayHarness, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.harness import ClientKind


@pytest.fixture(scope="session")
def tls_authority() -> trustme.CA:
    """Whom every client of the tests trusts for TLS, and nobody else."""
    return trustme.CA()


@pytest.fixture(scope="session")
def trusted(tls_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that says so."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    tls_authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, trusted: Path) -> None:
    """Keep proxies, certificates and credentials of the machine out of the tests."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith(("WEBHOOKS_", "SSL_CERT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))


@pytest.fixture(params=CLIENT_KINDS)
def harness(request: pytest.FixtureRequest) -> Iterator[ClientHarness]:
    """`Client`, `AsyncClient` on asyncio and on trio, all used alike."""
    name: ClientKind = request.param
    with ClientHarness(name) as harness:
        yield harness


@pytest.fixture(params=CLIENT_KINDS)
def replay_harness(request: pytest.FixtureRequest) -> ReplayHarness:
    """`Replay`, `AsyncReplay` on asyncio and on trio, all used alike."""
    return ReplayHarness(request.param)


@pytest.fixture
def service() -> Service:
    """A service in memory, for replays."""
    return Service()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """The API, and unless there is a `token_server` the token endpoint, ready for a script."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def token_server() -> Iterator[FaultServer]:
    """A token endpoint of its own."""
    with FaultServer() as server:
        yield server


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: nobody would look why it was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
