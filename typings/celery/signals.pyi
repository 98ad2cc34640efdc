from collections.abc import Callable
from typing import TypeVar

_F = TypeVar("_F", bound=Callable[..., None])

class _Signal:
    def connect(self, receiver: _F) -> _F: ...

task_failure: _Signal
worker_init: _Signal
worker_process_shutdown: _Signal
worker_shutdown: _Signal
