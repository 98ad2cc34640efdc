"""The log of the HTTP requests that the API has received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._clock import moment
from webhooks_sdk.sandbox._records import ReceivedRequest
from webhooks_sdk.sandbox._service.routes import TOKEN_PATHS

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._service.service import Service
    from webhooks_sdk.sandbox._storage.database import Database


class RequestLog:
    """Keeps for each request whose it was, what it asked for, and the status of the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, service: Service, method: str, path: str) -> int:
        """Record that a request has come, and return its number."""
        cursor = self._database.write(
            "INSERT INTO requests (tenant, method, path, received_at) VALUES (?, ?, ?, ?)",
            (service.account.number, method, path, service.timeline.now()),
        )
        return cursor.lastrowid or 0

    def assign(self, number: int, service: Service) -> None:
        """Record that a request turned out to be another tenant's."""
        self._database.write(
            "UPDATE requests SET tenant = ?, received_at = ? WHERE number = ?",
            (service.account.number, service.timeline.now(), number),
        )

    def finish(self, number: int, status: int) -> None:
        """Record the status of the answer."""
        self._database.write("UPDATE requests SET status = ? WHERE number = ?", (status, number))

    def requests(self, account: Account) -> tuple[ReceivedRequest, ...]:
        """Return every request of a tenant, in the order in which they came."""
        rows = self._database.rows(
            "SELECT method, path, status, received_at FROM requests WHERE tenant = ?"
            " ORDER BY number",
            (account.number,),
        )
        return tuple(
            ReceivedRequest(method=row[0], path=row[1], status=row[2], received_at=moment(row[3]))
            for row in rows
        )

    def count_token_requests(self, account: Account) -> int:
        """Return how many access tokens a tenant has asked for."""
        places = ", ".join("?" * len(TOKEN_PATHS))
        row = self._database.row(
            "SELECT count(*) FROM requests"  # noqa: S608 - nothing but question marks
            f" WHERE tenant = ? AND method = 'POST' AND path IN ({places})",
            (account.number, *TOKEN_PATHS),
        )
        return 0 if row is None else int(row[0])
