"""Ends a command in good order when it is interrupted. Imports next to nothing, so that it is ready at once."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

INTERRUPTED = 130
TERMINATED = 143
HUNG_UP = 129
_PAUSE = 0.05


class _Terminated(KeyboardInterrupt):
    """A scheduler, or another, has asked the process to end."""


class _HungUp(KeyboardInterrupt):
    """The terminal has gone."""


_SIGNALS: dict[int, type[KeyboardInterrupt]] = {signal.SIGTERM: _Terminated}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _SIGNALS[signal.SIGHUP] = _HungUp
_ENDS = {
    KeyboardInterrupt: ("interrupted", INTERRUPTED),
    _Terminated: ("told to end", TERMINATED),
    _HungUp: ("the terminal has gone", HUNG_UP),
}


@contextlib.contextmanager
def interruptible(kept: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Makes Ctrl-C, SIGTERM and SIGHUP end what is done within by a line and a SystemExit: of 130, 143 or 129.

    A SIGHUP that is ignored, as under nohup, stays ignored.

    Only the main thread can be interrupted; in another one nothing is changed.

    Args:
        kept: returns how the line goes on.
    """
    try:
        with _heard():
            yield
    except KeyboardInterrupt as error:
        told, code = _ENDS.get(type(error), _ENDS[KeyboardInterrupt])
        with _ignored(), contextlib.suppress(OSError):  # whoever presses twice need not see where the first one has led
            print(f"hnca: {told}{kept()}", file=sys.stderr)
        raise SystemExit(code) from None


@contextlib.contextmanager
def at_once(failures: bool = False) -> Iterator[None]:
    """Ends the process where it is interrupted, instead of waiting for what is still being computed.

    Args:
        failures: whether also where a command has failed, instead of waiting for other processes of the run.
    """
    try:
        yield
    except SystemExit as end:
        if end.code not in (INTERRUPTED, TERMINATED, HUNG_UP) and not (
            failures and isinstance(end.code, int) and end.code
        ):
            raise
        with _ignored():
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):  # the terminal may have gone
                    stream.flush()
            os._exit(int(end.code or 0))


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Lets an interruption wait for what is done within, such as imports: compiled modules crash on one, or drop it."""
    came: list[int] = []
    with _handled_by(lambda number, _frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[-1])


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP interruptions, as Ctrl-C is, and sees to it that none is lost."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise _SIGNALS[number]

    def again(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        # It came while a destructor or a callback of the garbage collector ran, where Python drops it.
        number = next((n for n, kind in _SIGNALS.items() if issubclass(unraisable.exc_type, kind)), signal.SIGINT)
        timer = threading.Timer(_PAUSE, _interrupt_main_thread, (number,))
        timer.daemon = True
        timer.start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hook = sys.unraisablehook
    before = {number: signal.signal(number, end) for number in _SIGNALS if _is_heard(number)}
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_heard(number: int) -> bool:
    """Returns whether a signal is to be acted upon: under nohup SIGHUP is not."""
    return number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN


def _interrupt_main_thread(number: int) -> None:
    """Sends a signal to the main thread, which also wakes it where it waits, if the system can do that."""
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _ignored() -> contextlib.AbstractContextManager[None]:
    """Lets nothing interrupt what is done within."""
    return _handled_by(signal.SIG_IGN)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, *filter(_is_heard, _SIGNALS))}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
