"""One of two processes never comes: the other says so in one line, and ends with 1."""

import socket

from small import BANDIT, start


def free_address():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def begin(number, address, patience, out):
    together = ["--coordinator", address, "--processes", "2", "--patience", patience, "--process-id", number]
    return start([*BANDIT, "--epochs", 100_000, *together, "--out", out / str(number)])


def assert_told(process, words):
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert errors.count("\n") == 1
    assert words in errors
    assert "the same command goes on from there" in errors


def test_one_that_never_comes(tmp_path):
    assert_told(begin(0, free_address(), 2, tmp_path), "not all processes of this run came within --patience")
