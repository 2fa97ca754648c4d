"""The pool of Python workers beside a task manager: Flink asks it for a worker, it starts a process for each.

Beam's own pool listens on every interface and starts whatever ``python`` is first on the path. A worker executes the
code that its job sends, so this pool listens on loopback only and starts workers with its own interpreter.
A worker lives as long as its pool and its job: it ends when its standard input closes or its control channel does.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import threading
from concurrent import futures
from typing import Any, Final

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from errors import LiucunError, UnreachableError
from pipelines.logs import worker_logs
from pipelines.stopping import stopping

HOST: Final = "127.0.0.1"
STOP_SECONDS: Final = 10.0
STATE_CACHE_BYTES: Final = 0

# By name: the pool is run as a module, and what is not ours is not quoted in logs.
_LOG = logging.getLogger("pipelines.runners.worker_pool")


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops worker processes on a runner's request."""

    def __init__(self) -> None:
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Start a worker process that dials the runner's control address."""
        command = [sys.executable, "-m", "pipelines.runners.worker"]
        command += ["--control", request.control_endpoint.url, "--id", request.worker_id]
        try:
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=True)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=f"The worker could not be started: {error}.")
        with self._lock:
            self._reap()
            self._workers[request.worker_id] = worker
        _LOG.info("worker %s started, pid %d", request.worker_id, worker.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Stop a worker process; one that has gone already is no error."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            _stop(worker)
            _LOG.info("worker %s stopped", request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop every worker."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        for worker in workers:
            _stop(worker)

    def _reap(self) -> None:
        for name in [name for name, worker in self._workers.items() if worker.poll() is not None]:
            _LOG.info("worker %s had ended, exit code %s", name, self._workers.pop(name).returncode)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        worker.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def serve(port: int, *, host: str = HOST, stop: threading.Event | None = None) -> None:
    """Serve until ``stop`` is set or a signal comes.

    Raises:
        UnreachableError: the port is taken, or is none.
    """
    stop = stop or threading.Event()
    pool = WorkerPool()
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise UnreachableError(
            f"{host}:{port} cannot be listened on: {error}.", cure="Give --port a port that nobody listens on."
        ) from error
    with stopping(stop.set):
        server.start()
        _LOG.info("listening for runners on %s:%d", host, bound)
        stop.wait()
    server.stop(1).wait()
    pool.close()


def main() -> None:
    """``python -m pipelines.runners.worker_pool --port PORT [--host ADDRESS]``."""
    parser = argparse.ArgumentParser(description="The pool of Python workers beside a Flink task manager.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=HOST)
    given = parser.parse_args()
    # numba and Arrow would each take every core in every worker.
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        worker_logs("pool", "%(asctime)s pool %(message)s", logging.INFO)
        serve(given.port, host=given.host)
    except LiucunError as error:
        print(f"worker pool: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
