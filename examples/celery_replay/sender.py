"""The `send` function of the coordinator, which delegates to a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from kombu.exceptions import OperationalError
from redis import RedisError

from celery_replay.app import TASK
from celery_replay.replies import decode_reply
from webhooks_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
)

if TYPE_CHECKING:
    from celery import Celery

    from celery_replay.settings import Settings
    from celery_replay.task_store import TaskStore
    from webhooks_sdk import WebhookEvent
    from webhooks_sdk.replay import Target


class WorkerSender:
    """Redelivers events through the workers: the `send` of a `Replay`. Thread-safe.

    Args:
        app: The Celery app.
        task_store: The permits and the replies.
        settings: The queue and the timeouts.
        base_url: The base URL of the API, which must be the one that the workers use.
    """

    def __init__(
        self, app: Celery, task_store: TaskStore, settings: Settings, *, base_url: str
    ) -> None:
        self._app = app
        self._task_store = task_store
        self._settings = settings
        self._base_url = base_url

    def __call__(self, target: Target) -> WebhookEvent:
        """Redeliver one event, at most once. Returns or raises even if the worker dies.

        Args:
            target: The event.

        Returns:
            The delivery attempt that the service returned to the worker.

        Raises:
            APIError: As raised by the worker's client.
            APIConnectionError: No worker took the task, which was withdrawn. Nothing was sent.
            APITimeoutError: The worker did not reply, or the connection to Redis was lost. The
                outcome is unknown.
            ConfigurationError: Redis cannot be reached, or the worker uses another API. Nothing was
                sent.
        """
        task_id = str(uuid4())
        try:
            self._task_store.grant_permit(task_id)
        except RedisError as error:
            # Stops the run, and does not count as an attempt.
            raise ConfigurationError(
                f"Redis cannot be reached: {error}. Nothing was sent. Check REPLAY_REDIS_URL."
            ) from error
        try:
            self._publish(task_id, target)
            reply = self._task_store.wait_for_reply(task_id, self._settings.queue_seconds)
            if reply is None and self._task_store.take_permit(task_id):
                raise self._withdrawn_error(target)
            if reply is None:
                reply = self._task_store.wait_for_reply(task_id, self._settings.reply_seconds)
        except (RedisError, OperationalError) as error:
            raise _unknown_error(target, f"The connection to Redis was lost: {error}") from error
        if reply is None:
            raise _unknown_error(
                target,
                "A worker took the task but did not reply within"
                f" {self._settings.reply_seconds:g} s: it may have died.",
            )
        return decode_reply(reply, target)

    def _publish(self, task_id: str, target: Target) -> None:
        try:
            self._app.send_task(
                TASK,
                (str(target.hook_id), str(target.request_id), self._base_url),
                task_id=task_id,
                queue=self._settings.queue,
                ignore_result=True,
            )
        except OperationalError as error:
            # The message may be in the queue all the same, but has no effect without its permit.
            if not self._task_store.take_permit(task_id):
                return
            raise _unsent_error(target, f"The task could not be queued: {error}") from error

    def _withdrawn_error(self, target: Target) -> APIConnectionError:
        return _unsent_error(
            target,
            f"No worker took the task within {self._settings.queue_seconds:g} s, so it was"
            f" withdrawn: start more workers on the queue {self._settings.queue!r}, or reduce the"
            " concurrency.",
        )


def _unsent_error(target: Target, message: str) -> APIConnectionError:
    return APIConnectionError(
        message, operation="redeliver", hook_id=target.hook_id, request_id=target.request_id
    )


def _unknown_error(target: Target, message: str) -> APITimeoutError:
    return APITimeoutError(
        message,
        operation="redeliver",
        hook_id=target.hook_id,
        request_id=target.request_id,
        attempts=1,
        outcome_unknown=True,
    )
