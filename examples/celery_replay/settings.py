"""The settings shared by the coordinator and the workers, from environment variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_SECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings shared by the coordinator and the workers.

    Attributes:
        redis_url: The Redis server that is the broker and holds the permits and the replies.
        queue: The queue of the tasks, and the prefix of all other keys.
        queue_seconds: Seconds that a task may wait for a worker before it is withdrawn.
        reply_seconds: Seconds that a worker may take before the outcome of a task is unknown.
            Should exceed the client's deadline of 120.
    """

    redis_url: str = field(repr=False)  # may contain a password
    queue: str = "redeliver"
    queue_seconds: float = 60.0
    reply_seconds: float = 180.0

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Self:
        """Read `REPLAY_REDIS_URL`, `REPLAY_QUEUE`, `REPLAY_QUEUE_SECONDS`, `REPLAY_REPLY_SECONDS`.

        Args:
            variables: The environment, such as `os.environ`. Only the first variable is required.
                Empty variables count as unset.

        Raises:
            ConfigurationError: A variable is missing or invalid.
        """
        url = variables.get("REPLAY_REDIS_URL")
        if not url:
            raise ConfigurationError(
                "REPLAY_REDIS_URL is not set: set it to the Redis server of the coordinator and the"
                " workers, such as redis://127.0.0.1:6379/0."
            )
        return cls(
            redis_url=url,
            queue=variables.get("REPLAY_QUEUE") or cls.queue,
            queue_seconds=_seconds(variables, "REPLAY_QUEUE_SECONDS", cls.queue_seconds),
            reply_seconds=_seconds(variables, "REPLAY_REPLY_SECONDS", cls.reply_seconds),
        )


def _seconds(variables: Mapping[str, str], name: str, default: float) -> float:
    text = variables.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_SECONDS:
        raise ConfigurationError(
            f"{name} must be a number of seconds greater than 0 and at most {_MAX_SECONDS:,},"
            f" got {text!r}."
        )
    return seconds
