"""What the further score-function estimators promise besides being unbiased."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS, reward_of
from objectives import OBJECTIVES
from test_exact import largest_difference

import hnca
from hnca.exact import gradient, moments
from hnca.experiments.methods import estimator_of as named
from hnca.experiments.methods import names

pytestmark = pytest.mark.usefixtures("float64")
BERNOULLI = ["1-layer auto-encoder", "2-layer auto-encoder", "3-layer auto-encoder"]


@pytest.mark.parametrize("name", [*BERNOULLI, "scattered over dead end", "auto-encoder with sampled entropies"])
@pytest.mark.sweep
def test_muprop_is_unbiased(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    bernoulli = all(isinstance(layer, hnca.Bernoulli) for layer in network.layers.values())
    if not bernoulli:
        trace = network.sample(jax.random.key(1), inputs)
        with pytest.raises(ValueError, match="MuProp: is for Bernoulli layers, and not for Categorical"):
            hnca.MuProp()(network, objective, trace)
        return
    found = moments(hnca.MuProp(), network, objective, inputs)
    assert largest_difference(found.mean, gradient(network, objective, inputs)) < 1e-10
    assert largest_difference(found.variance, jax.tree.map(jnp.zeros_like, found.variance)) > 1e-6


def test_muprop_has_no_variance_where_the_objective_is_linear():
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(4), (-1, 1))})
    linear = hnca.Function(lambda code: jnp.sum(jnp.array([1.0, -2.0, 0.5, 3.0]) * code), "code", counterfactual="none")
    found = moments(hnca.MuProp(), network, linear, {})
    assert largest_difference(found.variance, jax.tree.map(jnp.zeros_like, found.variance)) < 1e-20
    assert largest_difference(found.mean, gradient(network, linear, {})) < 1e-12


def test_a_reward_is_no_function_for_muprop():
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="observed once does not allow; use HNCA or REINFORCE"):
        hnca.MuProp()(network, reward_of(trace), trace)


@pytest.mark.thorough
def test_one_layer_local_expectations_are_what_hnca_has_exactly():
    network, objective, inputs = OBJECTIVES["1-layer auto-encoder"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), {"image": jnp.stack([inputs["image"], 1 - inputs["image"]])})
    brute = hnca.LocalExpectation()(network, objective, trace, key=jax.random.key(2))
    ours = hnca.HNCA()(network, objective, trace)
    np.testing.assert_allclose(brute.credits["latent1"], ours.credits["latent1"], rtol=1e-10)


def test_two_samples_are_leave_one_out():
    """The same distribution: exact variance of the one by enumeration is too dear, so the same formula by its draws."""
    network, objective, inputs = OBJECTIVES["1-layer auto-encoder"](jax.random.key(0))

    def variance(estimator):
        def draw(key):
            trace_key, own_key = jax.random.split(key)
            return estimator(network, objective, network.sample(trace_key, inputs), key=own_key).credits["latent1"]

        return np.var(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 40_000)), axis=0)

    two, pair = variance(hnca.MultiSampleLeaveOneOut(2)), variance(hnca.LeaveOneOut())
    np.testing.assert_allclose(two, pair, rtol=0.1)
    assert np.all(variance(hnca.MultiSampleLeaveOneOut(6)) < 0.7 * two)


@pytest.mark.thorough
def test_others_as_a_baseline_lower_the_variance_of_hnca():
    network, objective, inputs = OBJECTIVES["3-layer auto-encoder"](jax.random.key(0))

    def variance(estimator):
        def draw(key):
            trace_key, own_key = jax.random.split(key)
            estimate = estimator(network, objective, network.sample(trace_key, inputs), key=own_key)
            return estimate.gradient.layers["latent1"].conditional.bias

        return np.mean(np.var(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 20_000)), axis=0))

    assert variance(hnca.LeaveOneOutHNCA(4)) < 0.5 * variance(hnca.HNCA())


@pytest.mark.parametrize("estimator", [hnca.LeaveOneOutHNCA, hnca.MultiSampleLeaveOneOut, hnca.IndependentLeaveOneOut])
def test_one_sample_has_no_others(estimator):
    with pytest.raises(ValueError, match="samples=1; expected at least 2"):
        estimator(samples=1)


def trained_nvil(of_root=0.0, updates=300):
    network, _ = NETWORKS["branching"](jax.random.key(0))
    estimator = hnca.NVIL(normalise=False, learning_rate=0.01)
    states = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    keys = jax.random.split(jax.random.key(1), updates)

    def reward(trace):
        of_image = 5.0 * trace["image"][..., 0] - 5.0 * trace["image"][..., 1] + 10.0
        return hnca.Reward("action", of_image + of_root * trace["root"][..., 0])

    def update(state, key):
        trace = network.sample(key, {"image": states})
        return estimator(network, reward(trace), trace, state=state).state, None

    first = network.sample(keys[0], {"image": states})
    state = estimator.init(network, hnca.Objective(reward(first)))
    state, _ = jax.lax.scan(update, state, keys)
    trace = network.sample(jax.random.key(2), {"image": states})
    return estimator, network, reward, trace, state


def with_embedding(*readers):
    key, dense = jax.random.key(0), hnca.Dense("x", 2, 6, key=jax.random.key(1))
    layers = {"c": hnca.Categorical(dense, 3, embedding=jax.random.normal(key, (3, 2)))}
    return hnca.Network(layers | {n: hnca.Bernoulli(hnca.Dense("c", 4, 2, key=key)) for n in readers}, {"x": 2})


def test_one_scale_for_an_embedding_or_none():
    """By each reader its gradient has another scale: with two it would point elsewhere."""
    of_c, of_g = (hnca.Function(jnp.sum, of=name) for name in ("c", "g"))
    two, one, none = with_embedding("g", "h"), with_embedding("g"), with_embedding()
    entropies = [hnca.Entropy(one, "c"), hnca.Entropy(one, "g"), hnca.Weighted(hnca.SampledEntropy(one, "g"), 0.5)]
    for network, terms in [(two, [of_g]), (one, [of_g, of_c]), (none, [of_c, of_c])]:
        with pytest.raises(ValueError, match=r"NVIL: the embedding of layer 'c' is read by .*; expected normalise"):
            hnca.NVIL().init(network, hnca.Objective(*terms))
        hnca.NVIL(normalise=False).init(network, hnca.Objective(*terms))
    for network, terms in [(one, [of_g, *entropies]), (none, [of_c])]:
        hnca.NVIL().init(network, hnca.Objective(*terms))


@pytest.mark.thorough
def test_nvil_learns_what_an_input_is_worth():
    """Rewards that depend on the input alone leave nothing to credit."""
    estimator, network, reward, trace, state = trained_nvil()
    before, after = (estimator(network, reward(trace), trace, state=s).credits["root"] for s in (None, state))
    assert np.max(np.abs(after)) < 0.1 * np.max(np.abs(before))


def test_nvil_learns_what_a_parent_is_worth_and_stays_unbiased():
    """A reward of the root alone leaves nothing to its children, and less noise to itself; enumerated."""
    estimator, network, reward, _, state = trained_nvil(of_root=5.0)
    inputs = {"image": jnp.array([1.0, 0.0, 0.0])}
    fresh, trained = (moments(estimator, network, reward, inputs, state=s) for s in (None, state))
    assert largest_difference(trained.mean, gradient(network, reward, inputs)) < 1e-10
    for child in ("left", "right"):
        before, after = (jax.tree.leaves(m.variance.layers[child]) for m in (fresh, trained))
        assert sum(float(jnp.sum(leaf)) for leaf in after) < 0.02 * sum(float(jnp.sum(leaf)) for leaf in before)


def test_a_normalised_gradient_is_the_exact_one_on_another_scale_in_each_layer():
    """Enumerated, of an objective with analytic entropies, which the scale must not weigh against the rest."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    batch = {key: jnp.broadcast_to(value, (20, *value.shape)) for key, value in inputs.items()}
    trace, state = network.sample(jax.random.key(1), batch), None
    for _ in range(3):
        state = hnca.NVIL(decay=0.5)(network, objective, trace, state=state).state
    found, exact = (
        moments(hnca.NVIL(), network, objective, inputs, state=state).mean,
        gradient(network, objective, inputs),
    )
    for name in network.order:
        scale = 1 / max(1.0, float(state[name].variance) ** 0.5)
        assert scale < 0.9
        for one, other in zip(*(jax.tree.leaves(g.layers[name]) for g in (found, exact)), strict=True):
            np.testing.assert_allclose(one, scale * other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("decay", 1.0), ("learning_rate", 0.0)])
def test_nvil_refuses_what_cannot_be(name, value):
    with pytest.raises(ValueError, match=f"NVIL: {name}={value}; expected"):
        hnca.NVIL(**{name: value})


@pytest.mark.parametrize("name", names({"reward", "function"}))
def test_every_name_on_the_command_line_is_an_estimator(name):
    assert isinstance(named(name), hnca.Estimator)
