"""The pytest plugin of webhooks-sdk: the fixtures `webhooks_sandbox` and `webhooks_subscriber`.

pytest imports this module whenever it starts, also for tests that never use it. So it stands beside
the package, not in it, and imports the package when a fixture is used.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from webhooks_sdk.sandbox import Sandbox, Subscriber, Tenant


@pytest.fixture(scope="session")
def _webhooks_server() -> Generator[Sandbox]:
    """Run the server behind every `webhooks_sandbox` of this process."""
    with _explaining_a_missing_extra():
        from webhooks_sdk.sandbox import Sandbox  # noqa: PLC0415 - see above
    with Sandbox() as server:
        yield server


@pytest.fixture
def webhooks_sandbox(_webhooks_server: Sandbox) -> Generator[Tenant]:
    """The service on this machine: a `webhooks_sdk.sandbox.Tenant` for this test alone.

    Point a client at its `base_url` and `token_url`, with its `client_id` and `client_secret`. If
    the sandbox itself fails, so does the test.
    """
    with _webhooks_server.add_tenant() as tenant:
        yield tenant
    _webhooks_server.raise_failures()


@pytest.fixture
def webhooks_subscriber() -> Generator[Subscriber]:
    """An endpoint to deliver to: a `webhooks_sdk.sandbox.Subscriber` for this test alone."""
    with _explaining_a_missing_extra():
        from webhooks_sdk.sandbox import Subscriber  # noqa: PLC0415 - see above
    with Subscriber() as subscriber:
        yield subscriber


@contextmanager
def _explaining_a_missing_extra() -> Generator[None]:
    try:
        yield
    except ImportError as error:
        # The message says what to install. Any other failure is better told in full.
        if isinstance(error.__cause__, ModuleNotFoundError):
            pytest.fail(str(error), pytrace=False)
        raise
