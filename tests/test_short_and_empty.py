"""Estimators in floats of sixteen bits, of empty batches, and `Exact` in float32: what is carried, and what is lost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES
from networks import NETWORKS, randomised
from objectives import OBJECTIVES

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

LEARNS = {
    "NVIL": hnca.NVIL(),
    "REBAR": hnca.REBAR(),
    "RELAX": hnca.RELAX(hidden_units=3),
    "RODEO": hnca.RODEO(hidden_units=3),
    "double control variates": hnca.DoubleControlVariates(),
    "HNCA with a learned baseline": hnca.HNCA(hnca.LearnedBaseline()),
    "REINFORCE with a running mean": hnca.REINFORCE(hnca.RunningMean()),
}


def small(dtype, batch):
    """x -> first -> second, and what hangs on both."""
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    layers = {
        "first": hnca.Bernoulli(hnca.Dense("x", 2, 3, key=k1), (-1, 1)),
        "second": hnca.Bernoulli(hnca.Dense("first", 3, 2, key=k2)),
    }
    network = randomised(hnca.Network(layers, inputs={"x": 2}), k3)
    network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32).astype(dtype), network)
    inputs = jax.random.normal(jax.random.key(1), (batch, 2), jnp.float32).astype(dtype)
    return network, network.sample(jax.random.key(2), {"x": inputs})


def product(first, second):
    """Large beside what varies of it, and the same number in float32 as in float64."""
    return 64 + jnp.round(1024 * jnp.sin(jnp.sum(first) * jnp.sum(second) + second[0])) / 1024


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", LEARNS)
@pytest.mark.sweep
def test_what_is_learned_is_kept_in_float32(name, dtype):
    """Two calls: Adam's 1e-8 is 0 in float16, and whatever it is divided into then is no number."""
    network, trace = small(dtype, 4)
    objective = hnca.Objective(hnca.Function(product, ("first", "second")), hnca.SampledEntropy(network, "first"))
    compiled, state = eqx.filter_jit(LEARNS[name]), None
    for call in range(2):
        estimate = compiled(network, objective, trace, key=jax.random.key(call), state=state)
        state = estimate.state
        assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype("float32"), jnp.dtype("int32")}
        assert {leaf.dtype for leaf in jax.tree.leaves(estimate.gradient)} == {jnp.dtype(dtype)}
        assert {leaf.dtype for leaf in jax.tree.leaves(estimate.credits)} == {jnp.dtype("float32")}
        for leaf in jax.tree.leaves((estimate.credits, estimate.gradient, state)):
            assert jnp.all(jnp.isfinite(leaf))


@pytest.mark.filterwarnings("ignore:hnca. the batch has no examples")
@pytest.mark.parametrize("case", ALL_CASES.values(), ids=list(ALL_CASES))
@pytest.mark.sweep
def test_of_an_empty_batch_nothing_is_learned(case):
    network, objective, inputs = OBJECTIVES[case.objective](jax.random.key(0))
    inputs = {name: jnp.zeros((0, *value.shape)) for name, value in inputs.items()}

    def estimated(key, state):
        trace = network.sample(key, inputs)
        estimate = case.estimator(network, objective, trace, key=key, state=state)
        return estimate.credits, estimate.gradient, estimate.state

    before = case.estimator.init(network, objective)
    with pytest.warns(UserWarning, match="the batch has no examples"):
        shapes = jax.eval_shape(estimated, jax.random.key(1), before)
    assert all(0 in credit.shape for credit in shapes[0].values())
    if jax.tree.leaves(before):
        _, gradient, after = jax.jit(estimated)(jax.random.key(1), before)
        jax.tree.map(np.testing.assert_array_equal, after, before)
        assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.filterwarnings("ignore:hnca. the batch has no examples")
@pytest.mark.parametrize(("batch", "dtype"), [(0, jnp.float32), (2, jnp.float16)])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_there_are_messages_in_an_empty_batch_and_in_short_floats(name, batch, dtype):
    network, inputs = NETWORKS[name](jax.random.key(0))
    network = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, network)
    inputs = {key: jnp.zeros((batch, *value.shape), dtype) for key, value in inputs.items()}
    objective = hnca.Objective(*(hnca.Entropy(network, layer) for layer in network.order))

    def credits(key):
        trace = network.sample(key, inputs, (batch,))
        return trace.logits, hnca.HNCA()(network, objective, trace).credits

    logits, found = jax.eval_shape(credits, jax.random.key(1))
    assert found == {name: jax.ShapeDtypeStruct(each.shape, jnp.float32) for name, each in logits.items()}


@pytest.mark.thorough
def test_exact_loses_no_digits_over_many_examples():
    with jax.enable_x64(True):
        found = []
        for dtype in (jnp.float32, jnp.float64):
            network, trace = small(dtype, 2000)
            estimate = eqx.filter_jit(hnca.Exact())(network, hnca.Function(product, network.order), trace)
            found.append(jax.tree.leaves(estimate.gradient))
        for short, long in zip(*found, strict=True):
            scale = float(jnp.max(jnp.abs(long)))
            np.testing.assert_allclose(np.asarray(short, np.float64), long, rtol=0, atol=1e-5 * scale)


def masked(h):
    return jnp.where(jnp.array([True, False, True]), jnp.sum(h) * jnp.arange(3.0), -jnp.inf)


@pytest.mark.thorough
def test_exact_gives_what_cannot_happen_no_weight():
    """Log-probabilities of impossible states are infinite; against the network without the masked category."""

    def gradients(categories, function):
        hidden = randomised(hnca.Bernoulli(hnca.Dense("x", 2, 2, key=jax.random.key(0))), jax.random.key(1))
        layers = {"h": hidden, "z": hnca.Categorical(hnca.Apply(function, "h", categories))}
        network = hnca.Network(layers, inputs={"x": 2})
        wave = hnca.Function(lambda h, z: jnp.sin(jnp.sum(h) + z[0]), ("h", "z"))
        objective = hnca.Objective(wave, hnca.SampledEntropy(network, "z"))
        x = jnp.array([0.3, -1.0])
        trace = network.sample(jax.random.key(2), {"x": x[None]})
        estimate = eqx.filter_jit(hnca.Exact())(network, objective, trace)
        exact = hnca.exact.gradient(network, objective, {"x": x})
        return [jnp.mean(estimate.value), *jax.tree.leaves(estimate.gradient)], jax.tree.leaves(exact)

    found, by_state = gradients(3, masked)
    expected, _ = gradients(2, lambda h: masked(h)[::2])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(by_state, expected[1:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
