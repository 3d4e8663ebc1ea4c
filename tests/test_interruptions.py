"""Ctrl-C, SIGTERM and SIGHUP end a command by one line, wherever they come."""

import signal
import time

import pytest

from hnca.experiments.commands.interruptions import interruptible, postponed


@pytest.fixture(autouse=True)
def heard():
    """Where the tests run in the background, interruptions are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Dropping:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)


def ends(command):
    with pytest.raises(SystemExit) as end, interruptible():
        command()
    return end.value.code


def test_one_that_comes_where_python_drops_it_comes_again(capsys):
    def command():
        Dropping()
        time.sleep(60)

    begun = time.monotonic()
    assert ends(command) == 130
    assert time.monotonic() - begun < 30
    assert capsys.readouterr().err == "hnca: interrupted\n"


def test_one_that_comes_during_imports_waits_for_their_end(capsys):
    done = []

    def command():
        with postponed():
            signal.raise_signal(signal.SIGTERM)
            done.append("imports")
        done.append("training")

    assert ends(command) == 143
    assert done == ["imports"]
    assert capsys.readouterr().err == "hnca: told to end\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is none here")
def test_under_nohup_a_terminal_may_go(capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert ends(lambda: signal.raise_signal(signal.SIGHUP)) == 129
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == "hnca: the terminal has gone\n"
