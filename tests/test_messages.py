"""The fast ways to a message against the slow one, and the softmax kernel against a direct evaluation."""

from functools import partial

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS

import hnca
from hnca.messages import enumerated_contrast, softmax_message
from hnca.messages.categorical_pair import categorical_pair_message
from hnca.messages.categorical_parent import categorical_parent_message


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_every_edge_agrees_with_enumeration(name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    batched = {key: jnp.broadcast_to(value, (4, 5, *value.shape)) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(1), batched, (4, 5))
    for child in network.order:
        for parent in network.layers[child].conditional.parents:
            if parent in network.layers:
                fast = hnca.message(network, trace, child, parent)
                slow = enumerated_contrast(
                    network.layers[child], partial(log_prob_of, network, trace, child), network, trace, parent
                )
                assert fast.shape == trace.logits[parent].shape
                np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-12)


def log_prob_of(network, trace, child, logits):
    return network.layers[child].log_prob(logits, trace[child])


def direct_softmax_message(weight, span, logits, values, state):
    """In float64, by log-sum-exp over every (example, parent, child, category)."""
    weight, logits, state = (np.asarray(a, np.float64) for a in (weight, logits, state))
    here = logits[:, None]
    total = np.zeros(state.shape)
    magnitude = np.zeros(state.shape)
    for target, base in ((1.0, -1.0), (0.0, 1.0)):
        shifted = here + span * (target - state)[:, :, None, None] * weight[None]
        log_probs = shifted - np.logaddexp.reduce(shifted, axis=-1, keepdims=True)
        chosen = np.take_along_axis(log_probs, np.asarray(values)[:, None, :, None], axis=-1)[..., 0]
        total -= base * chosen.sum(-1)
        magnitude += np.abs(chosen).sum(-1)
    return total, magnitude


@hypothesis.given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 17), st.integers(1, 4), st.integers(2, 11)),
    span=st.sampled_from([1.0, 2.0]),
    scale=st.sampled_from([1e-3, 0.3, 3.0, 20.0]),
    seed=st.integers(0, 2**16),
)
@hypothesis.settings(max_examples=8, deadline=None, derandomize=True)
def test_softmax_message_is_accurate_in_float32(sizes, span, scale, seed):
    batch, parents, children, categories = sizes
    draw = np.random.default_rng(seed)
    weight = np.clip(scale * draw.standard_normal((parents, children, categories)), -20, 20).astype(np.float32)
    logits = np.clip(10 * draw.standard_normal((batch, children, categories)), -30, 30).astype(np.float32)
    values = draw.integers(0, categories, (batch, children)).astype(np.int32)
    state = draw.integers(0, 2, (batch, parents)).astype(np.float32)
    found = softmax_message(*map(jnp.asarray, (weight,)), span, *map(jnp.asarray, (logits, values, state)))
    expected, magnitude = direct_softmax_message(weight, span, logits, values, state)
    assert np.all(np.abs(np.asarray(found) - expected) <= 1e-5 * magnitude + 1e-5)


def test_softmax_message_of_extreme_weights_and_logits_is_finite():
    draw = np.random.default_rng(0)
    for scale in (1e2, 1e3, 1e4):
        weight = jnp.asarray(draw.choice([-scale, 0, scale], (7, 3, 5)), jnp.float32)
        logits = jnp.asarray(draw.choice([-scale, 0, scale], (6, 3, 5)), jnp.float32)
        values = jnp.asarray(draw.integers(0, 5, (6, 3)), jnp.int32)
        state = jnp.asarray(draw.integers(0, 2, (6, 7)), jnp.float32)
        assert bool(jnp.all(jnp.isfinite(softmax_message(weight, 2.0, logits, values, state))))


def test_softmax_message_never_holds_batch_by_parents_by_children():
    batch, parents, children, categories = 64, 128, 96, 4
    shapes = ((parents, children, categories), (batch, children, categories), (batch, children), (batch, parents))
    dtypes = (jnp.float32, jnp.float32, jnp.int32, jnp.float32)
    weight, logits, values, state = (jax.ShapeDtypeStruct(s, d) for s, d in zip(shapes, dtypes, strict=True))
    compiled = jax.jit(lambda w, a, c, x: softmax_message(w, 2.0, a, c, x)).lower(weight, logits, values, state)
    used = compiled.compile().memory_analysis().temp_size_in_bytes
    outputs = children * categories
    assert used < 4 * 8 * (parents * outputs + batch * (parents + outputs))
    assert used < 4 * batch * parents * children


def test_messages_of_two_parents_use_their_own_weights():
    network, inputs = NETWORKS["branching"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    weights = network.layers["action"].conditional.weights
    changed = eqx.tree_at(lambda n: n.layers["action"].conditional.weights, network, (3 * weights[0], weights[1]))
    left, right = (hnca.message(network, trace, "action", parent) for parent in ("left", "right"))
    assert not np.allclose(hnca.message(changed, trace, "action", "left"), left)
    np.testing.assert_array_equal(hnca.message(changed, trace, "action", "right"), right)


def direct_categorical_parent_message(weight, log_prob, parent_values):
    """In float64, by evaluating `log_prob(shift)` for every unit and value; also the terms' magnitudes."""
    weight = np.asarray(weight, np.float64)
    result = np.zeros((*parent_values.shape, weight.shape[1]))
    magnitude = np.zeros_like(result)
    here = log_prob(0.0)
    for unit in range(weight.shape[0]):
        for k in range(weight.shape[1]):
            terms = log_prob(weight[unit, k][None] - weight[unit][parent_values[:, unit]])
            result[:, unit, k] = (terms - here).sum(-1)
            magnitude[:, unit, k] = np.abs(terms).sum(-1) + np.abs(here).sum(-1)
    return result, magnitude


@pytest.mark.parametrize("scale", [0.1, 3.0, 20.0])
@pytest.mark.parametrize("children", [1, 17, 300])
@pytest.mark.sweep
def test_messages_to_categorical_parents_in_float32(scale, children):
    keys = jax.random.split(jax.random.key(children), 4)
    weight = scale * jax.random.uniform(keys[0], (4, 3, children), minval=-1.0)
    logits = 30 * jax.random.uniform(keys[1], (6, children), minval=-1.0)
    state = jax.random.bernoulli(keys[2], 0.5, (6, children)).astype(jnp.float32)
    values = jax.random.randint(keys[3], (6, 4), 0, 3)
    found = categorical_parent_message(weight, logits, state, values)
    wide, states = np.asarray(logits, np.float64), np.asarray(state, np.float64)
    expected, magnitude = direct_categorical_parent_message(
        weight, lambda s: states * (wide + s) - np.logaddexp(0, wide + s), np.asarray(values)
    )
    assert np.all(np.abs(np.asarray(found) - expected) <= 1e-5 * magnitude + 1e-5)


@pytest.mark.parametrize("scale", [0.1, 3.0, 20.0])
@pytest.mark.parametrize(("children", "categories"), [(1, 3), (17, 3), (300, 3), (5, 40)])
@pytest.mark.sweep
def test_messages_between_categorical_layers_in_float32(scale, children, categories):
    keys = jax.random.split(jax.random.key(children), 4)
    weight = scale * jax.random.uniform(keys[0], (4, 3, children, categories), minval=-1.0)
    logits = 30 * jax.random.uniform(keys[1], (6, children, categories), minval=-1.0)
    taken = jax.random.randint(keys[2], (6, children), 0, categories)
    values = jax.random.randint(keys[3], (6, 4), 0, 3)
    found = categorical_pair_message(weight, logits, taken, values)
    wide = np.asarray(logits, np.float64)

    def log_prob(shift):
        shifted = wide + shift
        log_probs = shifted - np.logaddexp.reduce(shifted, axis=-1, keepdims=True)
        return np.take_along_axis(log_probs, np.asarray(taken)[..., None], axis=-1)[..., 0]

    expected, magnitude = direct_categorical_parent_message(weight, log_prob, np.asarray(values))
    assert np.all(np.abs(np.asarray(found) - expected) <= 1e-5 * magnitude + 1e-5)


@pytest.mark.parametrize("scale", [1e2, 1e4])
@pytest.mark.sweep
def test_messages_to_categorical_parents_are_finite_for_any_weights(scale):
    keys = jax.random.split(jax.random.key(0), 3)
    weight = scale * jax.random.normal(keys[0], (3, 4, 9))
    logits = scale * jax.random.normal(keys[1], (5, 9))
    values = jax.random.randint(keys[2], (5, 3), 0, 4)
    found = categorical_parent_message(weight, logits, (logits > 0).astype(jnp.float32), values)
    assert bool(jnp.all(jnp.isfinite(found)))
    by_category, soft_logits = weight.reshape(3, 4, 3, 3), logits.reshape(5, 3, 3)
    found = categorical_pair_message(by_category, soft_logits, values, values)
    assert bool(jnp.all(jnp.isfinite(found)))


@pytest.mark.parametrize("allowed", [1, 100, 2**22])
@pytest.mark.sweep
@pytest.mark.thorough
def test_enumeration_is_the_same_however_many_evaluations_are_held(allowed, monkeypatch):
    monkeypatch.setattr("hnca.messages.batching._ELEMENTS", allowed)
    network, inputs = NETWORKS["categorical hidden"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), {k: jnp.broadcast_to(v, (3, *v.shape)) for k, v in inputs.items()})
    found = jax.jit(lambda t: hnca.message(network, t, "action", "code"))(trace)
    for unit in range(2):
        flipped = {v: trace.values["code"].at[:, unit].set(v) for v in (-1.0, 1.0)}
        there = {
            v: network.evaluate({**trace.values, "code": code}, (3,)).logits["action"] for v, code in flipped.items()
        }
        log_prob = {v: jnp.sum(log_prob_of(network, trace, "action", logits), axis=-1) for v, logits in there.items()}
        np.testing.assert_allclose(found[:, unit], log_prob[1.0] - log_prob[-1.0], rtol=1e-4, atol=1e-5)
