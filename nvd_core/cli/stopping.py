"""A stop that was asked for is answered within two seconds, whatever the program is at.

Ctrl-C, SIGTERM and what a closing terminal sends set a flag. A stage asks for it often
(`Progress.update`) and then ends tidily. Where it does not come to ask (a long call of a library,
an import, a pipe that nobody reads, a disk that hangs), a thread ends the process. As after a
kill, that costs nothing: whatever writes a file writes it beside, and the next run clears away.
"""

import atexit
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from nvd_core.runtime.progress import Progress

CANCELLED = 130
PATIENCE = 1.2
"""seconds that a stage has to end tidily"""
SAVING = 60.0
"""seconds that it has where something must be saved first"""
AT_ONCE = 0.3
"""seconds after a second Ctrl-C"""
_ASK, _END = b"\0", b"\xff"
"""what is sent to the watching thread besides the numbers of signals"""


class Stopping:
    """The thread that sees to it that a stop is answered; `ask` asks for one."""

    def __init__(self, progress: Progress, farewell: Callable[[], tuple[int, str]]) -> None:
        """`farewell`: descriptor and text of the last line of a process that is ended."""
        self.progress, self.farewell = progress, farewell
        self._asked: float | None = None
        self._at_once = False
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._thread = threading.Thread(target=self._watch, name="nvd-stopping", daemon=True)

    @property
    def descriptor(self) -> int:
        """Where the system's handler of signals writes: that needs no Python to run."""
        return self._sender.fileno()

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        """Ask for a stop, from any thread."""
        with suppress(OSError):
            self._sender.send(_ASK)

    def close(self) -> None:
        """The command has ended by itself."""
        with suppress(OSError):
            self._sender.send(_END)
        self._thread.join(1)
        self._sender.close()
        self._receiver.close()

    def _watch(self) -> None:
        while True:
            self._receiver.settimeout(None if self._asked is None else 0.05)
            with suppress(TimeoutError):
                for number in self._receiver.recv(64):
                    if number == _END[0]:
                        return
                    self._hear(number)
            if self._asked is not None and self._is_overdue(time.monotonic() - self._asked):
                self._end()

    def _hear(self, number: int) -> None:
        if number != _ASK[0] and number not in _numbers():
            return
        self.progress.cancel()
        if self._asked is None:
            self._asked = time.monotonic()
        elif number == signal.SIGINT and not self._at_once:
            self._asked, self._at_once = time.monotonic(), True

    def _is_overdue(self, waited: float) -> bool:
        if self._at_once:
            return waited > AT_ONCE
        return waited > (SAVING if self.progress.has_unsaved else PATIENCE)

    def _end(self) -> None:
        """End the process where it is; the last line is left out where nobody takes it."""
        last_words = threading.Thread(target=self._say_farewell, daemon=True)
        last_words.start()
        last_words.join(0.2)  # a pipe may be full
        os._exit(CANCELLED)

    def _say_farewell(self) -> None:
        with suppress(OSError, ValueError):
            descriptor, text = self.farewell()
            if os.isatty(descriptor):
                text = f"\x1b[?25h\n{text}"  # the bars have hidden the cursor
            os.write(descriptor, text.encode("utf-8", "backslashreplace"))


def end_at_once(code: int) -> NoReturn:
    """End the process, with all that was printed, and nothing taken down."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def end(code: int) -> NoReturn:
    """The same once all that still works in threads is done, and what was to be done at the end.

    Where what was printed cannot be written, on a full disk, that is said, and it ends with 2.
    """
    threading._shutdown()  # as the interpreter does: it wakes pools, too
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # who reads has enough
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            print(f"nvd: what was printed is not written whole: {error}", file=sys.stderr)
        code = code or 2
    end_at_once(code)


@contextmanager
def stopping(
    progress: Progress, farewell: Callable[[], tuple[int, str]]
) -> Iterator[Stopping | None]:
    """Within, a stop is answered; None where this is not the main thread, which signals reach.

    A second Ctrl-C ends the process at once. SIGHUP that is ignored, as nohup has it, stays
    ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return

    heard: list[int] = []

    def stop(number: int, _: object) -> None:
        if heard and number == signal.SIGINT:
            raise KeyboardInterrupt
        heard.append(number)
        progress.cancel()

    watcher = Stopping(progress, farewell)
    watcher.start()
    before = {number: signal.signal(number, stop) for number in _numbers()}
    descriptor = signal.set_wakeup_fd(watcher.descriptor, warn_on_full_buffer=False)
    try:
        yield watcher
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        watcher.close()


def _numbers() -> list[int]:
    """The signals that ask for a stop: POSIX has SIGHUP, Windows SIGBREAK."""
    found = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            found.append(number)
    return found


def stop_with_stdin(watcher: Stopping) -> None:
    """Stop when the program that started us closes our standard input, or dies.

    Only a pipe or socket can tell; /dev/null, a file or a terminal says nothing about it. Where
    nobody asked for it the input is left alone: in a shell's loop it holds what the loop reads.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        watcher.ask()

    threading.Thread(target=watch, daemon=True).start()
