"""One of several processes that train together: where the runtime would abort, one line says who is missing.

JAX ends a process whose partner never comes, or dies, by a signal and a stack trace in C++, and nothing in that process
can prevent it. So the command is done by a child, and its parent listens.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

VARIABLE = "HNCA_PARTNER"
"""Set in a child."""
_FLAGS = ("--coordinator", "--distributed")
_FAILED = 1
_KEPT = "the epochs finished so far are kept, and the same command goes on from there"
_PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux."""
_OF_THE_RUNTIME = re.compile(rb"[IWEF]\d{4} \d\d:\d\d:\d\d|\*\*\* |    @ |RPC: |Additional GRPC|:UNKNOWN:|\s*$")
_TASK = re.compile(rb"task:(\d+)")


def is_partner() -> bool:
    """Returns whether this process is a child, whose parent listens."""
    return os.environ.get(VARIABLE) == "1"


def has_partners(arguments: Sequence[str]) -> bool:
    """Returns whether the command line is that of one of several processes."""
    return any(argument.partition("=")[0] in _FLAGS for argument in arguments)


def run_as_partner() -> int:
    """Does this process's command in a child, and returns the exit code: 1 if the runtime has aborted it."""
    child = subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]],
        env={**os.environ, VARIABLE: "1"},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )

    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)
    assert child.stderr is not None
    held, is_told = [], False
    for line in child.stderr:
        if _OF_THE_RUNTIME.match(line):
            held.append(line)
        else:
            is_told = True
            os.write(2, line)
    code = child.wait()
    if code == -signal.SIGABRT:
        print(f"hnca: {_missing(b''.join(held))}; {_KEPT}", file=sys.stderr)
        return _FAILED
    if code and not is_told:
        os.write(2, b"".join(held))
    return code if code >= 0 else 128 - code


def follow_parent() -> None:
    """Makes a child be told to end when its parent has gone, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _missing(told: bytes) -> str:
    """Returns who is missing, as far as the runtime has named them."""
    if b"RegisterTask" in told:
        return "not all processes of this run came within --patience"
    named = sorted({int(number) for number in _TASK.findall(told)})
    who = f" (the runtime names {', '.join(map(str, named))})" if named else ""
    return f"another process of this run is gone, or cannot be reached{who}"
