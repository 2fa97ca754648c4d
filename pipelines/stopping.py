"""Ends on SIGTERM and Ctrl-C what runs for long.

A handler runs in the middle of whatever the main thread does. Were it to set an event that the main thread is about to
wait for, both would want the event's lock, and the process would stand still until it is killed. So the handler only
leaves a word (``SimpleQueue.put`` may interrupt itself), and a thread of its own does the rest.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType


@contextmanager
def stopping(stop: Callable[[], object], *, insist: bool = False) -> Iterator[None]:
    """Call ``stop``, on another thread, on every SIGTERM and Ctrl-C until the block ends.

    ``insist``: a second Ctrl-C interrupts the main thread. Outside of the main thread, which alone is told of signals,
    nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told: SimpleQueue[bool] = SimpleQueue()

    def handler(number: int, _frame: FrameType | None) -> None:
        told.put(True)
        if insist and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def listen() -> None:
        while told.get():
            stop()

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        told.put(False)
        listener.join()
