"""What a subscriber has received."""

import json
from collections.abc import Mapping

from attrs import field, frozen

from webhooks_sdk._receiving.delivery import Delivery
from webhooks_sdk._receiving.signing import Secrets


@frozen(kw_only=True)
class ReceivedDelivery:
    """One HTTP request that a `Subscriber` received.

    Attributes:
        method: `"POST"`, if it is a delivery.
        path: The path without the query string.
        headers: Its headers, looked up in any case.
        body: The raw body, over which a signature is computed.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(hash=False)
    body: bytes

    def json(self) -> object:
        """Return the body, parsed as JSON.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.body)

    def verified_with(self, secret: Secrets | None) -> Delivery:
        """Return the delivery that it is, its signature verified, as a subscriber should.

        Args:
            secret: The subscription's secret; several while one is being replaced; None if the
                subscription has no secret.

        Raises:
            SignatureVerificationError: The signature is missing or wrong, or there is one and no
                secret to check it with.
            DeliveryError: Anything else is wrong with the request.
            ConfigurationError: There is no secret in `secret`, or one that is empty or no UTF-8
                text.
        """
        return Delivery.from_http(self.headers, self.body, secret=secret)
