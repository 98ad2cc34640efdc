"""The coordinator of a replay: `python -m celery_replay.coordinator --help`.

It runs the replay, with its journal, rate limiter and circuit breaker. The workers only send.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from celery_replay.app import make_app
from celery_replay.sender import WorkerSender
from celery_replay.settings import Settings
from celery_replay.task_store import TaskStore
from webhooks_sdk import Client, operations
from webhooks_sdk.errors import ReplayStoppedError, WebhooksError
from webhooks_sdk.replay import Progress, Recovery, Replay, ReplayOptions, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from webhooks_sdk.replay import TargetLike

EXIT_COMPLETE, EXIT_PROBLEMS, EXIT_NOT_STARTED, EXIT_UNKNOWN = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Run a replay.

    Args:
        arguments: The command-line arguments, None for those of the process.

    Returns:
        The exit status: 0 if every event was delivered or accepted, 1 if some were not, may be
        missing or were not reached, 2 if the run could not start, and 3 if some may have been
        delivered.
    """
    args = _parser().parse_args(arguments)
    try:
        return _run(args)
    except ReplayStoppedError as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS
    except (WebhooksError, OSError) as error:
        print(error, file=sys.stderr)
        return EXIT_NOT_STARTED


def _run(args: argparse.Namespace) -> int:
    settings = Settings.from_variables(os.environ)
    with ExitStack() as stack:
        client = stack.enter_context(Client.from_env())
        app = stack.enter_context(closing(make_app(settings)))
        task_store = stack.enter_context(closing(TaskStore(settings)))
        replay = Replay(
            WorkerSender(app, task_store, settings, base_url=client.base_url),
            _targets(args, stack),
            base_url=client.base_url,
            list_events=lambda hook_id: client.send(operations.list_events(hook_id)),
            options=_options(args),
            recovery=_recovery(args),
        )
        with replay:
            _stop_on_signals(replay)
            report = replay.run()
    print(report)
    return _exit_status(report, args.journal)


def _exit_status(report: Report, journal: str) -> int:
    for outcome in report.problems:
        print(outcome.request_id, outcome.status, outcome.error or "", file=sys.stderr)
    if report.complete:
        return EXIT_COMPLETE
    print(
        f"To resume, run the same command again: {journal} records what is left. Unknown events are"
        " looked up, and sent again only with --resend-unknown.",
        file=sys.stderr,
    )
    return EXIT_UNKNOWN if report.counts["unknown"] else EXIT_PROBLEMS


def _targets(args: argparse.Namespace, stack: ExitStack) -> Iterable[TargetLike]:
    if args.command == "recover":
        return ()
    if args.file == "-":
        return _pairs(sys.stdin)
    return _pairs(stack.enter_context(open(args.file, encoding="utf-8", newline="")))  # noqa: PTH123 - for "-"


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for row in csv.reader(lines):
        if row:
            yield row[0].strip(), ",".join(row[1:]).strip()


def _options(args: argparse.Namespace) -> ReplayOptions:
    return ReplayOptions(
        journal=args.journal,
        concurrency=args.concurrency,
        rate=args.rate,
        max_attempts=args.max_attempts,
        resend_unknown=args.resend_unknown,
        on_progress=_print_progress,
    )


def _recovery(args: argparse.Namespace) -> Recovery | None:
    if args.command != "recover":
        return None
    return Recovery(hook_id=args.hook_id, since=args.since, until=args.until)


def _print_progress(progress: Progress) -> None:
    total = "?" if progress.total is None else progress.total
    print(f"{progress.done} of {total}, {progress.rate:.1f} per second", file=sys.stderr)


def _stop_on_signals(replay: Replay) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process without waiting for the requests in flight.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        replay.stop()
        # Not with print, which the signal may have interrupted.
        os.write(2, b"stopping once the requests in flight have finished\n")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--journal", required=True, help="the journal file, from which the run can be resumed"
    )
    common.add_argument(
        "--concurrency",
        type=int,
        default=16,
        help="maximum number of requests in flight; at most the number of worker processes",
    )
    common.add_argument("--rate", type=float, help="maximum number of requests per second")
    common.add_argument(
        "--max-attempts",
        type=int,
        default=3,
        help="maximum number of requests for one event, in this run",
    )
    common.add_argument(
        "--resend-unknown",
        action="store_true",
        help="when resuming, send events again that may have been delivered",
    )
    parser = argparse.ArgumentParser(
        prog="python -m celery_replay.coordinator",
        description="Redeliver many events with Celery workers.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recover = commands.add_parser(
        "recover", parents=[common], help="redeliver the undelivered events of a window"
    )
    recover.add_argument("hook_id", type=UUID, help="the subscription")
    recover.add_argument(
        "--since",
        type=_parse_time,
        required=True,
        help="start of the window (ISO 8601; UTC unless it has an offset)",
    )
    recover.add_argument("--until", type=_parse_time, help="end of the window (default: now)")
    redeliver = commands.add_parser(
        "redeliver", parents=[common], help="redeliver the events of a file"
    )
    redeliver.add_argument("file", help="lines of hook_id,request_id; - for standard input")
    return parser


if __name__ == "__main__":
    sys.exit(main())
