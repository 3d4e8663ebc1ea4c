"""Loops that stay loops, judged by enumeration that shares no code with them, and by the same loops unrolled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loops import PROGRAMS, X, backwards, chain, of_loops, parameters, python_scan, walk
from oracle import exact_gradient

import hnca

ESTIMATORS = [hnca.HNCA(), hnca.REINFORCE()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
@pytest.mark.sweep
def test_expected_gradient_is_the_exact_one(float64, program, estimator):
    p, x = parameters(), jnp.asarray(X)
    exact = exact_gradient(lambda draws, p, key, x: program(draws, python_scan, p, key, x), p, x)
    found = hnca.check_unbiased(of_loops(program), (p, jax.random.key(0), x), estimator=estimator, unroll=False)
    for name, leaf in exact.items():
        np.testing.assert_allclose(found.expected[name], leaf, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("program", [chain, backwards], ids=lambda p: p.__name__)
@pytest.mark.sweep
def test_hnca_is_that_of_the_loop_unrolled(float64, program):
    """Draw by draw, not only on average: the same children are pruned, and the same terms."""
    p, xs, keys = parameters(), jnp.tile(jnp.asarray(X), (6, 1)), jax.random.split(jax.random.key(1), 6)
    both = [
        jax.jit(hnca.value_and_grad(of_loops(program), in_axes=(None, 0, 0), unroll=u))(p, keys, xs)
        for u in (True, False)
    ]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-12)
    for name in p:
        np.testing.assert_allclose(both[0][1][name], both[1][1][name], rtol=0, atol=1e-10, err_msg=name)


def log_probability(p, taken, data):
    state, total = 0.5, 0.0
    for action, seen in zip(taken, data, strict=True):
        logit = p["a"] * state + p["b"][0] * seen
        total += action * jax.nn.log_sigmoid(logit) + (1 - action) * jax.nn.log_sigmoid(-logit)
        state += action
    return total


@pytest.mark.parametrize("estimator", [hnca.HNCA(hnca.RunningMean()), hnca.REINFORCE(hnca.LearnedBaseline())], ids=str)
@pytest.mark.sweep
def test_baselines_keep_it_unbiased(float64, estimator):
    """Of stored actions, with a baseline that has learned from other ones."""
    p, data = parameters(), jnp.asarray([1.3, -0.4])
    both = jax.jit(hnca.value_and_grad(walk, in_axes=(None, 0, None), estimator=estimator, unroll=False, stateful=True))
    states = jnp.asarray([[i, j] for i in (0.0, 1.0) for j in (0.0, 1.0)])
    (_, state), plain = both(p, states, data)
    chances = [jnp.exp(log_probability(p, taken, data)) for taken in states]
    found = [both(p, taken[None], data, estimator_state=state)[1] for taken in states]
    rewards = [(0.5 + i) * data[0] + (0.5 + i + j) * data[1] for i, j in states]
    exact = jax.grad(
        lambda p: sum(jnp.exp(log_probability(p, t, data)) * r for t, r in zip(states, rewards, strict=True))
    )(p)
    for name in ("a", "b"):
        expected = sum(c * g[name] for c, g in zip(chances, found, strict=True))
        np.testing.assert_allclose(expected, exact[name], rtol=0, atol=1e-10)
        again = both(p, states, data, estimator_state=state)[1][name]
        assert np.max(np.abs(again - plain[name])) > 1e-3  # The baseline is subtracted.


def test_a_function_without_a_loop(float64):
    arguments = parameters(), jax.random.key(0), jnp.asarray(X)

    def plain(p, key, x):
        first, second = jax.random.split(key)
        code = hnca.bernoulli(first, p["b"] * x[0])
        return p["c"][hnca.categorical(second, p["c"] * code[0])] * jnp.prod(code)

    hnca.check_unbiased(plain, arguments, unroll=False)


def test_alternatives_by_pieces(float64, monkeypatch):
    """However many are run side by side."""
    arguments = parameters(), jax.random.key(0), jnp.asarray(X)
    whole = jax.jit(hnca.grad(of_loops(chain), unroll=False))(*arguments)
    monkeypatch.setattr("hnca.programs.loops.credits._AT_ONCE", 12)
    pieces = jax.jit(hnca.grad(of_loops(chain), unroll=False))(*arguments)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), whole, pieces)


def test_too_many_alternatives_are_credited_by_the_score():
    def long(p, key):
        def step(state, key):
            state = hnca.bernoulli(key, p * state)
            return state, jnp.sum(state)

        return jnp.sum(jax.lax.scan(step, jnp.ones(50), jax.random.split(key, 100))[1])

    key = jax.random.key(0)
    with pytest.warns(UserWarning, match=r"run anew 5000 times for the draw at .*credited by the score"):
        found = jax.jit(hnca.grad(long, unroll=False))(jnp.asarray(0.1), key)
    score = jax.jit(hnca.grad(long, estimator=hnca.REINFORCE(), unroll=False))(jnp.asarray(0.1), key)
    np.testing.assert_allclose(found, score, rtol=1e-6)


def test_auxiliary_results_batches_and_states():
    def with_aux(p, key, x):
        return of_loops(chain)(p, key, x), {"twice": 2 * x}

    p, xs, keys = parameters(), jnp.ones((3, 2)), jax.random.split(jax.random.key(0), 3)
    both = jax.jit(hnca.value_and_grad(with_aux, has_aux=True, in_axes=(None, 0, 0), unroll=False, stateful=True))
    (_, (aux, state)), gradient = both(p, keys, xs)
    assert aux["twice"].shape == (3, 2)
    assert state == {}
    assert gradient["c"].shape == (3,)
    (value, _), gradient = both(p, keys[:0], xs[:0])
    assert np.isnan(value)
    assert np.all(gradient["b"] == 0)
