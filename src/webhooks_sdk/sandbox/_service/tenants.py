"""Who the tenants are."""

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
    """All tenants, those of the database included.

    Args:
        database: Where they are kept.
        timeouts: How long deliveries wait for a subscriber, unless a tenant says otherwise.
        clock: The real time.
        new_id: Returns a UUID that is new.
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
            found = self._open(
                Account(
                    number=row[0],
                    id=UUID(row[1]),
                    owner_id=UUID(row[2]),
                    environment=row[3],
                    client_id=row[4],
                    client_secret=row[5],
                )
            )
            found.recover()

    @property
    def services(self) -> tuple[Service, ...]:
        """The service as each tenant sees it, oldest first."""
        return tuple(self._services.values())

    @property
    def first(self) -> Service:
        """The oldest tenant, which is the sandbox's own."""
        return next(iter(self._services.values()))

    def with_number(self, number: int) -> Service | None:
        """Return the tenant with a number, None if there is none."""
        return self._services.get(number)

    def with_client_id(self, environment: EnvironmentName, client_id: str) -> Service | None:
        """Return the tenant with a client id in an environment, None if there is none."""
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
            environment: Where it is.
            client_id: Its client id; generated if None.
            client_secret: The secret that belongs to it; generated if None.

        Raises:
            ValueError: There is no such environment, another tenant of it has the client id, or
                one of the credentials is empty.
        """
        if environment not in PREFIXES:
            known = " or ".join(map(repr, PREFIXES))
            raise ValueError(f"environment must be {known}, not {environment!r}.")
        client_id, client_secret = _credentials(client_id, client_secret)
        id_, owner_id = self._new_id(), self._new_id()
        # Two threads may have the same idea.
        with self._database.transaction():
            if self.with_client_id(environment, client_id) is not None:
                raise _taken(client_id)
            cursor = self._database.write(
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
            return self._open(
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
        """Return the first tenant, made if there is none, with the credentials that are given.

        Raises:
            ValueError: Another tenant has the client id, or one of the credentials is empty.
        """
        if not self._services:
            return self.add("production", client_id, client_secret)
        first = self.first
        client_id, client_secret = _credentials(
            first.account.client_id if client_id is None else client_id,
            first.account.client_secret if client_secret is None else client_secret,
        )
        if self.with_client_id(first.account.environment, client_id) not in {first, None}:
            raise _taken(client_id)
        first.account = evolve(first.account, client_id=client_id, client_secret=client_secret)
        self._database.write(
            "UPDATE tenants SET client_id = ?, client_secret = ? WHERE number = ?",
            (client_id, client_secret, first.account.number),
        )
        return first

    def remove(self, service: Service) -> None:
        """Forget a tenant and everything of it."""
        service.is_closed = True
        self._services.pop(service.account.number, None)
        key = (service.account.number,)
        self._database.write("DELETE FROM tenants WHERE number = ?", key)
        service.changes.notify()

    def _open(self, account: Account) -> Service:
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
        raise ValueError("client_id and client_secret must not be empty; None generates them.")
    return (
        client_id or f"sandbox-{secrets.token_hex(8)}",
        client_secret or secrets.token_urlsafe(32),
    )


def _taken(client_id: str) -> ValueError:
    return ValueError(f"There is a tenant with the client id {client_id!r} already.")
