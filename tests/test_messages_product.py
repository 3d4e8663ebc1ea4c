"""The product kernel against a direct evaluation in float64: accuracy, range, memory, batching."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hnca.messages import product_message, softplus_sum


def direct(weight, span, logits, state, above):
    """Both sums in float64 over every (example, parent, child), and the sum of their terms' magnitudes."""
    weight, logits, state, above = (np.asarray(a, np.float64) for a in (weight, logits, state, above))
    delta = span * (1 - 2 * above)[:, :, None] * weight[None]
    here = logits[:, None]
    grown = np.logaddexp(0, here + delta) - np.logaddexp(0, here)
    chosen = state[:, None] * delta
    ratio = chosen - grown
    message = (1 - 2 * above) * ratio.sum(-1)
    return message, grown.sum(-1), (np.abs(chosen) + np.abs(grown)).sum(-1)


def draw(seed, batch, parents, children, scale=1.0, weight_limit=20.0):
    """Logits to +-30; weights mostly small with a few heavy ones, to +-20."""
    rng = np.random.default_rng(seed)
    weight = scale * rng.standard_normal((parents, children)) * np.exp(rng.standard_normal((parents, children)))
    logits = 10 * rng.standard_normal((batch, children))
    arrays = (
        np.clip(weight, -weight_limit, weight_limit),
        np.clip(logits, -30, 30),
        rng.integers(0, 2, (batch, children)),
        rng.integers(0, 2, (batch, parents)),
    )
    return [jnp.asarray(a, jnp.float32) for a in arrays]


@hypothesis.given(
    batch=st.integers(1, 5),
    parents=st.integers(1, 37),
    children=st.integers(1, 90),
    span=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 2**16),
)
@hypothesis.settings(max_examples=8, deadline=None, derandomize=True)
def test_float32_agrees_with_float64(batch, parents, children, span, seed):
    both = jax.jit(lambda w, a, c, x: (product_message(w, span, a, c, x), softplus_sum(w, span, a, x)))
    for scale in (1e-4, 0.01, 0.3, 3.0, 20.0):
        arrays = draw(seed, batch, parents, children, scale)
        message, grown, magnitude = direct(arrays[0], span, *arrays[1:])
        bound = 1e-5 * magnitude + 1e-5
        found = both(*arrays)
        assert np.all(np.abs(found[0] - message) <= bound)
        assert np.all(np.abs(found[1] - grown) <= bound)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.1, 1.0, 10.0])
def test_many_children_add_up_few_rounding_errors(scale):
    weight, logits, state, above = draw(1, 3, 20, 3000, scale)
    message, _, magnitude = direct(weight, 2.0, logits, state, above)
    assert np.all(np.abs(product_message(weight, 2.0, logits, state, above) - message) <= 1e-5 * magnitude + 1e-5)


def test_a_child_that_is_certain_and_right_says_nothing():
    """Large weights, no information: the two sums cancel, and no rounding error may be left of them."""
    weight, _, state, above = draw(2, 4, 20, 200, scale=5.0)
    logits = 30 * (2 * state - 1) + jnp.sum(jnp.abs(weight)) * (2 * state - 1)
    assert float(jnp.max(jnp.abs(product_message(weight, 2.0, logits, state, above)))) < 1e-6


@pytest.mark.parametrize("limit", [1e2, 1e3, 1e4])
def test_extreme_logits_and_weights_give_finite_messages(limit):
    rng = np.random.default_rng(0)
    choices = [-limit, -30.0, -1.0, 0.0, 1e-3, 5.0, limit]
    weight, logits = (jnp.asarray(rng.choice(choices, shape), jnp.float32) for shape in ((19, 70), (9, 70)))
    state, above = (jnp.asarray(rng.integers(0, 2, shape), jnp.float32) for shape in ((9, 70), (9, 19)))
    found = product_message(weight, 2.0, logits, state, above)
    assert bool(jnp.all(jnp.isfinite(found)))
    message, _, magnitude = direct(weight, 2.0, logits, state, above)
    assert np.all(np.abs(found - message) <= 1e-5 * magnitude + 1e-5)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("scale", [0.1, 5.0, 50.0])
def test_float64_is_exact(scale):
    arrays = [a.astype(jnp.float64) for a in draw(3, 4, 18, 45, scale, weight_limit=1e3)]
    message, grown, magnitude = direct(arrays[0], 2.0, *arrays[1:])
    np.testing.assert_array_less(
        np.abs(product_message(arrays[0], 2.0, *arrays[1:]) - message), 1e-14 * magnitude + 1e-14
    )
    found = softplus_sum(arrays[0], 2.0, arrays[1], arrays[3])
    np.testing.assert_array_less(np.abs(found - grown), 1e-14 * magnitude + 1e-14)


@pytest.mark.parametrize("function", [product_message, softplus_sum])
def test_memory_never_holds_batch_by_parents_by_children(function):
    batch, parents, children = 96, 160, 224
    arguments = [jax.ShapeDtypeStruct((parents, children), jnp.float32)]
    names = ["logits", "state", "above"] if function is product_message else ["logits", "above"]
    sizes = {"logits": children, "state": children, "above": parents}
    arguments += [jax.ShapeDtypeStruct((batch, sizes[name]), jnp.float32) for name in names]
    compiled = jax.jit(lambda weight, *rest: function(weight, 2.0, *rest)).lower(*arguments).compile()
    used = compiled.memory_analysis().temp_size_in_bytes
    assert used < 4 * 8 * (parents * children + batch * (parents + children))
    assert used < 4 * batch * parents * children / 4


@pytest.mark.parametrize("scale", [20.0])
def test_vmap_and_batch_axes_change_nothing(scale):
    """With one seed in the fast regime and the others perhaps not, as happens when seeds are trained together."""
    sets = [draw(seed, 6, 17, 33, factor) for seed, factor in enumerate((0.01, scale, scale))]
    stacked = [jnp.stack(parts) for parts in zip(*sets, strict=True)]
    together = jax.jit(jax.vmap(lambda w, *rest: product_message(w, 2.0, *rest)))(*stacked)
    for one, found in zip(sets, together, strict=True):
        alone = product_message(one[0], 2.0, *one[1:])
        np.testing.assert_allclose(found, alone, rtol=1e-6, atol=1e-6)
        folded = [a.reshape(2, 3, -1) for a in one[1:]]
        np.testing.assert_array_equal(product_message(one[0], 2.0, *folded), alone.reshape(2, 3, -1))
        single = product_message(one[0], 2.0, *(a[0] for a in one[1:]))
        np.testing.assert_allclose(single, alone[0], rtol=1e-6, atol=1e-6)
