"""Runs that die, each in a process of its own, until one comes to its end: ``python -m … STORE``, what to run on stdin.

A record that says so ends the process as a fault in native code does (``os._exit``), or as the kernel when memory runs
out. The processes are forks of this one, which has loaded everything and opened nothing. At the end it prints the exit
status of each as JSON, and what the last run said.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from detectors.default import default_detector
from pipelines.batches import RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.job import Job, JobOptions
from pipelines.sources import caution, kafka_reading
from pipelines.sources.spec import SourceSpec
from retention.store import Store, StoreSettings

PASSPHRASE = "a passphrase for tests"
SPACING = 0.3
MOST_DEATHS = 60


def prepare(pause: float) -> None:
    """Load what is loaded late, and make records deadly."""
    default_detector()
    kafka_reading.IDENTITY_SECONDS = 0.2  # type: ignore[misc] # the mock brokers know no ids, and say so by silence
    caution.SPACING = timedelta(seconds=SPACING)  # type: ignore[misc]
    caution._LOOK_SECONDS = 0.1  # type: ignore[misc]
    decode = Decoder.decode

    def deadly(self: Decoder, raw: RawBatch, *rest: object, **named: object) -> object:
        if b"poison-exit" in raw.data:
            os._exit(139)
        if b"poison-kill" in raw.data:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(pause)
        return decode(self, raw, *rest, **named)  # type: ignore[arg-type]

    Decoder.decode = deadly  # type: ignore[method-assign, assignment]


def run(root: str, given: dict[str, Any], said: int) -> None:
    with Store.open(Path(root), StoreSettings(), PASSPHRASE) as store:
        specs = [SourceSpec.model_validate(spec) for spec in given["specs"]]
        job = Job(store, specs, JobOptions(batch_bytes=given["batch_bytes"]))
        job.run()
        os.write(said, "\n".join(job.problems).encode())


def main() -> None:
    given = json.load(sys.stdin)
    prepare(given["pause"])
    deaths: list[int] = []
    kills = random.Random(given["seed"])
    while len(deaths) < MOST_DEATHS:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                run(sys.argv[1], given, writing)
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        if len(deaths) < given["kills"]:
            time.sleep(kills.uniform(0.1, given["within"]))
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode()
        if code == 0:
            print(json.dumps({"deaths": deaths, "said": said}))
            return
        deaths.append(code)
        if code == 1:
            break
    sys.exit(f"{deaths}: none came to its end")


if __name__ == "__main__":
    main()
