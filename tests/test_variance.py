"""The variance from credits against per-example gradients made one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS
from objectives import OBJECTIVES

import hnca

pytestmark = pytest.mark.usefixtures("float64")


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))


def setting(name, batch):
    network, inputs = NETWORKS[name](jax.random.key(0))
    wave = jnp.cos(jnp.arange(float(np.prod(batch)))).reshape(*batch, 1)
    inputs = {key: wave * value.reshape(*(1 for _ in batch), -1) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(1), inputs, batch)
    reward = hnca.Reward("action", jnp.sin(jnp.arange(float(np.prod(batch)))).reshape(batch))
    return network, trace, eqx.filter_jit(hnca.HNCA())(network, reward, trace)


@pytest.mark.parametrize("batch", [(7,), (2, 4)])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_it_is_the_variance_of_materialised_gradients(name, batch):
    network, trace, estimate = setting(name, batch)
    count = int(np.prod(batch))

    def example_gradient(values, credits):
        example = network.evaluate(values, ())
        reward = hnca.Reward("action", jnp.zeros(()))
        surrogate = eqx.filter_grad(lambda n: hnca.surrogate(n, reward, example, credits))
        return eqx.filter(surrogate(network), eqx.is_inexact_array)

    flat = jax.tree.map(lambda a: a.reshape(count, *a.shape[len(batch) :]), (trace.values, estimate.credits))
    expected = jax.tree.map(lambda a: jnp.var(a, axis=0), jax.jit(jax.vmap(example_gradient))(*flat))
    found = eqx.filter_jit(hnca.variance.gradient_variance)(network, trace, estimate.credits)
    for layer in network.order:
        for a, b in zip(arrays(found[layer]), arrays(expected.layers[layer].conditional), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    conditionals = [expected.layers[layer].conditional for layer in network.order]
    everything = jnp.concatenate([leaf.ravel() for leaf in arrays(conditionals)])
    mean = eqx.filter_jit(hnca.variance.mean_gradient_variance)(network, trace, estimate.credits, estimate.gradient)
    np.testing.assert_allclose(mean, jnp.mean(everything), rtol=1e-10)


def test_only_the_layers_asked_for_count():
    network, trace, estimate = setting("branching", (6,))
    chosen = {"left": estimate.credits["left"]}
    found = hnca.variance.gradient_variance(network, trace, chosen)
    assert set(found) == {"left"}
    mean = hnca.variance.mean_gradient_variance(network, trace, chosen, estimate.gradient)
    np.testing.assert_allclose(mean, np.mean(np.concatenate([np.ravel(a) for a in arrays(found)])), rtol=1e-10)


@pytest.mark.parametrize("name", ["branching", "categorical hidden"])
@pytest.mark.sweep
def test_an_example_may_be_the_mean_of_several_passes(name):
    """Six traces as three passes of two examples: the variance of the examples' means over passes."""
    network, trace, estimate = setting(name, (3, 2))

    def example_gradient(values, credits):
        reward = hnca.Reward("action", jnp.zeros((3,)))
        passes = network.evaluate(values, (3,))
        found = eqx.filter_grad(lambda n: hnca.surrogate(n, reward, passes, credits))(network)
        return eqx.filter(found, eqx.is_inexact_array)

    by_example = jax.jit(jax.vmap(example_gradient, in_axes=1))(trace.values, estimate.credits)
    expected = jax.tree.map(lambda a: jnp.var(a, axis=0), by_example)
    found = eqx.filter_jit(hnca.variance.gradient_variance)(network, trace, estimate.credits, passes=3)
    for layer in network.order:
        for a, b in zip(arrays(found[layer]), arrays(expected.layers[layer].conditional), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    compiled = eqx.filter_jit(hnca.variance.mean_gradient_variance)
    mean = compiled(network, trace, estimate.credits, estimate.gradient, passes=3)
    np.testing.assert_allclose(mean, jnp.mean(jnp.concatenate([leaf.ravel() for leaf in arrays(expected)])), rtol=1e-10)


def test_credits_and_direct_credits_make_the_whole_gradient():
    """The entropies of an ELBO depend on the logits themselves."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    batch = {"image": jnp.stack([inputs["image"], 1 - inputs["image"]])}
    trace = network.sample(jax.random.key(1), batch)
    estimate = hnca.HNCA()(network, objective, trace)
    both = jax.tree.map(jnp.add, estimate.credits, hnca.direct_credits(network, objective, trace))
    nothing = hnca.Reward("latent1", jnp.zeros(2))
    found = jax.grad(lambda n: hnca.surrogate(n, nothing, trace, both))(network)
    for a, b in zip(arrays(found), arrays(estimate.gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    assert any(float(jnp.max(jnp.abs(both[n] - estimate.credits[n]))) > 0.01 for n in both)
