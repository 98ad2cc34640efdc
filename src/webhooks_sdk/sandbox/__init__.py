"""A local server for the webhook service, over real HTTP, for offline development and tests.

`Sandbox` is the service, `Subscriber` an endpoint for its deliveries:

    with Sandbox() as sandbox, Subscriber() as subscriber:
        ...  # create a client for sandbox.base_url and sandbox.token_url, subscribe subscriber.url
        sandbox.publish("application_form:quoted", {"id": "1"})
        subscriber.wait_for(1)

For pytest, the fixtures `webhooks_sandbox` and `webhooks_subscriber` provide both to each test: see
docs/testing.md. On the command line, run `python -m webhooks_sdk.sandbox`.

Requires the extra: `pip install 'webhooks-sdk[sandbox]'`.
"""

from webhooks_sdk._public import set_public_module

try:
    from webhooks_sdk.sandbox._http.faults import Fault
    from webhooks_sdk.sandbox._records import (
        AttemptCount,
        AttemptPage,
        DeliveryAttempt,
        PendingRetry,
        ReceivedRequest,
        Subscription,
    )
    from webhooks_sdk.sandbox._sandbox import Sandbox
    from webhooks_sdk.sandbox._storage.database import SandboxDatabaseError
    from webhooks_sdk.sandbox._subscriber.received import ReceivedDelivery
    from webhooks_sdk.sandbox._subscriber.subscriber import Subscriber
    from webhooks_sdk.sandbox._tenant import Tenant
    from webhooks_sdk.sandbox._variants import Variants
except ModuleNotFoundError as _error:
    _missing = (_error.name or "").partition(".")[0]
    if _missing not in {"h11", "jinja2", "starlette", "uvicorn"}:
        raise
    raise ImportError(
        f"webhooks_sdk.sandbox needs {_missing}: pip install 'webhooks-sdk[sandbox]'",
        name=_missing,
    ) from _error

__all__ = [
    "AttemptCount",
    "AttemptPage",
    "DeliveryAttempt",
    "Fault",
    "PendingRetry",
    "ReceivedDelivery",
    "ReceivedRequest",
    "Sandbox",
    "SandboxDatabaseError",
    "Subscriber",
    "Subscription",
    "Tenant",
    "Variants",
]

set_public_module(__name__, __all__, globals())
