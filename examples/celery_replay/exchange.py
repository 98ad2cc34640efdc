"""What the coordinator and the workers tell each other in Redis, beside the messages of Celery.

A broker can deliver a message twice: a connection is lost while it is published, or a worker before
it acknowledges. A permit cannot be taken twice. There is one for each request, and whoever deletes
it has it: the worker that sends the request, or the coordinator that withdraws it.

A reply is an element of a list of its own, so that many threads can wait, each on a connection of
its own. (The consumer of Celery's result backend is one pub/sub connection, which is not made for
threads that wait at once; nor for a result that is collected as garbage in another thread.)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from celery_replay.settings import Settings

_LONGEST_WAIT = 5.0
_MARGIN = 60.0


class Exchange:
    """Permits and replies. It can be used from several threads, and after a fork.

    Every method raises `redis.RedisError` if Redis cannot be reached.

    Args:
        settings: Where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.queue
        # It lasts longer than the coordinator waits, so that none expires that could be withdrawn.
        self._permit_ms = _milliseconds(settings.queue_seconds + _MARGIN)
        self._reply_ms = _milliseconds(settings.answer_seconds + _MARGIN)
        self._redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped kwargs
            settings.redis_url,
            socket_connect_timeout=5.0,
            # More than the longest wait for a reply, which Redis ends itself.
            socket_timeout=3 * _LONGEST_WAIT,
            retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), retries=5),
        )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def grant(self, task_id: str) -> None:
        """Permit one request for a task."""
        self._redis.set(self._permit(task_id), b"", px=self._permit_ms)

    def take(self, task_id: str) -> bool:
        """Take the permit of a task.

        Returns:
            Whether this caller has it, and nobody else ever will. False can also mean that the
            connection was lost just after it was taken: then nobody has it.
        """
        return self._redis.delete(self._permit(task_id)) == 1

    def reply(self, task_id: str, text: str) -> None:
        """Tell the coordinator what came of a task."""
        key = self._reply(task_id)
        with self._redis.pipeline() as pipeline:  # pyright: ignore[reportUnknownMemberType] - an untyped default
            pipeline.rpush(key, text)
            # Nobody takes it if the coordinator has died.
            pipeline.pexpire(key, self._reply_ms)
            pipeline.execute()

    def wait(self, task_id: str, seconds: float) -> str | None:
        """Wait for the reply of a task.

        Args:
            task_id: The task.
            seconds: How long to wait at most.

        Returns:
            The reply; None if there was none in time.
        """
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            found = self._redis.blpop([self._reply(task_id)], timeout=min(left, _LONGEST_WAIT))
            if found is not None:
                _, text = cast("tuple[bytes, bytes]", found)
                return text.decode()
        return None

    def _permit(self, task_id: str) -> str:
        return f"{self._prefix}:permit:{task_id}"

    def _reply(self, task_id: str) -> str:
        return f"{self._prefix}:reply:{task_id}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
