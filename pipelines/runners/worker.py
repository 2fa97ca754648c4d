"""One worker process of the pool: runs the bundles that the runner sends over its control channel."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading

from pipelines import under_way
from pipelines.beam import beam  # noqa: F401 - quiet import, before the harness imports it aloud
from pipelines.logs import worker_logs


def _end_with_the_pool() -> None:
    """Leave at once when the pool goes: its end of the pipe closes, however it died."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    under_way.end()
    os._exit(0)


def main() -> None:
    """Dial the runner and work until it hangs up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", required=True)
    parser.add_argument("--id", required=True)
    given = parser.parse_args()
    text = f"%(asctime)s worker {os.getpid()} %(levelname)s %(message)s"
    worker_logs("pool worker", text, logging.WARNING)
    threading.Thread(target=_end_with_the_pool, daemon=True, name="pool-watch").start()

    from apache_beam.runners.worker.sdk_worker import SdkHarness

    from pipelines.elements import register_coders

    register_coders()
    SdkHarness(given.control, worker_id=given.id, data_buffer_time_limit_ms=-1).run()
    # The job was cancelled, or another of its workers died: nothing of that is the doing of what is under way here.
    under_way.end()
    # Threads of clients (Kafka, database pools) must not hold up the end.
    os._exit(0)


if __name__ == "__main__":
    main()
