"""The registry of tenants."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import asdict, evolve

from webhooks_sdk.sandbox._records import DEFAULT_TIMEOUTS, Account
from webhooks_sdk.sandbox._service.routes import PREFIXES
from webhooks_sdk.sandbox._service.service import Service
from webhooks_sdk.sandbox._variants import Variants

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk.sandbox._records import EnvironmentName, Timeouts
    from webhooks_sdk.sandbox._service.timeline import Clock
    from webhooks_sdk.sandbox._storage.database import Database


class TenantRegistry:
    """The tenants of a sandbox, loaded from the database.

    Args:
        database: The database.
        timeouts: The initial delivery timeouts of each tenant.
        clock: The source of real time.
        new_id: Returns a new UUID.
    """

    def __init__(
        self,
        database: Database,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self._database = database
        self._timeouts = timeouts
        self._clock = clock
        self._new_id = new_id
        self._services: dict[int, Service] = {}
        for row in database.rows(
            "SELECT number, id, owner_id, environment, client_id, client_secret FROM tenants"
            " ORDER BY number"
        ):
            service = self._add_service(
                Account(
                    number=row[0],
                    id=UUID(row[1]),
                    owner_id=UUID(row[2]),
                    environment=row[3],
                    client_id=row[4],
                    client_secret=row[5],
                )
            )
            service.fail_interrupted_attempts()

    @property
    def services(self) -> tuple[Service, ...]:
        """The service of each tenant, oldest first."""
        return tuple(self._services.values())

    @property
    def first(self) -> Service:
        """The service of the first tenant: the sandbox itself."""
        return next(iter(self._services.values()))

    def by_number(self, number: int) -> Service | None:
        """Return the tenant with a number; None if there is none."""
        return self._services.get(number)

    def by_client_id(self, environment: EnvironmentName, client_id: str) -> Service | None:
        """Return the tenant with a client ID in an environment; None if there is none."""
        for service in self.services:
            account = service.account
            if (account.environment, account.client_id) == (environment, client_id):
                return service
        return None

    def add(
        self, environment: EnvironmentName, client_id: str | None, client_secret: str | None
    ) -> Service:
        """Add a tenant.

        Args:
            environment: The environment of the tenant.
            client_id: Its client ID; generated if None.
            client_secret: Its client secret; generated if None.

        Raises:
            ValueError: The environment is unknown, another tenant of it has the client ID, or a
                credential is empty.
        """
        if environment not in PREFIXES:
            known = " or ".join(map(repr, PREFIXES))
            raise ValueError(f"environment must be {known}, got {environment!r}.")
        client_id, client_secret = _credentials(client_id, client_secret)
        id_, owner_id = self._new_id(), self._new_id()
        # Another thread may add the same client ID.
        with self._database.transaction():
            if self.by_client_id(environment, client_id) is not None:
                raise _duplicate_client_id(client_id)
            cursor = self._database.execute(
                "INSERT INTO tenants"
                " (id, owner_id, environment, client_id, client_secret, variants)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    str(id_),
                    str(owner_id),
                    environment,
                    client_id,
                    client_secret,
                    json.dumps(asdict(Variants())),
                ),
            )
            return self._add_service(
                Account(
                    number=cursor.lastrowid or 0,
                    id=id_,
                    owner_id=owner_id,
                    environment=environment,
                    client_id=client_id,
                    client_secret=client_secret,
                )
            )

    def ensure_first(self, client_id: str | None, client_secret: str | None) -> Service:
        """Return the first tenant with the given credentials; create it if there is none.

        Raises:
            ValueError: Another tenant has the client ID, or a credential is empty.
        """
        if not self._services:
            return self.add("production", client_id, client_secret)
        first = self.first
        client_id, client_secret = _credentials(
            first.account.client_id if client_id is None else client_id,
            first.account.client_secret if client_secret is None else client_secret,
        )
        if self.by_client_id(first.account.environment, client_id) not in {first, None}:
            raise _duplicate_client_id(client_id)
        first.account = evolve(first.account, client_id=client_id, client_secret=client_secret)
        self._database.execute(
            "UPDATE tenants SET client_id = ?, client_secret = ? WHERE number = ?",
            (client_id, client_secret, first.account.number),
        )
        return first

    def remove(self, service: Service) -> None:
        """Delete a tenant and all its data."""
        service.is_closed = True
        self._services.pop(service.account.number, None)
        key = (service.account.number,)
        self._database.execute("DELETE FROM tenants WHERE number = ?", key)
        service.changes.notify()

    def _add_service(self, account: Account) -> Service:
        service = Service(
            self._database,
            account,
            timeouts=self._timeouts,
            clock=self._clock,
            new_id=self._new_id,
        )
        self._services[account.number] = service
        return service


def _credentials(client_id: str | None, client_secret: str | None) -> tuple[str, str]:
    if client_id == "" or client_secret == "":
        raise ValueError(
            "client_id and client_secret must not be empty. Pass None to generate them."
        )
    return (
        client_id or f"sandbox-{secrets.token_hex(8)}",
        client_secret or secrets.token_urlsafe(32),
    )


def _duplicate_client_id(client_id: str) -> ValueError:
    return ValueError(f"Another tenant has the client ID {client_id!r}. Use a different one.")
