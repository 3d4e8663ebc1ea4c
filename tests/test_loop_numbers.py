"""What is carried through a loop and added to: whole numbers that wrap, means of nothing; judged by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loops import X, of_loops, parameters, python_scan
from oracle import exact_gradient
from sweeps import some_thorough

import hnca


def counter(dtype, change, start=5, scale=1.0):
    """A whole number that every step may change, and of which the result is made at the end."""

    def program(draws, scan, p, key, x):
        def step(count, key):
            up = draws.bernoulli(key, p["a"] * 0.1 * count.astype(x.dtype) * scale - p["b"][0])
            return change(count, up.astype(dtype)), up * x[0]

        begun = jnp.asarray(start, dtype) if isinstance(start, int) else start(x).astype(dtype)
        count, rewards = scan(step, begun, jax.random.split(key, 3))
        return count.astype(x.dtype) * scale * p["c"][0] + jnp.sum(rewards)

    return program


def mean_of_nothing(draws, scan, p, key, x):
    def step(state, key):
        state = draws.bernoulli(key, p["a"] * state + p["b"][0])
        return state, state

    _, states = scan(step, x[0] * 0, jax.random.split(key, 3))
    count = jnp.sum(x > 100)
    return jnp.where(count > 0, jnp.sum(states) / count.astype(x.dtype), 0.0) + jnp.sum(states) * x[1]


def infinite_weight_of_nothing(draws, scan, p, key, x):
    def step(state, key):
        state = draws.bernoulli(key, p["a"] * state + p["b"][0])
        return state, state

    _, states = scan(step, x[0] * 0, jax.random.split(key, 2))
    return jnp.sum(jnp.where(x > 0, states * jnp.log(jnp.maximum(x, 0)), states))


PROGRAMS = {
    "lives": counter(jnp.uint32, lambda n, up: n - up),
    "narrow lives": counter(jnp.uint8, lambda n, up: n - up),
    "narrow, wraps": counter(jnp.int8, lambda n, up: n + 100 * up, scale=0.1),
    "wide, wraps": counter(jnp.int32, lambda n, up: n + 2**30 * up, scale=1e-9),
    "wide, from data": counter(jnp.int32, lambda n, up: n + up, start=lambda x: jnp.round(x[0])),
    "wide": counter(jnp.int32, lambda n, up: n + 2 * up),
    "mean of nothing": mean_of_nothing,
    "infinite weight of nothing": infinite_weight_of_nothing,
}


@pytest.mark.parametrize("name", some_thorough(PROGRAMS, ["narrow lives", "wide, wraps", "wide, from data"]))
@pytest.mark.sweep
def test_expected_gradient_is_the_exact_one(name, float64):
    program, p, x = PROGRAMS[name], parameters(), jnp.asarray(X)
    exact = exact_gradient(lambda draws, p, key, x: program(draws, python_scan, p, key, x), p, x)
    for estimator in (hnca.HNCA(), hnca.REINFORCE()):
        found = hnca.check_unbiased(of_loops(program), (p, jax.random.key(0), x), estimator=estimator, unroll=False)
        for leaf, of in exact.items():
            np.testing.assert_allclose(found.expected[leaf], of, rtol=0, atol=1e-9, err_msg=leaf)


@pytest.mark.parametrize(("name", "split"), [("wide", True), ("wide, from data", False), ("lives", False)])
def test_a_count_is_split_by_steps_where_it_cannot_wrap(name, split):
    told = hnca.explain(of_loops(PROGRAMS[name]), unroll=False)(parameters(), jax.random.key(0), jnp.asarray(X))
    assert ("whole" not in told) == split


def test_what_a_loop_without_results_draws_changes_nothing():
    def loss(p, key):
        jax.lax.scan(lambda none, k: (none, [][: int(bool(hnca.bernoulli(k, p).shape))]), (), jax.random.split(key, 3))
        return hnca.bernoulli(jax.random.fold_in(key, 3), p)

    both = [hnca.value_and_grad(loss, unroll=unroll)(jnp.asarray(0.3), jax.random.key(0)) for unroll in (True, False)]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-6)
