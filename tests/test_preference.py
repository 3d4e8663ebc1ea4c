"""Counterfactuals chosen by what was learned: by enumeration of the one number that the choice hangs on, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS, reward_of
from objectives import OBJECTIVES
from test_counterfactuals import KEY, anything
from test_exact import largest_difference

import hnca
from hnca.estimators import _choice
from hnca.estimators._choice import ends_of, falling
from hnca.estimators._preference import no_preference, preferred

pytestmark = pytest.mark.usefixtures("float64")


def pieces(ends):
    """Returns the middles and lengths of the parts of [0, 1) on which every choice is the same."""
    cuts = np.unique(np.concatenate([[0.0, 1.0], *(np.asarray(each).ravel() % 1 for each in ends)]))
    return (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts)


@pytest.mark.parametrize("size", [1, 3, 6])
@pytest.mark.sweep
def test_every_unit_is_chosen_as_often_as_its_weight_says(size):
    weights = np.random.default_rng(0).exponential(size=(4, 7)) ** 3 + 0.01
    ends = ends_of(jnp.asarray(weights), size)
    wanted = np.stack([filled(row, size) for row in weights])
    for row, end, probabilities in zip(range(4), ends, wanted, strict=True):
        middles, lengths = pieces([end])
        often = np.zeros(7)
        for middle, length in zip(middles, lengths, strict=True):
            chosen = np.asarray(falling(end, jnp.asarray(middle), size))
            assert len(set(chosen.tolist())) == size, row
            often[chosen] += length
        np.testing.assert_allclose(often, probabilities, atol=1e-12)


def filled(weights, size):
    """What is above 1 is cut off, and the others share the rest, until nothing is above 1."""
    certain = np.zeros(len(weights), bool)
    while True:
        share = np.where(certain, 0, weights)
        probabilities = np.where(certain, 1, share * (size - certain.sum()) / share.sum())
        if np.all(probabilities <= 1 + 1e-12):
            return probabilities
        certain |= probabilities > 1


@pytest.mark.parametrize(
    ("setting", "make"),
    [
        ("scattered over convolutional", hnca.HNCA),
        pytest.param("scattered over convolutional", hnca.LeaveOneOutHNCA, marks=pytest.mark.thorough),
        ("categorical hidden", hnca.HNCA),  # all values of a category are evaluated
        ("nonlinear", hnca.HNCA),  # mediated by networks
    ],
)
@pytest.mark.sweep
def test_the_mean_over_all_choices_is_the_credit(setting, make, monkeypatch):
    """Whatever has been learned: given the samples, the credits of the estimator that evaluates everything."""
    if setting in OBJECTIVES:
        network, objective, inputs = OBJECTIVES[setting](jax.random.key(0))
    else:
        (network, inputs), objective = NETWORKS[setting](jax.random.key(0)), reward_of
    trace = network.sample(jax.random.key(1), inputs)
    if callable(objective):
        objective = objective(trace)
    estimator = make(counterfactuals=1, guess="slope")
    state = jax.tree.map(jnp.abs, anything(estimator.init(network, objective)))
    seen = []

    def given(offset):
        def offsets(_key, batch_shape, like):
            seen.append(like)
            return jnp.full(batch_shape, offset, like.dtype)

        monkeypatch.setattr(_choice, "offsets", offsets)
        return estimator(network, objective, trace, key=KEY, state=state).credits

    given(0.5)
    assert seen, "nothing was chosen"
    middles, lengths = pieces([each for each in seen if not isinstance(each, jax.core.Tracer)])
    found = jax.lax.map(given, jnp.asarray(middles))
    mean = jax.tree.map(lambda leaf: jnp.tensordot(jnp.asarray(lengths), leaf, 1), found)
    exact = make()(network, objective, trace, key=KEY).credits
    assert largest_difference(mean, exact) < 1e-10
    assert not all(jnp.allclose(leaf, leaf[:1]) for leaf in jax.tree.leaves(found))


def test_before_anything_is_known_all_units_are_alike():
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(3))})
    entropy = jnp.asarray([[0.6, 0.1, 0.0]])
    known = no_preference(network, "code")
    np.testing.assert_array_equal(preferred(known, entropy), 1)
    known = known._replace(squares=jnp.asarray([9.0, 0.0, 9.0]), times=jnp.ones(3))
    weights = preferred(known, entropy)[0]
    # The mean of what was seen, 6, counts as seen once: sizes are the roots of 15 / 2, 6 / 2 and 15 / 2.
    products = np.asarray(entropy[0]) * np.sqrt([7.5, 3.0, 7.5])
    np.testing.assert_allclose(weights, 0.1 + 0.9 * products / products.mean(), rtol=1e-12)


def test_a_unit_whose_guess_is_far_off_is_asked_more_often():
    def bent(code):
        return code[:3].sum() ** 3 + code[3:].sum()

    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(6))})
    objective = hnca.Objective(hnca.Function(bent, of="code"))
    estimator = hnca.HNCA(counterfactuals=2)

    @jax.jit
    def step(state, key):
        k1, k2 = jax.random.split(key)
        trace = network.sample(k1, {}, (20,))
        return estimator(network, objective, trace, key=k2, state=state).state, None

    state, _ = jax.lax.scan(step, estimator.init(network, objective), jax.random.split(KEY, 50))
    entropy = jnp.full((1, 6), 0.69)
    weights = np.asarray(preferred(state.guesses["code"]["choice"], entropy)[0])
    assert weights[:3].min() > 3 * weights[3:].max()
