"""What is NaN only for values that cannot be drawn: of no weight, wherever it stands; judged by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import exact_gradient
from sweeps import some_thorough

import hnca

P = {"a": 0.7, "b": [0.3, -0.8], "c": [0.5, -0.4, 0.9]}
REWARDS = np.array([np.nan, 1.0, -2.0])
FORBIDDEN = {"infinite": -np.inf, "large": -1e9}


def worth_of_a_category(draws, p, key, x):
    return jnp.asarray(REWARDS)[open_ones(draws, p, key)] * x


def open_ones(draws, p, key):
    return draws.categorical(key, jnp.where(jnp.isnan(jnp.asarray(REWARDS)), -jnp.inf, p["c"]))


def worth_times_another(draws, p, key, x):
    first, second = jax.random.split(key)
    return jnp.asarray(REWARDS)[open_ones(draws, p, first)] * draws.bernoulli(second, p["b"][0]) * x


def worth_in_logits(draws, p, key, x):
    first, second = jax.random.split(key)
    return draws.bernoulli(second, jnp.asarray(REWARDS)[open_ones(draws, p, first)] * p["a"]) * x


def worth_bent_in_logits(draws, p, key, x):
    first, second, third = jax.random.split(key, 3)
    worth = jnp.asarray(REWARDS)[open_ones(draws, p, first)]
    return draws.bernoulli(third, jnp.sqrt(worth + 3.0 + draws.bernoulli(second, p["a"]) * 0.5)) * x


def goods_run_out(forbidden, use):
    """What is taken first decides what may be taken then."""

    def program(draws, p, key, x):
        first, second = jax.random.split(key)
        left = 3 - draws.categorical(first, p["c"]).astype(jnp.int32)
        taken = draws.categorical(second, jnp.where(jnp.arange(3, dtype=jnp.int32) < left, p["c"], forbidden)).astype(
            jnp.int32
        )
        return use((left - taken).astype(x.dtype)) * x

    return program


def a_unit_that_is_off(forbidden):
    def program(draws, p, key, x):
        first, second = jax.random.split(key)
        left = 2.0 - draws.bernoulli(first, p["b"][0])
        left = left - draws.bernoulli(second, jnp.where(left > 1.5, p["a"], forbidden))
        return jnp.sqrt(left - 1) + x * jnp.log(left)

    return program


PROGRAMS = {
    "worth of a category": worth_of_a_category,
    "worth times another": worth_times_another,
    "worth in logits": worth_in_logits,
    "worth bent in logits": worth_bent_in_logits,
    **{f"goods, log, {n}": goods_run_out(number, jnp.log) for n, number in FORBIDDEN.items()},
    "goods, twice": goods_run_out(-np.inf, lambda left: jnp.sqrt(left - 1) * jnp.log(left)),
    **{f"a unit that is off, {n}": a_unit_that_is_off(number) for n, number in FORBIDDEN.items()},
}


def parameters():
    return jax.tree.map(jnp.asarray, P, is_leaf=lambda leaf: isinstance(leaf, list))


@pytest.mark.parametrize(
    "name",
    some_thorough(
        PROGRAMS, ["worth times another", "goods, log, infinite", "goods, twice", "a unit that is off, large"]
    ),
)
@pytest.mark.sweep
def test_expected_gradient_is_the_exact_one(name, float64):
    program, p, x = PROGRAMS[name], parameters(), jnp.asarray(1.3)
    exact = exact_gradient(PROGRAMS[name.replace("large", "infinite")], p, x)
    for estimator in (hnca.HNCA(), hnca.REINFORCE()):
        found = hnca.check_unbiased(
            lambda p, key, x: program(hnca, p, key, x), (p, jax.random.key(0), x), estimator=estimator
        )
        for leaf, of in exact.items():
            np.testing.assert_allclose(found.expected[leaf], of, rtol=0, atol=1e-9, err_msg=f"{name} {leaf}")


@pytest.mark.parametrize("name", ["goods, log, infinite", "goods, log, large", "a unit that is off, infinite"])
@pytest.mark.sweep
def test_nothing_is_nan_in_32_bits(name):
    keys = jax.random.split(jax.random.key(0), 300)
    program = PROGRAMS[name]
    each = jax.vmap(hnca.value_and_grad(lambda p, k: program(hnca, p, k, jnp.asarray(1.3))), (None, 0))
    for leaf in jax.tree.leaves(jax.jit(each)(parameters(), keys)):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE()], ids=lambda e: type(e).__name__)
def test_what_can_be_drawn_is_nan(estimator):
    """Of a value that is NaN for a unit that may well be 0, nothing is made to look like a gradient."""
    each = jax.vmap(
        hnca.value_and_grad(lambda p, k: jnp.log(hnca.bernoulli(k, p) - 0.5), estimator=estimator), (None, 0)
    )
    values, gradients = jax.jit(each)(0.2, jax.random.split(jax.random.key(0), 100))
    assert np.all(np.isnan(gradients[np.isnan(values)]))
    # HNCA would have to know what it is worth.
    assert np.sum(np.isnan(values)) == (100 if isinstance(estimator, hnca.HNCA) else np.sum(np.isnan(gradients))) > 0
