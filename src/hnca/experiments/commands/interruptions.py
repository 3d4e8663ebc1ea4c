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
_PAUSE = 0.05


class _Terminated(KeyboardInterrupt):
    """A scheduler, or another, has asked the process to end."""


@contextlib.contextmanager
def interruptible(kept: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM end what is done within by a line and a SystemExit: of 130, or of 143.

    Only the main thread can be interrupted; in another one nothing is changed.

    Args:
        kept: returns how the line goes on.
    """
    try:
        with _heard():
            yield
    except KeyboardInterrupt as error:
        asked = isinstance(error, _Terminated)
        with _ignored():  # whoever presses twice need not see where the first one has led
            print(f"hnca: {'told to end' if asked else 'interrupted'}{kept()}", file=sys.stderr)
        raise SystemExit(TERMINATED if asked else INTERRUPTED) from None


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Ends the process where it is interrupted, instead of waiting for what is still being computed."""
    try:
        yield
    except SystemExit as end:
        if end.code not in (INTERRUPTED, TERMINATED):
            raise
        with _ignored():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code))


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
    """Makes SIGTERM an interruption, as Ctrl-C is, and sees to it that none is lost."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    def again(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        # It came while a destructor or a callback of the garbage collector ran, where Python drops it.
        number = signal.SIGTERM if issubclass(unraisable.exc_type, _Terminated) else signal.SIGINT
        timer = threading.Timer(_PAUSE, _interrupt_main_thread, (number,))
        timer.daemon = True
        timer.start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hook, handler = sys.unraisablehook, signal.signal(signal.SIGTERM, end)
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, handler)


def _interrupt_main_thread(number: signal.Signals) -> None:
    """Sends a signal to the main thread, which also wakes it where it waits, if the system can do that."""
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, number)
    else:
        _thread.interrupt_main(number)


def _ignored() -> contextlib.AbstractContextManager[None]:
    """Lets nothing interrupt what is done within."""
    return _handled_by(signal.SIG_IGN)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
