"""What a journal keeps of an error is enough to make it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.journal_helpers import EVENT, HOOK, LATER, NOW, opened

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
from webhooks_sdk.replay._journal.errors import rebuild_error, record_of
from webhooks_sdk.replay._journal.rows import ErrorRecord

if TYPE_CHECKING:
    from pathlib import Path


def kept(path: Path, error: Exception, status: OutcomeStatus = OutcomeStatus.FAILED) -> APIError:
    """Write an error to a journal, and make it again from what the next run finds there."""
    with opened(path) as journal:
        for _ in range(3):
            journal.record_intent(HOOK, EVENT, NOW)
        journal.record_outcome(HOOK, EVENT, status, LATER, error=record_of(error))
    with opened(path) as journal:
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
def test_an_error_comes_back_as_what_it_was(tmp_path: Path, kind: type[APIError]) -> None:
    error = kind(
        "redeliver: 418 on the first try.",
        operation="redeliver",
        status=418,
        retry_after=2.5,
        headers=Headers([("X-Request-Id", "r-1")]),
        body="gone",
    )
    again = kept(tmp_path / "j", error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.operation, again.hook_id, again.request_id) == ("redeliver", HOOK, EVENT)
    assert (again.status, again.retry_after, again.attempts) == (418, 2.5, 3)
    assert (again.body, again.headers, again.outcome_unknown) == (None, Headers(), False)


def test_an_unknown_outcome_stays_unknown_and_is_said_once(tmp_path: Path) -> None:
    error = APITimeoutError("redeliver: timed out.", operation="redeliver", outcome_unknown=True)
    again = kept(tmp_path / "j", error, OutcomeStatus.UNKNOWN)
    assert again.outcome_unknown
    assert str(again) == str(error)


def test_what_is_no_error_of_the_sdk_is_told_as_one(tmp_path: Path) -> None:
    again = kept(tmp_path / "j", OSError("broker\nlost " + "x" * 5_000))
    assert type(again) is APIError
    assert str(again).startswith("OSError: broker lost xxx")
    assert len(str(again)) < 300


@pytest.mark.parametrize("name", ["ConfigurationError", "Headers", "Any", "__doc__", "exit", ""])
def test_no_name_in_a_journal_makes_anything_but_an_api_error(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / "j") as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        row = journal.find(HOOK, EVENT)
        assert row is not None
    again = rebuild_error(ErrorRecord(kind=name, message="m"), row)
    assert type(again) is APIError
    assert str(again).startswith(f"{name}: m")
