"""Real processes that are killed, interrupted, told to end, or run out of disk: nothing that was written is lost."""

import json
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from small import BANDIT, start

KILLS = 20
EPOCHS = 60
RUN = "1-hnca+baseline"

WRITER = """
import pathlib, sys
from hnca.experiments.store import *
directory = pathlib.Path(sys.argv[1])
with Claim(directory).take():
    after = progress(directory, 2).epoch
    continue_after(directory, after)
    with MetricsFile(directory, after) as metrics:
        print(after, flush=True)
        for epoch in range(after + 1, 1_000_000):
            metrics.write([Row("bandit", "hnca", {}, 1, seed, epoch, {"value": epoch / 7}, 0.1) for seed in (0, 1)])
            write_checkpoint(directory, epoch, epoch.to_bytes(4, "big") * 50_000, {})
"""

NEVER_ENDING = """
import jax, jax.numpy as jnp
from hnca.experiments.training import epochs
from hnca.experiments.runs import recording
wait, write = epochs._wait_for, recording.Recorder.write_state

def never(measures):
    print("computing", flush=True)
    wait(jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, lambda _, y: y @ y, x))(jnp.eye(300)))

def then(self, epoch, state):
    write(self, epoch, state)
    epochs._wait_for = never if epoch == 3 else wait

recording.Recorder.write_state = then
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Compiled programs, so that each process need not compile its own."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("programs")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def numbers(out, epochs):
    """The rows up to an epoch, without their times, as bytes."""
    lines = (out / RUN / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    return [re.sub(rb', "seconds": [\d.]+', b"", line) for line in lines if json.loads(line)["epoch"] <= epochs]


def whole_rows(out):
    path = out / RUN / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at_random(process, out, chance, draw):
    """Kills a process at any time, as while it starts, or a little after it has written a few epochs more."""
    before = whole_rows(out)
    while not chance and whole_rows(out) <= before + 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(draw.uniform(0.1, 2.5) if chance else draw.uniform(0.0, 0.3))
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


def test_a_run_that_is_killed_again_and_again_gives_the_numbers_of_one_that_is_not(tmp_path, programs):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start([*BANDIT, "--epochs", EPOCHS, "--out", whole], **programs)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    draw, reached = random.Random(7), []
    for kill in range(3):
        process = start([*BANDIT, "--epochs", 100_000, "--out", killed], **programs)
        kill_at_random(process, killed, kill == 1, draw)
        reached.append(whole_rows(killed) // 2)
    assert max(reached) >= 3
    process = start([*BANDIT, "--epochs", max(EPOCHS, max(reached) + 1), "--out", killed], **programs)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert numbers(killed, EPOCHS) == numbers(whole, EPOCHS)
    config = json.loads((killed / RUN / "config.json").read_text())
    assert len(config["continued"]) >= 2


def test_whatever_is_being_written_when_it_is_killed(tmp_path):
    """Nothing but writing, so that nearly every kill falls into it."""
    (tmp_path / "config.json").write_text("{}")
    draw, reached = random.Random(3), 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
        after = int(process.stdout.readline())
        assert after >= reached - 1
        time.sleep(draw.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        rows = (tmp_path / "metrics.jsonl").read_text()
        reached = rows.count("\n") // 2
    found = [json.loads(line) for line in rows.splitlines()[: 2 * reached]]
    assert [row["epoch"] for row in found] == [epoch for epoch in range(1, reached + 1) for _ in (0, 1)]
    assert all(row["value"] == row["epoch"] / 7 for row in found)


def test_a_reader_that_has_seen_enough_costs_no_epoch(tmp_path, programs):
    """As `| head -2`."""
    process = start([*BANDIT, "--epochs", EPOCHS, "--checkpoint-every", EPOCHS, "--out", tmp_path], **programs)
    while "epoch 1/" not in process.stdout.readline():
        assert process.poll() is None, process.communicate()
    process.stdout.close()
    with process:
        errors = process.stderr.read()
    assert process.returncode == 1
    assert "stopped, as nobody reads what it prints; the epochs finished so far are kept" in errors
    assert errors.count("\n") == 1
    (kept,) = (tmp_path / RUN).glob("checkpoint-*")
    assert whole_rows(tmp_path) == 2 * int(kept.stem.removeprefix("checkpoint-"))


ENDS = [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "told to end"), ("SIGHUP", 129, "the terminal has gone")]


@pytest.mark.parametrize(("number", "code", "told"), ENDS)
@pytest.mark.sweep
def test_an_epoch_that_is_being_computed_need_not_end(tmp_path, programs, number, code, told):
    process = start([*BANDIT, "--epochs", 9, "--out", tmp_path], before=NEVER_ENDING, **programs)
    while process.stdout.readline() != "computing\n":
        assert process.poll() is None, process.communicate()
    time.sleep(0.5)
    process.send_signal(getattr(signal, number))
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code
    assert errors == f"hnca: {told}; the epochs finished so far are kept, and the same command goes on from there\n"
    assert sorted(path.name for path in (tmp_path / RUN).iterdir()) == [
        "checkpoint-000002.eqx",
        "checkpoint-000003.eqx",
        "config.json",
        "metrics.jsonl",
    ]
    assert whole_rows(tmp_path) == 2 * 3


def test_a_second_process_is_told_of_the_first(tmp_path, programs):
    first = start([*BANDIT, "--epochs", 100_000, "--out", tmp_path], **programs)
    while whole_rows(tmp_path) == 0:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    second = start([*BANDIT, "--epochs", 100_000, "--out", tmp_path], **programs)
    _, errors = second.communicate()
    assert second.returncode == 2
    assert f"{RUN} is claimed by process {first.pid} on " in errors
    assert errors.count("\n") == 1
    first.kill()
    first.communicate()


@pytest.mark.thorough
def test_two_commands_share_the_runs_of_both(tmp_path, programs):
    """Every run is trained once, by one of them, and who finishes last draws the figure."""
    methods = ["hnca", "reinforce", "hnca+baseline"]
    command = [*BANDIT[:-1], *methods, "--epochs", 30, "--out", tmp_path]
    processes = [start(command, **programs) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    for method in methods:
        trained = [printed.count(f"{method}, 1 hidden  epoch 30/30") for printed, _ in ends]
        assert sorted(trained) == [0, 1]
    config = [json.loads(path.read_text()) for path in tmp_path.glob("*/config.json")]
    assert [stored["continued"] for stored in config] == [[]] * 3
    assert any("figure1.png" in printed for printed, _ in ends)
    assert (tmp_path / "figure1.png").stat().st_size > 5000


DRAWER = """
import pathlib, sys
from matplotlib.figure import Figure
from hnca.experiments.figures.saving import save_figure
while True:
    for kind in ("png", "pdf"):
        save_figure(Figure((2, 2)), pathlib.Path(sys.argv[1]) / f"figure.{kind}")
        print(kind, flush=True)
"""


def test_figures_are_whole_whenever_it_is_killed(tmp_path):
    draw = random.Random(5)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", DRAWER, tmp_path], stdout=subprocess.PIPE, text=True)
        while process.stdout.readline() != "pdf\n":
            assert process.poll() is None
        time.sleep(draw.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        assert (tmp_path / "figure.png").read_bytes().endswith(b"IEND\xaeB`\x82")
        assert (tmp_path / "figure.pdf").read_bytes().endswith(b"%%EOF\n")


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of this kind")
def test_a_full_disk_loses_nothing(tmp_path, programs):
    """No file may be as long as a checkpoint is."""
    command = [*BANDIT, "--epochs", 40, "--out", tmp_path]
    process = start([*command, "--epochs", 4], **programs)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    size = (tmp_path / RUN / "checkpoint-000004.eqx").stat().st_size
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size - 1}, {size - 1}))"
    process = start(command, before=limit, **programs)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert f"--out {tmp_path / RUN}: cannot be written (File too large)" in errors
    assert errors.count("\n") == 1
    assert not list((tmp_path / RUN).glob(".*"))
    process = start(command, **programs)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{RUN}: goes on after epoch 4" in printed
    assert whole_rows(tmp_path) == 2 * 40
