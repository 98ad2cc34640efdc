# The parts of Celery used by examples/celery_replay and its tests. Celery has no type hints.

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec

_P = ParamSpec("_P")

class _Request:
    id: str

class Task:
    request: _Request

class _Configuration:
    def update(self, **settings: object) -> None: ...

class _Inspect:
    def stats(self) -> dict[str, dict[str, Any]] | None: ...

class _Control:
    def inspect(self, destination: Sequence[str]) -> _Inspect: ...

class Celery:
    conf: _Configuration
    control: _Control
    def __init__(self, main: str, *, broker: str) -> None: ...
    def close(self) -> None: ...
    def send_task(
        self,
        name: str,
        args: Sequence[str],
        *,
        task_id: str,
        queue: str,
        ignore_result: bool,
        serializer: str = ...,
        kwargs: Mapping[str, object] = ...,
    ) -> object: ...
    def task(
        self, *, name: str, bind: bool
    ) -> Callable[[Callable[Concatenate[Task, _P], None]], Callable[_P, None]]: ...
