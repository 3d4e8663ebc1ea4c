"""The running mean: debiased by default, as published where the paper's numbers are reproduced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.experiments.methods import METHODS, estimator_of, with_running_mean

pytestmark = pytest.mark.usefixtures("float64")
BATCHES = ([1.0, 3.0], [-6.0, 0.0], [500.0, 600.0])


def predictions(baseline, batches):
    """Returns what is predicted before the first batch and after each."""
    state, inputs = baseline.init(0, jnp.float64), jnp.zeros((2, 0))
    found = [baseline.predict(state, inputs)]
    for batch in batches:
        state = baseline.update(state, inputs, jnp.array(batch))
        found.append(baseline.predict(state, inputs))
    return np.array(found)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_debiased_it_is_the_weighted_mean_of_what_it_has_seen(decay):
    expected = [0.0]
    for seen in range(1, len(BATCHES) + 1):
        weights = decay ** np.arange(seen - 1, -1, -1.0)
        expected.append(np.average([np.mean(b) for b in BATCHES[:seen]], weights=weights))
    np.testing.assert_allclose(predictions(hnca.RunningMean(decay), BATCHES), expected, rtol=1e-12)


def test_as_published_it_begins_at_0_and_is_pulled_there():
    found = predictions(hnca.RunningMean(0.9, debias=False), BATCHES)
    expected = [0.0]
    for batch in BATCHES:
        expected.append(0.9 * expected[-1] + (1 - 0.9) * np.mean(batch))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_debiased_it_leaves_nothing_of_a_constant_after_one_batch():
    left = [predictions(hnca.RunningMean(debias=debias), [[-540.0, -540.0]])[1] for debias in (True, False)]
    np.testing.assert_allclose(left, [-540.0, -5.4], rtol=1e-12)


def test_the_experiments_that_reproduce_the_paper_take_the_paper_s():
    published = hnca.RunningMean(0.99, debias=False)
    with_one = [name for name in METHODS if with_running_mean(name) != name]
    assert {"hnca", "hnca-all-children", "hnca-full-reward", "reinforce"} <= set(with_one)
    for name in with_one:
        assert estimator_of(f"{name}+baseline").baseline == published
    assert jax.tree.structure(published.init(0, jnp.float64)) == jax.tree.structure(jnp.zeros(()))
