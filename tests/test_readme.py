"""The README tells the truth: its example runs as written, and its commands and links exist."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_example_runs_as_written():
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    # Optax's Adam needs what the suite otherwise forbids.
    with jax.numpy_dtype_promotion("standard"):
        exec(program, names)
    assert float(jnp.max(jnp.abs(names["gradient"]["encoder"]))) > 0


def test_the_described_networks_run_as_written():
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "networks.md").read_text(), flags=re.DOTALL)
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        exec(first, names)
    started = hnca.Dense("image", 784, 200, key=names["k1"]).weights[0]
    moved = names["network"].layers["hidden"].conditional.weights[0]
    assert 0 < float(jnp.max(jnp.abs(moved - started))) < 2e-3
    assert names["estimate"].credits["hidden"].shape == (50, 200)
    exec(second, names)
    assert float(names["bound"]) < -100
    assert names["estimate"].objective_gradient.components[1].layer.conditional.weights[0].shape == (200, 784)


def test_it_is_short():
    assert len(README.splitlines()) < 120


def test_there_are_two_commands_of_one_line():
    commands = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 and command.startswith("python3 -m venv .venv && ") for command in commands)
    assert ".venv/bin/hnca bandit" in commands[0]
    assert ".venv/bin/pytest" in commands[1]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_file_carries_the_address_of_a_package_index():
    for name in ("constraints.txt", "pyproject.toml", "README.md"):
        assert "://" not in (ROOT / name).read_text(), name


def test_every_public_name_is_there_and_documented():
    for name in hnca.__all__:
        assert getattr(hnca, name).__doc__, name
