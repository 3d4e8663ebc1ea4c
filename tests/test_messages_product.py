"""Both kernels against a direct evaluation in float64: accuracy, range, memory, batching, laziness."""

from functools import partial

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca.messages.product as kernel
from hnca.messages import compiled, product_message, softplus_sum
from hnca.messages.bernoulli_pair import bernoulli_message


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


@partial(jax.jit, static_argnums=1)
def in_jax(weight, span, logits, state, above):
    return product_message(weight, span, logits, state, above), softplus_sum(weight, span, logits, above)


@partial(jax.jit, static_argnums=1)
def by_compiled_kernel(weight, span, logits, state, above):
    if not compiled.status().compiled:
        pytest.skip(f"the compiled kernel is not used here: {compiled.status().detail}")
    growth, _ = compiled.growth_and_energy(span * weight, logits, above)
    return bernoulli_message(weight, span, logits, state, above), growth


on_both_kernels = pytest.mark.parametrize("both", [in_jax, by_compiled_kernel])


def check(both, weight, span, logits, state, above, tolerance=1e-5):
    """Both sums are within the tolerance of the magnitude of their terms, and within the tolerance."""
    *expected, magnitude = direct(weight, span, logits, state, above)
    for found, reference in zip(both(weight, span, logits, state, above), expected, strict=True):
        # Written so that NaN fails.
        assert np.all(np.abs(found - reference) <= tolerance * magnitude + tolerance)


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


@on_both_kernels
@hypothesis.given(
    batch=st.integers(1, 5),
    parents=st.integers(1, 37),
    children=st.integers(1, 90),
    span=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 2**16),
)
@hypothesis.settings(max_examples=4, deadline=None, derandomize=True)
@pytest.mark.sweep
def test_float32_agrees_with_float64(both, batch, parents, children, span, seed):
    for scale in (1e-4, 0.01, 0.3, 3.0, 20.0):
        weight, *rest = draw(seed, batch, parents, children, scale)
        check(both, weight, span, *rest)


@on_both_kernels
@pytest.mark.parametrize("scale", [1e-6, 1e-4, 0.1, 1.0, 10.0])
@pytest.mark.sweep
def test_many_children_add_up_few_rounding_errors(scale, both):
    """Rounding that favours one side shows in small weights and many children."""
    weight, logits, state, above = draw(1, 3, 20, 5000, scale)
    check(both, weight, 2.0, logits / 10, state, above)


@pytest.mark.parametrize("size", [0.5, 2.0, 8.0, 21.0, 22.5, 60.0, 1e4])
@pytest.mark.parametrize("sign", [1, -1])
@on_both_kernels
def test_every_way_to_the_product_is_accurate(size, sign, both):
    """Shifts that all have one sign, so that nothing cancels in the product of a block."""
    weight, logits, state, above = draw(4, 5, 9, 131)
    weight = sign * size * (1 - 0.01 * jnp.abs(jnp.tanh(weight)))
    check(both, weight, 2.0, logits / 10, state, above)


def test_no_weight_no_message():
    weight, logits, state, above = draw(5, 4, 7, 100)
    weight = weight.at[::2].set(0)
    found = product_message(weight, 1.0, logits, state, above)
    np.testing.assert_array_equal(found[:, ::2], 0)
    assert np.all(np.asarray(found)[:, 1::2] != 0)


def test_a_child_that_is_certain_and_right_says_nothing():
    """Large weights, no information: the two sums cancel, and no rounding error may be left of them."""
    weight, _, state, above = draw(2, 4, 20, 200, scale=5.0)
    logits = 30 * (2 * state - 1) + jnp.sum(jnp.abs(weight)) * (2 * state - 1)
    assert float(jnp.max(jnp.abs(product_message(weight, 2.0, logits, state, above)))) < 1e-6


@pytest.mark.parametrize("limit", [1e2, 1e3, 1e4])
@on_both_kernels
@pytest.mark.sweep
def test_extreme_logits_and_weights_give_finite_messages(limit, both):
    rng = np.random.default_rng(0)
    choices = [-limit, -30.0, -1.0, 0.0, 1e-3, 5.0, limit]
    weight, logits = (jnp.asarray(rng.choice(choices, shape), jnp.float32) for shape in ((19, 70), (9, 70)))
    state, above = (jnp.asarray(rng.integers(0, 2, shape), jnp.float32) for shape in ((9, 70), (9, 19)))
    check(both, weight, 2.0, logits, state, above)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("scale", [0.1, 5.0, 50.0])
@on_both_kernels
@pytest.mark.sweep
def test_float64_is_exact(scale, both):
    arrays = [a.astype(jnp.float64) for a in draw(3, 4, 18, 45, scale, weight_limit=1e3)]
    check(both, arrays[0], 2.0, *arrays[1:], tolerance=1e-14)


@pytest.mark.parametrize("function", [product_message, softplus_sum])
@pytest.mark.sweep
def test_memory_never_holds_batch_by_parents_by_children(function):
    batch, parents, children = 500, 400, 3000
    arguments = [jax.ShapeDtypeStruct((parents, children), jnp.float32)]
    names = ["logits", "state", "above"] if function is product_message else ["logits", "above"]
    sizes = {"logits": children, "state": children, "above": parents}
    arguments += [jax.ShapeDtypeStruct((batch, sizes[name]), jnp.float32) for name in names]
    program = jax.jit(lambda weight, *rest: function(weight, 2.0, *rest)).lower(*arguments).compile()
    used = program.memory_analysis().temp_size_in_bytes
    assert used < 4 * 4 * (parents * children + batch * (parents + children))


@jax.jit
def message(weight, *rest):
    return product_message(weight, 2.0, *rest)


@pytest.mark.parametrize("scale", [0.3, 20.0])
@pytest.mark.sweep
def test_seeds_in_parallel_change_nothing(scale):
    """With one seed whose weights are small and others whose are perhaps not, as happens in training."""
    sets = [draw(seed, 6, 17, 33, factor) for seed, factor in enumerate((0.01, scale, scale))]
    together = jax.vmap(message)(*(jnp.stack(parts) for parts in zip(*sets, strict=True)))
    for one, found in zip(sets, together, strict=True):
        np.testing.assert_allclose(found, message(*one), rtol=1e-6, atol=1e-6)


@pytest.mark.thorough
def test_batch_axes_change_nothing():
    weight, *rest = draw(6, 6, 21, 50, scale=0.3)
    expected = message(weight, *rest)
    folded = message(weight, *(a.reshape(2, 3, -1) for a in rest))
    np.testing.assert_array_equal(folded, expected.reshape(2, 3, -1))
    np.testing.assert_allclose(message(weight, *(a[0] for a in rest)), expected[0], rtol=1e-5, atol=1e-5)
    mapped = jax.vmap(message, (None, 0, 0, 0))(weight, *rest)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-5)
    _, scanned = jax.lax.scan(lambda carry, row: (carry, message(weight, *row)), 0, tuple(rest))
    np.testing.assert_allclose(scanned, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((0.1, 1.0), set()), ((0.1, 8.0), {"split"}), ((0.1, 100.0), {"bounded"}), ((8.0, 100.0), {"split", "bounded"})],
)
@pytest.mark.sweep
def test_slower_ways_run_only_where_needed(sizes, expected, monkeypatch, request):
    """Under `vmap` too, which is where a conditional would run them all."""
    ran = set()

    def noting(name, way):
        def wrapped(block, up):
            jax.debug.callback(lambda: ran.add(name))
            return way(block, up)

        return wrapped

    for name in ("split", "bounded"):
        attribute = f"_log_of_{name}_products"
        monkeypatch.setattr(kernel, attribute, noting(name, getattr(kernel, attribute)))
    jax.clear_caches()  # what was traced before would not be traced again, and what is noted here is not for others
    request.addfinalizer(jax.clear_caches)
    _, logits, state, above = draw(7, 4, 9, 70)
    weights = jnp.stack([jnp.full((9, 70), size) for size in sizes])
    run = jax.jit(jax.vmap(lambda weight: product_message(weight, 1.0, logits / 10, state, above)))
    jax.block_until_ready(run(weights))
    jax.effects_barrier()
    assert ran == expected
