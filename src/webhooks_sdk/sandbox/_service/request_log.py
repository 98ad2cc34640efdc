"""The log of the HTTP requests to the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._clock import from_microseconds
from webhooks_sdk.sandbox._records import ReceivedRequest
from webhooks_sdk.sandbox._service.routes import TOKEN_PATHS

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._service.service import Service
    from webhooks_sdk.sandbox._storage.database import Database


class RequestLog:
    """A log of requests: tenant, method, path, and status of the response."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, service: Service, method: str, path: str) -> int:
        """Record a request, and return its number."""
        cursor = self._database.execute(
            "INSERT INTO requests (tenant, method, path, received_at) VALUES (?, ?, ?, ?)",
            (service.account.number, method, path, service.timeline.now()),
        )
        return cursor.lastrowid or 0

    def reassign(self, number: int, service: Service) -> None:
        """Move a request to the log of another tenant."""
        self._database.execute(
            "UPDATE requests SET tenant = ?, received_at = ? WHERE number = ?",
            (service.account.number, service.timeline.now(), number),
        )

    def set_status(self, number: int, status: int) -> None:
        """Record the status of the response."""
        self._database.execute("UPDATE requests SET status = ? WHERE number = ?", (status, number))

    def requests(self, account: Account) -> tuple[ReceivedRequest, ...]:
        """Return all requests of a tenant, in the order received."""
        rows = self._database.rows(
            "SELECT method, path, status, received_at FROM requests WHERE tenant = ?"
            " ORDER BY number",
            (account.number,),
        )
        return tuple(
            ReceivedRequest(
                method=row[0],
                path=row[1],
                status=row[2],
                received_at=from_microseconds(row[3]),
            )
            for row in rows
        )

    def count_token_requests(self, account: Account) -> int:
        """Return the number of token requests of a tenant."""
        placeholders = ", ".join("?" * len(TOKEN_PATHS))
        row = self._database.row(
            "SELECT count(*) FROM requests"  # noqa: S608 - placeholders only
            f" WHERE tenant = ? AND method = 'POST' AND path IN ({placeholders})",
            (account.number, *TOKEN_PATHS),
        )
        return 0 if row is None else int(row[0])
