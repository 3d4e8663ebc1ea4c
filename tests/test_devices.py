"""Several devices and several processes give the numbers of one, up to the order of sums."""

import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from hnca.experiments.commands.main import main
from hnca.experiments.settings import SettingsError
from hnca.experiments.training.devices import Placement

TINY = ["--width", "8", "--batch-size", "60", "--epochs", "2", "--learning-rate", "0.01"]
BANDIT = ["bandit", *TINY, "--layers", "1", "--estimators", "hnca"]
VAE = ["vae", *TINY, "--layers", "2", "--estimators", "hnca+baseline", "--bound-samples", "1"]


DIVIDED = """
import jax
from hnca.experiments.training.devices import Placement
placement = Placement(4, 2, 8)
batches = jax.jit(placement.over_seeds(placement.divided, 0))(jax.numpy.zeros((2, 8), int))
assert batches.sharding.shard_shape(batches.shape) == (1, 4), batches.sharding
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Six hundred images, for ten updates an epoch."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 28, 28), dtype=np.uint8)
    labels = np.arange(600) % 10
    path = tmp_path_factory.mktemp("images") / "noise.npz"
    np.savez(path, train_images=pixels, train_labels=labels, test_images=pixels[:60], test_labels=labels[:60])
    return ["--dataset", str(path)]


def start(*commands, before="", **environment):
    """Starts a process that runs these commands one after another."""
    listed = [list(map(str, command)) for command in commands]
    script = f"{before}\nfrom hnca.experiments.commands.main import main\nfor c in {listed!r}: main(c)"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, text=True)


def measurements(directory):
    """Returns every number of the metrics but the times, one row an epoch and seed."""
    rows = [json.loads(line) for line in next(directory.glob("*/metrics.jsonl")).read_text().splitlines()]
    fields = [f for f, value in rows[-1].items() if isinstance(value, float) and f != "seconds"]
    return np.array([[row[field] or 0.0 for field in fields] for row in rows])


def assert_same_numbers(one, several):
    assert one.shape == several.shape
    np.testing.assert_allclose(several, one, rtol=1e-4)


@pytest.mark.thorough
def test_four_devices_give_the_numbers_of_one(tmp_path, images):
    """Two rows of seeds, and each batch in two."""
    one, four = ([*VAE, *images, "--seeds", 2, "--out", tmp_path / name] for name in ("one", "four"))
    process = start(one, [*four, "--devices", 4], before=DIVIDED, JAX_NUM_CPU_DEVICES="4")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert_same_numbers(measurements(tmp_path / "one"), measurements(tmp_path / "four"))


def in_two_processes(command, out):
    """Trains in two processes, which find each other at a port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    together = [*command, "--coordinator", address, "--processes", "2", "--patience", "60"]
    processes = [start([*together, "--process-id", i, "--out", out / str(i)]) for i in (1, 0)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


@pytest.mark.parametrize("starts", [("2",), pytest.param(("1", "2"), marks=pytest.mark.thorough)])
def test_two_processes_give_the_numbers_of_one(starts, tmp_path, images, quick_compilation, monkeypatch):
    """Also where they stop after an epoch, and are started again."""
    command = [*BANDIT, *images, "--seeds", "1"]
    for epochs in starts:
        in_two_processes([*command, "--epochs", epochs], tmp_path)
    monkeypatch.setenv("HNCA_KERNEL", "jax")
    main([*command, "--out", str(tmp_path / "one")])
    assert_same_numbers(measurements(tmp_path / "one"), measurements(tmp_path / "0"))
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "0"], "--devices 0: expected a whole number"),
        (["--devices", "9"], "--devices 9: expected at most 1 (cpu)"),
        (["--coordinator", "localhost:1"], "expected all three, or none"),
        (["--coordinator", "nowhere", "--processes", "2", "--process-id", "0"], "expected HOST:PORT"),
        (["--coordinator", "localhost:1", "--processes", "2", "--process-id", "2"], "--process-id 2: expected 0 to 1"),
        (
            ["--distributed", "--coordinator", "localhost:1", "--processes", "2", "--process-id", "0"],
            "--distributed --coordinator: expected one",
        ),
        (
            ["--coordinator", "127.0.0.1:1", "--processes", "2", "--process-id", "1", "--patience", "1"],
            "nobody answers within --patience 1 s",
        ),
        (["--distributed"], "--distributed: no cluster to join"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*BANDIT, "--out", str(tmp_path / "out"), *arguments])
    assert exit.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


class FakeDevice:
    platform = "gpu"


@pytest.mark.parametrize(
    ("count", "seeds", "batch_size", "shape"),
    [(4, 8, 50, (4, 1)), (4, 6, 50, (2, 2)), (4, 1, 52, (1, 4)), (3, 1, 50, None)],
)
def test_seeds_are_divided_first(monkeypatch, count, seeds, batch_size, shape):
    monkeypatch.setattr(jax, "devices", lambda: [FakeDevice() for _ in range(4)])
    monkeypatch.setattr("hnca.experiments.training.devices.Mesh", lambda table, names, axis_types: table)
    if shape is None:
        with pytest.raises(SettingsError, match=r"--devices 3: 1 seed.* leave 3 devices to a batch"):
            Placement(count, seeds, batch_size)
    else:
        assert Placement(count, seeds, batch_size).mesh.shape == shape


@pytest.mark.parametrize("error", [RuntimeError("Unable to initialize backend 'tpu'\nmore"), AssertionError()])
def test_devices_that_jax_cannot_use_are_told_in_one_line(monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(SettingsError, match=r"no devices: .*\Z"):
        Placement(None, 1, 1)
