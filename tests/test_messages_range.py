"""Messages of every family pair for weights from 0.1 to 1e4, in float32 against float64, and their derivatives."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS

import hnca
from hnca.messages import compiled
from hnca.messages.categorical_pair import categorical_pair_message
from hnca.messages.categorical_parent import categorical_parent_message
from hnca.messages.compiled import choice
from hnca.messages.softmax import softmax_message

SCALES = [0.1, 1.0, 5.0, 10.0, 30.0, 45.0, 87.5, 88.3, 120.0, 1e3, 1e4]
BATCH, PARENTS, CHILDREN, CATEGORIES = 6, 5, 33, 3


def drawn(shape, scale, seed):
    """Heavy on both signs, half of them of full size, so that sums of a few leave the range of floats."""
    rng = np.random.default_rng(seed)
    size = np.where(rng.random(shape) < 0.5, 1.0, rng.random(shape))
    return jnp.asarray(scale * size * rng.choice([-1, 1], shape), jnp.float32)


def logarithm_of(logits, taken, axes):
    return np.take_along_axis(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True), taken, -1).sum(-1)


def reference(weight, logits, chosen, values):
    """In float64 with two-valued units as two categories, shifts `[parents, alternatives, children, categories]`.

    Also the sum of the magnitudes of the terms: the shift of the value taken, and the log of the mean exponential.
    """
    w, a = np.asarray(weight, np.float64), np.asarray(logits, np.float64)
    result = np.zeros((*values.shape, w.shape[1]))
    magnitude = np.zeros_like(result)
    log_p = a - np.logaddexp.reduce(a, axis=-1, keepdims=True)
    for i in range(w.shape[0]):
        for k in range(w.shape[1]):
            delta = w[i, k][None] - w[i][np.asarray(values)[:, i]]
            linear = np.take_along_axis(delta, np.asarray(chosen)[..., None], -1)[..., 0]
            grown = np.logaddexp.reduce(log_p + delta, axis=-1)
            result[:, i, k] = (linear - grown).sum(-1)
            magnitude[:, i, k] = (np.abs(linear) + np.abs(grown)).sum(-1)
    return result, magnitude


def two(array):
    """Logits or weights of the upper value as those of two categories."""
    return jnp.stack([jnp.zeros_like(array), array], axis=-1)


def up_less_low(result, magnitude):
    return result[..., 1] - result[..., 0], magnitude.sum(-1)


def setting(scale, logit_scale, seed=0):
    rng = np.random.default_rng(seed)
    chosen = jnp.asarray(rng.integers(0, CATEGORIES, (BATCH, CHILDREN)), jnp.int32)
    values = jnp.asarray(rng.integers(0, CATEGORIES, (BATCH, PARENTS)), jnp.int32)
    weight = drawn((PARENTS, CATEGORIES, CHILDREN, CATEGORIES), scale, seed + 1)
    return weight, drawn((BATCH, CHILDREN, CATEGORIES), logit_scale, seed + 2), chosen, values


def to_bernoulli(values):
    return jnp.minimum(values, 1), jnp.minimum(values, 1).astype(jnp.float32)


def softmax_pair(weight, logits, chosen, values):
    states, state = to_bernoulli(values)
    w = weight[:, 0]
    full = jnp.stack([jnp.zeros_like(w), w], axis=1)
    return jax.jit(softmax_message, static_argnums=1)(w, 1.0, logits, chosen, state), up_less_low(
        *reference(full, logits, chosen, states)
    )


def categorical_pair(weight, logits, chosen, values):
    return jax.jit(categorical_pair_message)(weight, logits, chosen, values), reference(weight, logits, chosen, values)


def bernoulli_of_categorical(weight, logits, chosen, values):
    picks, state = to_bernoulli(chosen)
    w, a = weight[..., 0], logits[..., 0]
    found = jax.jit(categorical_parent_message)(w, a, state, values)
    return found, reference(two(w), two(a), picks, values)


def through_network(weight, logits, chosen, values, kernel, conv=False):
    """A Bernoulli pair, by `hnca.message`."""
    picks, _ = to_bernoulli(chosen)
    states, state = to_bernoulli(values)
    w, a = weight[:, 0, :, 0], logits[..., 0]
    if kernel == "auto" and not compiled.status().compiled:
        pytest.skip(f"the compiled kernel is not used here: {compiled.status().detail}")
    if conv:
        conditional = hnca.Conv("above", (1, 1, PARENTS), CHILDREN, 1, key=jax.random.key(0))
        conditional = eqx.tree_at(lambda c: c.weight, conditional, w[None, None])
    else:
        conditional = hnca.Dense("above", PARENTS, CHILDREN, key=jax.random.key(0))
        conditional = eqx.tree_at(lambda c: c.weights, conditional, (w,))
    layers = {"above": hnca.Bernoulli(hnca.Free(PARENTS)), "below": hnca.Bernoulli(conditional)}
    network = hnca.Network(layers)
    trace = hnca.Trace(
        {"above": state, "below": picks.astype(jnp.float32)}, {"above": jnp.zeros_like(state), "below": a}, (BATCH,)
    )
    found = hnca.message(network, trace, "below", "above")
    full = two(jnp.stack([jnp.zeros_like(w), w], axis=1))
    return found, up_less_low(*reference(full, two(a), picks, states))


WAYS = {
    "Bernoulli to categorical": bernoulli_of_categorical,
    "softmax to Bernoulli": softmax_pair,
    "categorical to categorical": categorical_pair,
    "compiled Bernoulli pair": partial(through_network, kernel="auto"),
    "Bernoulli pair in JAX": partial(through_network, kernel="jax"),
    "convolution": partial(through_network, kernel="jax", conv=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sweep
def test_float32_agrees_with_float64_for_weights_of_any_size(way, monkeypatch):
    if "compiled" not in way:
        monkeypatch.setenv(choice.VARIABLE, "jax")
    for scale in SCALES:
        for logit_scale in (1.0, 90.0, 1e4):
            found, (expected, magnitude) = WAYS[way](*setting(scale, logit_scale))
            # Written so that NaN fails.
            assert np.all(np.abs(found - expected) <= 1e-5 * magnitude + 1e-5), (scale, logit_scale)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["chain of -1 and 1", "categorical chain", "categorical hidden", "convolutional"])
@pytest.mark.parametrize("wish", ["auto", "jax"])
@pytest.mark.sweep
def test_messages_have_derivatives_in_reverse(name, wish, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, wish)
    network, inputs = NETWORKS[name](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    parameters, rest = eqx.partition(network, eqx.is_inexact_array)
    edges = [(c, p) for c in network.order for p in network.layers[c].conditional.parents if p in network.layers]

    def total(parameters):
        moved = eqx.combine(parameters, rest)
        held = moved.evaluate(trace.values, ())
        return sum(jnp.sum(jnp.sin(hnca.message(moved, held, *edge))) for edge in edges)

    direction = jax.tree.map(jnp.cos, parameters)
    slope = sum(
        jnp.sum(g * d)
        for g, d in zip(jax.tree.leaves(jax.grad(total)(parameters)), jax.tree.leaves(direction), strict=True)
    )
    there, back = (total(jax.tree.map(lambda p, d, s=s: p + s * d, parameters, direction)) for s in (1e-5, -1e-5))
    assert abs(float(slope)) > 1e-3
    np.testing.assert_allclose((there - back) / 2e-5, slope, rtol=1e-6)


def test_a_batch_that_vmap_makes_has_the_messages_of_its_examples(quick_compilation):
    """In 32 bits and of hundreds, as a sum of products in a scan was once compiled wrongly."""
    keys = jax.random.split(jax.random.key(0), 4)
    weight = 9.0 * jax.random.normal(keys[0], (2, 40, 1, 3))
    given = (
        jax.random.normal(keys[1], (300, 1, 3)),
        jax.random.randint(keys[2], (300, 1), 0, 3),
        jax.random.randint(keys[3], (300, 2), 0, 40),
    )
    together = jax.jit(categorical_pair_message)(weight, *given)
    mapped = jax.jit(jax.vmap(categorical_pair_message, in_axes=(None, 0, 0, 0)))(weight, *given)
    np.testing.assert_allclose(mapped, together, rtol=1e-4, atol=1e-4)
