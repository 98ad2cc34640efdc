"""The requests that a subscriber received."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from webhooks_sdk._receiving.delivery import Delivery
from webhooks_sdk._receiving.signing import Secrets


@frozen(kw_only=True)
class ReceivedDelivery:
    """One HTTP request that a `Subscriber` received.

    Attributes:
        method: The HTTP method, `"POST"` for a delivery.
        path: The path without the query string.
        headers: The headers. Names are case-insensitive.
        body: The raw body, over which the signature is computed.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(hash=False)
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - a caller knows what it published
        """Return the body parsed as JSON, typed as `Any` so that it can be indexed.

        Raises:
            ValueError: The body is not valid JSON.
        """
        return json.loads(self.body)

    def verify(self, secret: Secrets | None) -> Delivery:
        """Verify the signature, and return the request as a `Delivery`.

        Args:
            secret: The secret of the subscription, or several while it is being rotated; None if
                the subscription has no secret.

        Raises:
            SignatureVerificationError: The signature is missing or wrong, or there is one but
                `secret` is None.
            DeliveryError: The request is not a valid delivery.
            ConfigurationError: `secret` has no entries, or one that is empty or not UTF-8 text.
        """
        return Delivery.from_http(self.headers, self.body, secret=secret)
