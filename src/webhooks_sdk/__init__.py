"""A typed client for the Hookshot webhook service: redeliver missed events and receive new ones.

```python
from webhooks_sdk import Client, ClientCredentials

with Client(ClientCredentials(client_id, client_secret), environment="staging") as client:
    event = client.hooks.redeliver(hook_id, request_id)
```
"""

from webhooks_sdk._async_hooks import AsyncHooks
from webhooks_sdk._client import AsyncClient, Client
from webhooks_sdk._core.environments import Environment, EnvironmentLike
from webhooks_sdk._core.responses import APIResponse
from webhooks_sdk._core.retries import RetryEvent, RetryPolicy
from webhooks_sdk._core.tokens import (
    AsyncAuth,
    AsyncTokenProvider,
    Auth,
    ClientCredentials,
    TokenProvider,
)
from webhooks_sdk._hooks import Hooks
from webhooks_sdk._models import (
    AccessToken,
    SubscriptionConfig,
    WebhookEvent,
    WebhookSubscription,
)
from webhooks_sdk._public import set_public_module
from webhooks_sdk._receiving.delivery import Delivery
from webhooks_sdk._receiving.router import DeliveryHandler, DeliveryRouter
from webhooks_sdk._receiving.signing import sign, verify_signature
from webhooks_sdk._version import __version__
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AttemptNotListedError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    DeliveryError,
    DeliveryTooLargeError,
    InternalServerError,
    InvalidArgumentError,
    JournalError,
    JournalLockedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplayError,
    ReplayStoppedError,
    ResponseDecodeError,
    SignatureVerificationError,
    UnprocessableEntityError,
    WebhooksError,
)
from webhooks_sdk.operations import UNSET, Operation, Safety, Unset

__all__ = [
    "UNSET",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIStatusError",
    "APITimeoutError",
    "AccessToken",
    "AsyncAuth",
    "AsyncClient",
    "AsyncHooks",
    "AsyncTokenProvider",
    "AttemptNotListedError",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ClientClosedError",
    "ClientCredentials",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "Delivery",
    "DeliveryError",
    "DeliveryHandler",
    "DeliveryRouter",
    "DeliveryTooLargeError",
    "Environment",
    "EnvironmentLike",
    "Headers",
    "Hooks",
    "InternalServerError",
    "InvalidArgumentError",
    "JournalError",
    "JournalLockedError",
    "NotFoundError",
    "Operation",
    "PermissionDeniedError",
    "RateLimitError",
    "ReplayError",
    "ReplayStoppedError",
    "ResponseDecodeError",
    "RetryEvent",
    "RetryPolicy",
    "Safety",
    "SignatureVerificationError",
    "SubscriptionConfig",
    "TokenProvider",
    "UnprocessableEntityError",
    "Unset",
    "WebhookEvent",
    "WebhookSubscription",
    "WebhooksError",
    "__version__",
    "sign",
    "verify_signature",
]

set_public_module(__name__, __all__, globals())
