"""How the main thread hears of an end."""

from __future__ import annotations

import signal
import sys
import threading
from queue import SimpleQueue

from pktui.gateway.stdio.proxy import End, Ends, next_end


def test_a_signal_that_another_thread_takes_is_heard() -> None:
    ends: Ends = SimpleQueue()
    main = threading.get_ident()

    def strike() -> None:
        while sys._current_frames()[main].f_code is not next_end.__code__:
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, _: ends.put(End("signal", number)))
    try:
        threading.Thread(target=strike).start()
        assert next_end(ends) == End("signal", signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
