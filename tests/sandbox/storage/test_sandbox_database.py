"""Database files: state is restored, and other files are rejected."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, SandboxDatabaseError, Subscriber, Variants
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)
FIRST_VERSION = Path(__file__).parents[2] / "samples" / "sandbox" / "schema_1.sql"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.sqlite"


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


def test_the_state_is_restored(file: Path, subscriber: Subscriber) -> None:
    subscriber.status = 500
    with Sandbox(database=file, variants="shuffled") as before, SandboxClient(before) as client:
        staging = before.add_tenant("staging")
        row = client.subscribe(subscriber.url, secret="s", header="X-Key: v")
        (attempt,) = before.publish(EVENT, {"n": 1})
        before.advance(timedelta(days=2))
        token = client.headers["authorization"]
        attempts, requests, now = before.attempts, before.requests, before.now
        pending = before.pending_retries

    with Sandbox(database=file) as after:
        assert (after.client_id, after.client_secret) == (before.client_id, before.client_secret)
        assert after.tenant_id == before.tenant_id
        assert after.attempts == attempts
        assert after.requests == requests
        assert after.variants == Variants.named("shuffled")
        assert after.event_body(attempt.event_id) == b'{"n": 1}'
        assert timedelta() <= after.now - now < MINUTE
        (found,) = after.tenants[1:]
        assert (found.client_id, found.environment) == (staging.client_id, "staging")
        headers = {"Authorization": token}
        response = httpx.get(f"{after.base_url}/hooks/{row['id']}", headers=headers)
        assert response.json() == row

        # Time continues where it stopped.
        assert [retry.retry for retry in after.pending_retries] == [
            retry.retry for retry in pending
        ]
        (next_retry,) = after.pending_retries
        assert after.advance(next_retry.due_at - after.now - MINUTE) == ()
        subscriber.status = 200
        (retry,) = after.advance(2 * MINUTE)
        assert (retry.retry, retry.delivered) == (next_retry.retry, True)
        with SandboxClient(after) as client:
            assert client.redeliver(attempt)["response_status"] == 200


def test_given_credentials_replace_the_stored_ones(file: Path) -> None:
    with Sandbox(database=file) as first:
        first.add_tenant(client_id="other")
    with Sandbox(database=file, client_id="me", client_secret="s") as second:
        assert second.tenant_id == first.tenant_id
        SandboxClient(second).close()
    assert Sandbox(database=file).client_id == "me"


def test_the_client_id_of_another_tenant_is_rejected(file: Path) -> None:
    with Sandbox(database=file) as first:
        first.add_tenant(client_id="other")
    with pytest.raises(ValueError, match="'other'"):
        Sandbox(database=file, client_id="other")
    # The file is not locked.
    with Sandbox(database=file) as again:
        assert again.client_id == first.client_id


def test_the_data_of_a_closed_tenant_is_deleted(file: Path) -> None:
    with Sandbox(database=file) as sandbox, sandbox.add_tenant(client_id="closed") as tenant:
        with SandboxClient(tenant) as client:
            client.subscribe("http://127.0.0.1:9/", secret="find me")
        tenant.publish(EVENT, {})
    with closing(sqlite3.connect(file)) as connection:
        for table in ("subscriptions", "events", "attempts", "tokens", "requests"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
        assert connection.execute("SELECT count(*) FROM tenants").fetchone() == (1,)


def test_a_closed_sandbox_unlocks_the_file_and_can_still_read_it(
    file: Path, subscriber: Subscriber
) -> None:
    with Sandbox(database=file) as sandbox, SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        published = sandbox.publish(EVENT, {})
    assert sandbox.attempts == published
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    with Sandbox(database=file) as other:
        assert other.attempts == published
        with pytest.raises(SandboxDatabaseError, match="in use"):
            _ = sandbox.attempts
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.expire_tokens()
    file.unlink()
    with pytest.raises(SandboxDatabaseError, match="cannot be"):
        _ = sandbox.attempts
    assert not file.exists()


def test_a_second_sandbox_on_the_same_file_is_rejected(file: Path) -> None:
    with Sandbox(database=file) as first:
        with pytest.raises(SandboxDatabaseError, match="in use by another sandbox"):
            Sandbox(database=file)
        assert first.attempts == ()
    Sandbox(database=str(file))


def test_a_sandbox_that_cannot_listen_unlocks_the_file(file: Path) -> None:
    with Sandbox() as other:
        port = int(other.base_url.rpartition(":")[2])
        sandbox = Sandbox(database=file, port=port)
        with pytest.raises(OSError, match="in use"):
            sandbox.__enter__()
    with Sandbox(database=file):
        pass


def test_closing_an_unused_sandbox_unlocks_the_file(file: Path) -> None:
    sandbox = Sandbox(database=file)
    sandbox.close()
    with pytest.raises(RuntimeError, match="once"):
        sandbox.__enter__()
    with Sandbox(database=file) as other:
        other.close()
        third = Sandbox(database=file)
    third.close()


def test_the_database_of_another_program_is_rejected_unchanged(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE tenants (name)")
        connection.commit()
    content = file.read_bytes()
    with pytest.raises(SandboxDatabaseError, match="another program") as caught:
        Sandbox(database=file)
    assert str(file) in str(caught.value)
    assert file.read_bytes() == content


def test_a_file_of_a_newer_version_is_rejected_unchanged(file: Path) -> None:
    Database(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 999")
    content = file.read_bytes()
    with pytest.raises(SandboxDatabaseError, match="newer version"):
        Sandbox(database=file)
    assert file.read_bytes() == content


@pytest.mark.parametrize("version", [0, -1])
def test_a_file_without_a_valid_schema_version_is_rejected_unchanged(
    file: Path, version: int
) -> None:
    Database(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    content = file.read_bytes()
    with pytest.raises(SandboxDatabaseError, match="is not a database of the sandbox") as caught:
        Sandbox(database=file)
    assert f"schema version is {version}," in str(caught.value)
    assert "newer" not in str(caught.value)
    assert file.read_bytes() == content


def create_first_version(file: Path, extra: str = "") -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST_VERSION.read_text("utf-8") + extra)


def schema_of(file: Path) -> set[tuple[str, str, str]]:
    """Return the type, name and SQL of everything in a schema, without comments and layout."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {
        (
            kind,
            name,
            re.sub(r"\s*([(),])\s*", r"\1", " ".join(re.sub("--.*", "", sql or "").split())),
        )
        for kind, name, sql in rows
    }


def test_a_migrated_file_has_the_schema_of_a_new_one(file: Path) -> None:
    create_first_version(file)
    new = file.with_name("new.sqlite")
    for path in (file, new):
        Database(path).close()
    assert schema_of(file) == schema_of(new)
    pragmas: list[list[object]] = []
    for path in (file, new):
        with closing(sqlite3.connect(path)) as connection:
            names = ("user_version", "application_id", "journal_mode")
            pragmas.append([connection.execute(f"PRAGMA {name}").fetchone() for name in names])
    assert pragmas[0] == pragmas[1]


def test_a_migration_that_fails_midway_leaves_the_file_unchanged(file: Path) -> None:
    # The second statement of the migration fails, since the column exists.
    create_first_version(file, "ALTER TABLE attempts ADD COLUMN response_body BLOB;")
    content = file.read_bytes()
    for _ in range(2):
        with pytest.raises(SandboxDatabaseError, match="duplicate column name: response_body"):
            Sandbox(database=file)
        assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_of_the_first_version_is_migrated(file: Path, subscriber: Subscriber) -> None:
    create_first_version(file)
    subscriber.status = 503
    # The retry is pending when the file is opened first, and has run when it is opened again.
    for retried in ([b""], []):
        with Sandbox(database=file) as sandbox:
            delivered, failed = sandbox.attempts[:2]
            assert (delivered.event, delivered.status) == ("application_form:quoted", 200)
            assert (failed.event, failed.status) == ("quote_request:failed", 503)
            assert (delivered.response_body, delivered.response_text) == (None, None)
            page = httpx.get(f"{sandbox.base_url}/inspector/events/{delivered.event_id}")
            assert "Response</h3>" not in page.text
            (hook,) = sandbox.subscriptions
            with SandboxClient(sandbox) as client:
                client.patch(f"/hooks/{hook.id}", json={"url": subscriber.url})
            retries = sandbox.advance(timedelta(seconds=15))
            assert [retry.response_body for retry in retries] == retried
            (retry,) = sandbox.attempts[2:]
            assert (retry.retry, retry.response_body, retry.response_size) == (1, b"", 0)


def test_variants_of_an_earlier_version_are_migrated(file: Path) -> None:
    stored = (
        '{"create_status": 200, "unanswered": "missing", "order": "oldest_first",'
        ' "listed": 25, "rows": "events", "redelivery": "answers_early"}'
    )
    with Sandbox(database=file):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE tenants SET variants = ?", (stored,))
        connection.execute("PRAGMA user_version = 2")
    for _ in range(2):
        with Sandbox(database=file) as sandbox:
            assert sandbox.variants == Variants.named("all_different")


@pytest.mark.parametrize("content", [b"not a database, but text\n" * 10, b"\0" * 5000])
def test_a_file_that_is_not_a_database_is_rejected_unchanged(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SandboxDatabaseError, match="not an SQLite database"):
        Sandbox(database=file)
    assert file.read_bytes() == content


def test_an_empty_file_is_accepted(file: Path) -> None:
    file.touch()
    with Sandbox(database=file) as sandbox:
        assert sandbox.attempts == ()
    assert file.stat().st_size > 0


def test_a_file_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "such.sqlite", tmp_path):
        with pytest.raises(SandboxDatabaseError, match="cannot be opened"):
            Sandbox(database=path)


def test_a_database_in_memory_writes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for database in (None, ":memory:"):
        with Sandbox(database=database) as sandbox:
            assert sandbox.attempts == ()
    assert list(tmp_path.iterdir()) == []


KILLED = """
    import os, signal, sys, threading
    from support.sandbox_helpers import SandboxClient
    from webhooks_sdk.sandbox import Sandbox

    with Sandbox(database=sys.argv[1]) as sandbox, SandboxClient(sandbox) as client:
        client.subscribe(sys.argv[2])
        threading.Thread(target=sandbox.publish, args=("carrier", {}), daemon=True).start()
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_attempts_interrupted_by_a_kill_fail_and_are_retried(
    file: Path, subscriber: Subscriber
) -> None:
    subscriber.delay = 600
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", textwrap.dedent(KILLED), str(file), subscriber.url],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as killed:
        subscriber.wait_for(1, timeout=30)
        killed.communicate(b"\n")
    subscriber.delay = 0
    with Sandbox(database=file) as sandbox:
        (interrupted,) = sandbox.attempts
        assert "stopped before" in (interrupted.error or "")
        assert interrupted.finished_at is not None
        (retry,) = sandbox.advance(timedelta(seconds=15))
        assert (retry.retry, retry.delivered) == (1, True)


def test_the_schedule_does_not_advance_while_no_sandbox_runs(
    file: Path, subscriber: Subscriber
) -> None:
    subscriber.status = 500
    with Sandbox(database=file, real_time=True) as sandbox, SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        sandbox.publish(EVENT, {})
        sandbox.advance(timedelta(seconds=10))
    # The schedule runs briefly each time, and that time is saved.
    delays: list[timedelta] = []
    for _ in range(3):
        with Sandbox(database=file, real_time=True) as sandbox:
            (pending,) = sandbox.pending_retries
            delays.append(pending.due_at - sandbox.now)
    assert timedelta(seconds=5) > delays[0] > delays[1] > delays[2] > timedelta()


def test_transactions_are_atomic(file: Path) -> None:
    database = Database(file)
    insert = (
        "INSERT INTO tenants (id, environment, client_id, client_secret, owner_id, variants)"
        " VALUES ('1', 'staging', 'a', 'b', '2', '{}')"
    )

    def fail() -> None:
        with database.transaction():
            database.execute(insert)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert database.rows("SELECT * FROM tenants") == []
    with database.transaction():
        database.execute(insert)
    database.close()
    assert len(Database(file).rows("SELECT * FROM tenants")) == 1
