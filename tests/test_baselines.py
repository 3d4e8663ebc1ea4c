"""The learned baseline: what it learns, in what units, and what it leaves to be credited."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS
from objectives import OBJECTIVES

import hnca
from hnca.baselines import RunningMean
from hnca.baselines import _regression as regression
from hnca.estimators._requirements import require_instance
from hnca.experiments.methods import estimator_of, label
from hnca.experiments.settings import BanditSettings, VAESettings

pytestmark = pytest.mark.usefixtures("float64")


def inputs_of_three():
    return jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def taught(scale, updates, shift=0.0, rate=0.01):
    """Returns a baseline's state after so many batches in which an input decides what is observed."""
    baseline = hnca.LearnedBaseline(learning_rate=rate)
    observed = scale * (inputs_of_three()[:, 0] - inputs_of_three()[:, 1]) + shift

    def update(state, _):
        return baseline.update(state, inputs_of_three(), observed), None

    state, _ = jax.jit(lambda s: jax.lax.scan(update, s, None, length=updates))(baseline.init(3, jnp.float64))
    return baseline, state, observed


@pytest.mark.parametrize(("scale", "shift"), [(0.5, 0.3), (200.0, -500.0)])
def test_it_learns_what_an_input_is_worth_in_any_units(scale, shift):
    baseline, state, observed = taught(scale, 300, shift)
    assert np.max(np.abs(baseline.predict(state, inputs_of_three()) - observed)) < 0.05 * scale


def test_after_one_batch_it_is_the_mean_of_that_batch():
    baseline, state, _ = taught(2.0, 1, shift=-500.0, rate=1e-9)
    np.testing.assert_allclose(baseline.predict(state, inputs_of_three()), -500.0, rtol=1e-6)
    unseen = baseline.predict(baseline.init(3, jnp.float64), inputs_of_three())
    np.testing.assert_array_equal(unseen, jnp.zeros(3))


def test_it_settles_as_the_moving_averages_that_it_says():
    baseline = hnca.LearnedBaseline(decay=0.5)
    state = baseline.init(3, jnp.float64)
    for observed in (1.0, 4.0):
        state = baseline.update(state, inputs_of_three(), jnp.array([observed - 1, observed, observed + 1]))
    np.testing.assert_allclose(state.mean / state.weight, (0.25 * 1 + 0.5 * 4) / 0.75, rtol=1e-12)
    second = np.mean((np.array([3.0, 4.0, 5.0]) - 3.0) ** 2)
    np.testing.assert_allclose(state.variance / state.weight, (0.25 * 2 / 3 + 0.5 * second) / 0.75, rtol=1e-12)


@pytest.mark.parametrize("observed", [0.0, 3.0, 1e6])
def test_one_value_and_nothing_else_stays_finite(observed):
    baseline = hnca.LearnedBaseline()
    state = baseline.init(0, jnp.float32)
    for _ in range(3):
        state = baseline.update(state, jnp.zeros((4, 0), jnp.float32), jnp.full(4, observed, jnp.float32))
    np.testing.assert_allclose(baseline.predict(state, jnp.zeros((4, 0), jnp.float32)), observed, rtol=1e-6)


def test_what_is_nearly_one_value_teaches_it_nothing():
    """Rounding is not told from signal by its deviation: of a third, in float32, every mean is a little off."""
    baseline, inputs = hnca.LearnedBaseline(), jnp.ones((3, 2), jnp.float32)

    def update(state, scale):
        return baseline.update(state, inputs, scale * jnp.full(3, 1 / 3, jnp.float32)), None

    scales = jnp.where(jnp.arange(300) % 2 == 0, 1.0, 1 + 2e-7).astype(jnp.float32)
    state, _ = jax.lax.scan(update, baseline.init(2, jnp.float32), scales)
    assert abs(float(regression.predict(state.regression, inputs)[0])) < 1e-3


@pytest.mark.thorough
def test_hnca_has_nothing_left_to_credit_where_the_input_decides():
    network, _ = NETWORKS["branching"](jax.random.key(0))
    method = hnca.HNCA(hnca.LearnedBaseline(learning_rate=0.01))

    def reward(trace):
        return hnca.Reward("action", 5.0 * trace["image"][:, 0] - 5.0 * trace["image"][:, 1] + 10.0)

    def update(state, key):
        trace = network.sample(key, {"image": inputs_of_three()})
        return method(network, reward(trace), trace, state=state).state, None

    trace = network.sample(jax.random.key(2), {"image": inputs_of_three()})
    fresh = method.init(network, hnca.Objective(reward(trace)))
    run = jax.jit(lambda s: jax.lax.scan(update, s, jax.random.split(jax.random.key(1), 300))[0])
    left = [method(network, reward(trace), trace, state=s).credits["root"] for s in (fresh, run(fresh))]
    assert np.max(np.abs(left[1])) < 0.05 * np.max(np.abs(left[0]))


@pytest.mark.thorough
def test_a_baseline_that_saw_the_sample_would_bias_and_the_enumeration_would_tell():
    """The same estimator, with a state that has just learned from the very trace that it is subtracted from."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    method = hnca.HNCA(hnca.LearnedBaseline(learning_rate=0.1))
    fresh = method.init(network, objective)

    def first_bias(cheats):
        def gradient(trace):
            state = method(network, objective, trace, state=fresh).state if cheats else fresh
            return method(network, objective, trace, state=state).gradient.layers["latent1"].conditional.bias

        exact = hnca.exact.gradient(network, objective, inputs).layers["latent1"].conditional.bias
        return np.max(np.abs(hnca.exact.expectation(network, inputs, gradient) - exact))

    assert first_bias(cheats=False) < 1e-10
    assert first_bias(cheats=True) > 1e-2


@pytest.mark.parametrize(("name", "value"), [("decay", 1.0), ("learning_rate", 0.0), ("learning_rate", jnp.inf)])
def test_what_cannot_be_is_refused(name, value):
    with pytest.raises(ValueError, match=f"LearnedBaseline: {name}={value}; expected"):
        hnca.LearnedBaseline(**{name: value})


def test_names_on_the_command_line():
    assert isinstance(estimator_of("hnca+learned").baseline, hnca.LearnedBaseline)
    assert isinstance(estimator_of("reinforce+baseline").baseline, RunningMean)
    assert label("hnca+learned") == "HNCA with learned baseline"
    assert BanditSettings(estimators=("hnca", "hnca+learned"), baseline=True).all_estimators == (
        "hnca+baseline",
        "hnca+learned",
    )
    ablated = VAESettings(estimators=("hnca+learned",), ablations=("full-reward",))
    assert ablated.all_estimators == ("hnca+learned", "hnca-full-reward+learned")


@pytest.mark.parametrize("value", [hnca.RunningMean, 3], ids=["class", "number"])
def test_an_option_of_another_kind_is_named(value):
    """Of what estimators check as they are built; the suite's own checks of annotations would come before."""
    with pytest.raises(ValueError, match=r"^HNCA: baseline=.*; expected None or hnca.RunningMean\(\)\."):
        require_instance("HNCA", "baseline", value, hnca.Baseline, "hnca.RunningMean()")
    for allowed in (None, hnca.RunningMean()):
        require_instance("HNCA", "baseline", allowed, hnca.Baseline, "hnca.RunningMean()")
