"""A program has the numbers of the network that it is, described by hand: at the paper's sizes."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

_path = Path(__file__).parents[1] / "benchmarks" / "programs.py"
_spec = importlib.util.spec_from_file_location("benchmarks_programs", _path)
models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)

BATCH = 4


def drawn_by(function, network, keys, *data):
    """Returns the values that a program's draws take under plain `jax.vmap`, by name."""

    class Recorded:
        """`hnca`, with every draw's value kept."""

        def __init__(self):
            self.values = {}

        def __getattr__(self, name):
            if name not in ("bernoulli", "categorical"):
                return getattr(hnca, name)

            def draw(key, logits, **settings):
                value = getattr(hnca, name)(key, logits, **settings)
                self.values[settings["name"]] = jnp.atleast_1d(value)
                return value

            return draw

    def one(key, *data):
        recorded = Recorded()
        module, models.hnca = models.hnca, recorded
        try:
            function(network, key, *data)
        finally:
            models.hnca = module
        return recorded.values

    return jax.jit(jax.vmap(one))(keys, *data)


def assert_equal_trees(found, expected):
    leaves = jax.tree.leaves(found), jax.tree.leaves(expected)
    for a, b in zip(*leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.max(jnp.abs(b)) + 1e-6))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.sweep
def test_an_auto_encoder(depth, quick_compilation):
    encoder, decoder = models.auto_encoder(depth, jax.random.key(2))
    keys, xs = jax.random.split(jax.random.key(1), BATCH), models.images(jax.random.key(0), BATCH)
    program = jax.jit(hnca.value_and_grad(models.bound, in_axes=(None, 0, 0)))
    value, gradient = program((encoder, decoder), keys, xs)
    drawn = drawn_by(models.bound, (encoder, decoder), keys, xs)

    @jax.jit
    def described(encoder, decoder):
        bound, trace = hnca.ELBO(encoder, decoder), encoder.evaluate({"image": xs, **drawn}, (BATCH,))
        estimate = hnca.HNCA()(encoder, bound, trace)
        return jnp.mean(bound.value(encoder, trace)), (estimate.gradient, estimate.objective_gradient)

    expected, (of_encoder, of_objective) = described(encoder, decoder)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert_equal_trees(gradient, (of_encoder, of_objective.decoder))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.sweep
def test_a_bandit(depth, quick_compilation):
    network, labels = models.bandit(depth, jax.random.key(2)), jnp.arange(BATCH) % models.ACTIONS
    keys, xs = jax.random.split(jax.random.key(1), BATCH), models.images(jax.random.key(0), BATCH)
    program = jax.jit(hnca.value_and_grad(models.reward, in_axes=(None, 0, 0, 0)))
    drawn = drawn_by(models.reward, network, keys, xs, labels)
    # That some reward is not 0.
    labels = labels.at[:2].set(drawn["action"][:2, 0])
    value, gradient = program(network, keys, xs, labels)
    assert value >= 0.5

    @jax.jit
    def described(network):
        trace = network.evaluate({"image": xs, **drawn}, (BATCH,))
        rewards = (trace["action"][:, 0] == labels).astype(jnp.float32)
        return hnca.HNCA()(network, hnca.Reward("action", rewards), trace).gradient

    assert_equal_trees(gradient, described(network))
