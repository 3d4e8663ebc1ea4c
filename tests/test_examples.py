"""The examples run, and what they train learns; fewer updates than when run by hand."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("quick_compilation")

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


@pytest.mark.thorough
def test_a_categorical_policy_learns_from_rewards():
    _, rewards = example("categorical_policy").train(updates=1000)
    assert np.mean(rewards[:100]) < 0.3 < 0.55 < np.mean(rewards[-100:])


@pytest.mark.thorough
def test_binary_codes_find_images_of_the_same_digit():
    codes = example("binary_codes")
    encoder, elbos = codes.train(updates=400)
    assert np.mean(elbos[-50:]) > np.mean(elbos[:50]) + 60
    assert codes.retrieval_precision(encoder, database=3000, queries=200) > 0.4


@pytest.mark.thorough
def test_both_branches_learn():
    branching = example("branching")
    _, rewards = branching.train(updates=600)
    start, end = np.mean(rewards[:20], axis=0), np.mean(rewards[-50:], axis=0)
    assert start[0] < 0.65 < 0.7 < end[0]
    assert start[1] < 0.45 < 0.8 < end[1]


def test_a_gate_and_its_experts_learn():
    _, errors = example("gate_over_experts").train(updates=300)
    assert np.mean(errors[:20]) > 1.0
    assert np.mean(errors[-100:]) < 0.1


def test_an_epidemic_is_fitted_to_counts():
    epidemic = example("epidemic")
    counts = jax.numpy.array([3.0, 5.0])
    rates, losses = epidemic.fit(updates=60, counts=counts, learning_rate=0.1)
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert rates["infection"] > np.log(0.3)
    assert rates["recovery"] < np.log(0.5)


def test_a_policy_learns_from_stored_actions():
    lengths = example("cartpole").train(updates=12, steps=500)
    assert np.mean(lengths[-3:]) > 1.5 * np.mean(lengths[:3])


def test_an_auto_encoder_of_flax_modules_learns():
    _, losses = example("vae_flax").train(updates=60, images=200)
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 150


@pytest.mark.thorough
def test_labels_are_recognised_though_few_are_known():
    assert example("known_labels").train(updates=60) > 0.4


def test_every_example_is_run():
    run = {"categorical_policy", "binary_codes", "branching", "gate_over_experts", "epidemic", "cartpole", "vae_flax"}
    run |= {"known_labels"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == run
