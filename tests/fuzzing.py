"""Damaged and hostile inputs, made from good ones by a seed, and what a reader may do with them."""

import contextlib
import copy
import json
import random
import resource
import signal
import struct

SECONDS = 5
"""For one try."""
MEMORY = 2**30
"""That one try may take beside what the process has already."""

ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    2**31,
    2**70,
    1e308,
    float("nan"),
    "",
    "x" * 5000,
    "$x_$",
    "<b>\x1b[31m",
    "\ud800",
    [],
    {},
]
"""What may stand in JSON where something else should."""


class Unending(BaseException):
    """A try takes too long. No reader catches it."""


def bytes_of(content, draw):
    """Returns the bytes with one to three things done to them."""
    content = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(content) + 1)
        length = draw.choice([1, 2, 4, 8, 100])
        kind = draw.randrange(6)
        if kind == 0 and place < len(content):
            content[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = draw.randbytes(length)
        elif kind == 4:
            content[place : place + length] = draw.choice([b"\0", b"\xff", b"\x7f"]) * length
        else:
            content[place : place + 8] = struct.pack(draw.choice("<>") + "Q", draw.choice([2**31, 2**40, 2**63, 1]))
    return bytes(content)


def json_of(value, draw):
    """Returns a copy of a JSON value in which something is of another kind, missing, or one too many."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 2)):
        place = value
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], dict | list) and place[key] and draw.random() < 0.7:
                place = place[key]
                continue
            break
        kind = draw.randrange(5)
        if kind == 0:
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[draw.choice(["", "__class__", key + "x"])] = place.pop(key)
        else:
            place[key] = draw.choice(ODD)
        if not value:
            break
    return value


def text_of(value, draw):
    """Returns odd JSON as bytes, now and then with a byte of it altered, or nested too deeply to be read."""
    if draw.random() < 0.05:
        return b"[" * 100_000
    content = json.dumps(json_of(value, draw)).encode()
    return bytes_of(content, draw) if draw.random() < 0.2 else content


def faults(tries, act, allowed, seed=0):
    """Returns a line for every try that ends in anything but a result or an allowed error of one line.

    Args:
        tries: how many.
        act: is given a source of random numbers, makes an input and has it read.
        allowed: the one class of errors, beside that of the operating system where it is one of two.
        seed: of the first try's numbers, one more for every other.
    """
    found = []
    classes = allowed if isinstance(allowed, tuple) else (allowed,)
    for number in range(seed, seed + tries):
        try:
            with limited():
                act(random.Random(number))
        except classes as error:
            told = str(error)
            if type(error) not in classes and not isinstance(error, OSError):  # some have errors of their own below it
                found.append(f"{number}: {type(error).__name__} {told[:200]!r}")
            elif not told or not told.replace("\ud800", "").isprintable() or len(told) > 1000:
                found.append(f"{number}: not one line: {told[:200]!r}")
        except (Exception, Unending, SystemExit) as error:
            found.append(f"{number}: {type(error).__name__} {str(error)[:200]!r}")
    return found


@contextlib.contextmanager
def limited():
    """Ends what is done within after some seconds, and lets it have no more than so much memory."""

    def end(*_):
        raise Unending(f"longer than {SECONDS} s")

    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, end)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, hard))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)
