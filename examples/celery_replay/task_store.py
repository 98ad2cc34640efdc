"""The permits and replies of tasks, which are stored in Redis next to the messages of Celery.

A broker can deliver a message twice, if a connection is lost during publication or before the
worker acknowledges the message. A permit can be taken only once, by deleting its key. There is one
per request: either the worker takes it to send the request, or the coordinator takes it to withdraw
the task.

Each reply is stored in a separate list, so that several threads can wait at once, each on its own
connection. (Celery's result backend waits on a single pub/sub connection, which supports neither
concurrent waiting threads nor results that are garbage-collected in another thread.)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from celery_replay.settings import Settings

_MAX_WAIT = 5.0
_EXPIRY_MARGIN = 60.0


class TaskStore:
    """The permits and replies of tasks. Thread-safe, and usable after a fork.

    Every method raises `redis.RedisError` if Redis cannot be reached.

    Args:
        settings: The Redis server, the prefix of the keys, and the timeouts.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.queue
        # Longer than the coordinator waits, so that a permit does not expire before its withdrawal.
        self._permit_ms = _milliseconds(settings.queue_seconds + _EXPIRY_MARGIN)
        self._reply_ms = _milliseconds(settings.reply_seconds + _EXPIRY_MARGIN)
        self._redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped kwargs
            settings.redis_url,
            socket_connect_timeout=5.0,
            # Longer than the longest wait for a reply, which Redis ends itself.
            socket_timeout=3 * _MAX_WAIT,
            retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), retries=5),
        )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def grant_permit(self, task_id: str) -> None:
        """Create the permit of a task, which allows one request."""
        self._redis.set(self._permit_key(task_id), b"", px=self._permit_ms)

    def take_permit(self, task_id: str) -> bool:
        """Take the permit of a task.

        Returns:
            Whether this caller has taken the permit, so that no other can. False may also mean that
            it was taken by this call, but the connection was lost before the confirmation.
        """
        return self._redis.delete(self._permit_key(task_id)) == 1

    def send_reply(self, task_id: str, text: str) -> None:
        """Send the reply of a task to the coordinator."""
        key = self._reply_key(task_id)
        with self._redis.pipeline() as pipeline:  # pyright: ignore[reportUnknownMemberType] - an untyped default
            pipeline.rpush(key, text)
            # In case the coordinator has died and does not read it.
            pipeline.pexpire(key, self._reply_ms)
            pipeline.execute()

    def wait_for_reply(self, task_id: str, seconds: float) -> str | None:
        """Wait for the reply of a task.

        Args:
            task_id: The task.
            seconds: Maximum time to wait.

        Returns:
            The reply, or None if there was none in time.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            found = self._redis.blpop([self._reply_key(task_id)], timeout=min(left, _MAX_WAIT))
            if found is not None:
                _, text = cast("tuple[bytes, bytes]", found)
                return text.decode()
        return None

    def _permit_key(self, task_id: str) -> str:
        return f"{self._prefix}:permit:{task_id}"

    def _reply_key(self, task_id: str) -> str:
        return f"{self._prefix}:reply:{task_id}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
