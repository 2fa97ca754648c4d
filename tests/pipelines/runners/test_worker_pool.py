"""The pool of Python workers: on loopback only, with its own interpreter, and nobody outlives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pool:
    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        command = [sys.executable, "-m", "pipelines.runners.worker_pool", "--port", str(self.port)]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        grpc.channel_ready_future(self.channel).result(60)
        self.stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(self.channel)

    def start(self, name: str, control: str) -> str:
        request = beam_fn_api_pb2.StartWorkerRequest(
            worker_id=name, control_endpoint=endpoints_pb2.ApiServiceDescriptor(url=control)
        )
        return str(self.stub.StartWorker(request).error)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in children for pid in file.read_text().split()]

    def close(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = Pool(tmp_path / "log")
    yield made
    made.close()


def gone(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_worker_dials_the_runner_and_is_stopped_on_request(pool: Pool) -> None:
    with socket.socket() as runner:
        runner.bind(("127.0.0.1", 0))
        runner.listen()
        runner.settimeout(60)
        assert pool.start("one", f"127.0.0.1:{runner.getsockname()[1]}") == ""
        runner.accept()[0].close()
    (worker,) = pool.workers()
    assert Path(f"/proc/{worker}/exe").resolve() == Path(sys.executable).resolve()
    pool.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="one"))
    assert gone(worker)
    pool.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="never started"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_pool_however_it_ends(pool: Pool, number: signal.Signals) -> None:
    with socket.socket() as runner:
        runner.bind(("127.0.0.1", 0))
        runner.listen()
        runner.settimeout(60)
        pool.start("one", f"127.0.0.1:{runner.getsockname()[1]}")
        accepted = runner.accept()[0]
        (worker,) = pool.workers()
        pool.process.send_signal(number)
        assert gone(worker)
        accepted.close()
    pool.process.wait(20)


def test_nobody_listens_but_on_loopback(pool: Pool) -> None:
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    hexport = f":{pool.port:04X}"
    mine = [line.split()[1] for line in listening.splitlines() if hexport in line and line.split()[3] == "0A"]
    assert len(mine) == 1
    # 127.0.0.1, also where it stands in an IPv6 socket's table (::ffff:127.0.0.1).
    assert mine[0].removeprefix("0000000000000000FFFF0000") == f"0100007F{hexport}"


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "pipelines.runners.worker_pool", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert (done.returncode, "Traceback" in done.stderr) == (8, False)
    assert port in done.stderr


def test_what_the_pool_says_is_json_where_that_is_wished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_LOG", "json")
    with closing(Pool(tmp_path / "log")) as made:
        made.start("one", "127.0.0.1:1")
        made.process.terminate()
        assert made.process.wait(60) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert f"listening for runners on 127.0.0.1:{made.port}" in [line["message"] for line in lines]
    assert any(line["message"].startswith("worker one started") for line in lines)
    assert {line["process.name"] for line in lines} <= {"liucun pool", "liucun pool worker"}


def test_a_form_of_logs_that_there_is_not_is_refused() -> None:
    command = [sys.executable, "-m", "pipelines.runners.worker_pool", "--port", "0"]
    env = os.environ | {"LIUCUN_LOG": "xml"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "xml" in done.stderr
