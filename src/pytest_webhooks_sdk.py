"""The pytest plugin of webhooks-sdk: the fixtures `webhooks_sandbox` and `webhooks_subscriber`.

pytest imports this module at every start, even if no test uses it. It is therefore outside the
package, and imports the package only when a fixture is used.
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
    """Run the server that all `webhooks_sandbox` fixtures of this process share."""
    with _explain_missing_extra():
        from webhooks_sdk.sandbox import Sandbox  # noqa: PLC0415 - see above
    with Sandbox() as server:
        yield server


@pytest.fixture
def webhooks_sandbox(_webhooks_server: Sandbox) -> Generator[Tenant]:
    """A `webhooks_sdk.sandbox.Tenant` of a local sandbox, for one test.

    Create a client with its `base_url`, `token_url`, `client_id` and `client_secret`. The test
    fails if the sandbox itself fails.
    """
    with _webhooks_server.add_tenant() as tenant:
        yield tenant
    _webhooks_server.raise_failures()


@pytest.fixture
def webhooks_subscriber() -> Generator[Subscriber]:
    """A `webhooks_sdk.sandbox.Subscriber`, an endpoint for deliveries, for one test."""
    with _explain_missing_extra():
        from webhooks_sdk.sandbox import Subscriber  # noqa: PLC0415 - see above
    with Subscriber() as subscriber:
        yield subscriber


@contextmanager
def _explain_missing_extra() -> Generator[None]:
    try:
        yield
    except ImportError as error:
        # The message says what to install. Any other ImportError keeps its traceback.
        if isinstance(error.__cause__, ModuleNotFoundError):
            pytest.fail(str(error), pytrace=False)
        raise
