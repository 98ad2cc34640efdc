"""Fixtures shared by all tests."""

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
    """The only certificate authority that the clients of the tests trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(tls_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of that authority, as a PEM file."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    tls_authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> None:
    """Remove the proxies, certificates and credentials of the machine from the environment."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith(("WEBHOOKS_", "SSL_CERT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))


@pytest.fixture(params=CLIENT_KINDS)
def harness(request: pytest.FixtureRequest) -> Iterator[ClientHarness]:
    """A harness for `Client`, `AsyncClient` on asyncio, and `AsyncClient` on trio."""
    name: ClientKind = request.param
    with ClientHarness(name) as harness:
        yield harness


@pytest.fixture(params=CLIENT_KINDS)
def replay_harness(request: pytest.FixtureRequest) -> ReplayHarness:
    """A harness for `Replay`, `AsyncReplay` on asyncio, and `AsyncReplay` on trio."""
    return ReplayHarness(request.param)


@pytest.fixture
def service() -> Service:
    """An in-memory service for replays."""
    return Service()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A scripted server for the API, and for the token endpoint unless `token_server` is used."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def token_server() -> Iterator[FaultServer]:
    """A scripted server for the token endpoint."""
    with FaultServer() as server:
        yield server


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI if a test was skipped, which would go unnoticed otherwise."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
