"""An error can be rebuilt from what a journal keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.journal_helpers import EVENT, HOOK, LATER, NOW, open_writer

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    Headers,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    ResponseDecodeError,
)
from webhooks_sdk.replay import OutcomeStatus
from webhooks_sdk.replay._journal.errors import rebuild_error, to_error_record
from webhooks_sdk.replay._journal.rows import ErrorRecord

if TYPE_CHECKING:
    from pathlib import Path


def rebuilt_from_journal(
    path: Path, error: Exception, status: OutcomeStatus = OutcomeStatus.FAILED
) -> APIError:
    """Write an error to a journal, and rebuild it in the next run."""
    with open_writer(path) as journal:
        for _ in range(3):
            journal.record_intent(HOOK, EVENT, NOW)
        journal.record_outcome(HOOK, EVENT, status, LATER, error=to_error_record(error))
    with open_writer(path) as journal:
        row = journal.find(HOOK, EVENT)
        assert row is not None
        assert row.error is not None
        return rebuild_error(row.error, row)


@pytest.mark.parametrize(
    "kind",
    [
        APIError,
        APIConnectionError,
        APITimeoutError,
        ResponseDecodeError,
        NotFoundError,
        RateLimitError,
        InternalServerError,
    ],
)
def test_an_error_keeps_its_class_and_attributes(tmp_path: Path, kind: type[APIError]) -> None:
    error = kind(
        "redeliver: 418 on the first try.",
        operation="redeliver",
        status=418,
        retry_after=2.5,
        headers=Headers([("X-Request-Id", "r-1")]),
        body="gone",
    )
    rebuilt = rebuilt_from_journal(tmp_path / "j", error)
    assert type(rebuilt) is kind
    assert str(rebuilt) == str(error)
    assert (rebuilt.operation, rebuilt.hook_id, rebuilt.request_id) == ("redeliver", HOOK, EVENT)
    assert (rebuilt.status, rebuilt.retry_after, rebuilt.attempts) == (418, 2.5, 3)
    assert (rebuilt.body, rebuilt.headers, rebuilt.outcome_unknown) == (None, Headers(), False)


def test_an_unknown_outcome_stays_unknown_and_is_mentioned_once(tmp_path: Path) -> None:
    error = APITimeoutError("redeliver: timed out.", operation="redeliver", outcome_unknown=True)
    rebuilt = rebuilt_from_journal(tmp_path / "j", error, OutcomeStatus.UNKNOWN)
    assert rebuilt.outcome_unknown
    assert str(rebuilt) == str(error)


def test_a_foreign_error_becomes_an_api_error(tmp_path: Path) -> None:
    rebuilt = rebuilt_from_journal(tmp_path / "j", OSError("broker\nlost " + "x" * 5_000))
    assert type(rebuilt) is APIError
    assert str(rebuilt).startswith("OSError: broker lost xxx")
    assert len(str(rebuilt)) < 300


@pytest.mark.parametrize("name", ["ConfigurationError", "Headers", "Any", "__doc__", "exit", ""])
def test_any_class_name_yields_an_api_error(tmp_path: Path, name: str) -> None:
    with open_writer(tmp_path / "j") as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        row = journal.find(HOOK, EVENT)
        assert row is not None
    rebuilt = rebuild_error(ErrorRecord(kind=name, message="m"), row)
    assert type(rebuilt) is APIError
    assert str(rebuilt).startswith(f"{name}: m")
