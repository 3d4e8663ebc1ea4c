"""The versions that `.ci/matrix` tries are those that are declared, which stand in pyproject.toml alone."""

import importlib.util
import re
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MATRIX = ROOT / ".ci" / "matrix"

pytestmark = pytest.mark.skipif(not MATRIX.exists(), reason="the script is no part of an sdist")


@pytest.fixture(scope="module")
def matrix():
    loader = SourceFileLoader("matrix", str(MATRIX))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
    loader.exec_module(module)
    return module


def test_the_oldest_jax_is_the_one_declared(matrix):
    (declared,) = re.findall(
        r'^    "jax>=([\d.]+),!=[\d.]+",', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE
    )
    for python in matrix.PYTHONS:
        assert f"jax=={declared}" in matrix.pins("oldest", python)
        assert matrix.pins("newest", python) == []
    assert not re.search(r"jax[=>]=\d", MATRIX.read_text())
    assert any(r.startswith(f"jax[cuda12]>={declared},") for r in matrix.PROJECT["optional-dependencies"]["cuda"])


def test_the_oldest_python_gets_the_oldest_of_everything(matrix):
    pins = matrix.pins("oldest", matrix.PYTHONS[0])
    assert len(pins) > 15
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)
    assert matrix.PROJECT["requires-python"] == f">={matrix.PYTHONS[0]}"


def test_the_pythons_claimed_are_tried(matrix):
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(matrix.PROJECT["classifiers"]))
    assert set(claimed) <= set(matrix.PYTHONS)


def test_the_tests_it_runs_are_there(matrix):
    for test in matrix.TESTS:
        name, function = re.fullmatch(r"(\w+\.py)::(\w+)(?:\[.*\])?", test).groups()
        assert f"def {function}(" in (ROOT / "tests" / name).read_text()


def test_what_is_told_was_tried_with_the_oldest_jax(matrix):
    (declared,) = (pin.partition("==")[2] for pin in matrix.pins("oldest", "3.12"))
    told = (ROOT / "docs" / "dependencies.md").read_text().partition("## What it was tried with")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines() if line.startswith("|")]
    assert rows[0] == list(matrix.COLUMNS)
    tried = {(row[0], row[1]) for row in rows[2:] if row[5] == "passed"}
    for python in re.findall(r"Python :: (3\.\d+)", " ".join(matrix.PROJECT["classifiers"])):
        jaxes = {jax for version, jax in tried if version == python}
        assert any(jax.startswith(f"{declared}.") for jax in jaxes)
        assert len(jaxes) == 2
    assert all(row[5] == "passed" or row[5].startswith("skipped") for row in rows[2:])
