"""The examples run, and what they train learns; fewer updates than when run by hand."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def as_a_user_would():
    """Without the suite's strictness, which a user's own code need not bear."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def test_a_categorical_policy_learns_from_rewards():
    _, rewards = example("categorical_policy").train(updates=1000)
    assert np.mean(rewards[:100]) < 0.3 < 0.55 < np.mean(rewards[-100:])


def test_binary_codes_find_images_of_the_same_digit():
    codes = example("binary_codes")
    encoder, elbos = codes.train(updates=400)
    assert np.mean(elbos[-50:]) > np.mean(elbos[:50]) + 60
    assert codes.retrieval_precision(encoder, database=3000, queries=200) > 0.4


def test_both_branches_learn():
    branching = example("branching")
    _, rewards = branching.train(updates=600)
    start, end = np.mean(rewards[:20], axis=0), np.mean(rewards[-50:], axis=0)
    assert start[0] < 0.65 < 0.7 < end[0]
    assert start[1] < 0.45 < 0.8 < end[1]


def test_every_example_is_run():
    run = {"categorical_policy", "binary_codes", "branching"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == run
