"""What a signal asks for is done wherever the main thread stands."""

from __future__ import annotations

import signal
import threading

import pytest

from pipelines.stopping import stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_event_is_set_though_the_signal_finds_the_main_thread_on_its_way_into_the_wait(
    number: signal.Signals,
) -> None:
    event = threading.Event()
    with stopping(event.set):
        with event._cond:  # type: ignore[attr-defined]  # held by ``wait`` on its way in and out
            signal.raise_signal(number)
        assert event.wait(60)


def test_a_second_interrupt_insists_where_that_is_wished() -> None:
    stopped = threading.Event()
    with pytest.raises(KeyboardInterrupt), stopping(stopped.set, insist=True):
        signal.raise_signal(signal.SIGINT)
        assert stopped.wait(60)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one did not interrupt")


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stopping(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_another_thread_is_left_alone() -> None:
    seen: list[object] = []

    def elsewhere() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with stopping(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [True]
