"""The collector of cycles rests during a step and works afterwards, whatever overlaps or fails."""

from __future__ import annotations

import gc
import threading

import pytest

from retention.resting import collector_rests


def test_it_works_again_after_the_last_step() -> None:
    assert gc.isenabled()
    with collector_rests():
        with collector_rests():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collector_rests():
        raise KeyError
    assert gc.isenabled()


def test_steps_of_several_threads_overlap() -> None:
    both, end = threading.Barrier(3), threading.Event()

    def step() -> None:
        with collector_rests():
            both.wait()
            end.wait()

    threads = [threading.Thread(target=step) for _ in range(2)]
    for thread in threads:
        thread.start()
    both.wait()
    assert not gc.isenabled()
    end.set()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


def test_who_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with collector_rests():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
