"""What goes wrong in loops that stay loops, and what is said of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loops import X, chain, of_loops, parameters, walk
from mistakes import MISTAKES

import hnca


def test_actions_that_cannot_have_been_taken_are_not_learned_from():
    value, gradient = jax.jit(hnca.value_and_grad(walk, in_axes=(None, 0, None), unroll=False))(
        parameters(), jnp.asarray([[1.0, 0.5], [1.0, 0.0]]), jnp.ones(2)
    )
    assert np.isnan(value)
    assert np.isnan(gradient["a"])


def test_of_a_drawn_number_of_steps_the_cure_is_told():
    def loss(p, key):
        return jax.lax.fori_loop(0, hnca.categorical(key, p), lambda _, total: total * p[0], jnp.ones(()))

    with pytest.raises(ValueError, match="Reverse-mode differentiation does not work") as told:
        hnca.grad(loss)(jnp.ones(3), jax.random.key(0))
    assert "write it as a lax.scan of the most there can be" in told.value.__notes__[-1]


def test_what_is_observed_is_credited_by_the_score(float64):
    def observed(p, key, x):
        return of_loops(chain)(p, key, x) + hnca.observed(of_loops(chain)(p, jax.random.fold_in(key, 1), x))

    arguments = parameters(), jax.random.key(0), jnp.asarray(X)
    with pytest.raises(ValueError, match=r"observed at .* cannot be asked again.*REINFORCE"):
        hnca.grad(observed, unroll=False)(*arguments)
    hnca.check_unbiased(observed, arguments, estimator=hnca.REINFORCE(), unroll=False)


OF_LOOPS = {"a scanned key": "one key for several of its units", "feedback": "cannot be asked again"}


@pytest.mark.parametrize("name", [name for name in MISTAKES if name != "too long"])
def test_mistakes_are_told_where_loops_stay_loops(name):
    function, says = MISTAKES[name]
    with pytest.raises(ValueError, match=OF_LOOPS.get(name, says)):
        hnca.grad(function, unroll=False)(jnp.ones(3))


def test_a_batch_needs_a_key_an_example():
    def walk(p, key, x):
        return jax.lax.scan(lambda s, k: (hnca.bernoulli(k, p * s), None), x, jax.random.split(key, 3))[0]

    with pytest.raises(ValueError, match="uses one key for the whole batch"):
        hnca.grad(walk, in_axes=(None, None, 0), unroll=False)(jnp.ones(()), jax.random.key(0), jnp.ones(2))


def one_key(p, key, x):
    return jax.lax.scan(lambda s, _: (hnca.bernoulli(key, p["a"] * s), None), x[0], None, length=3)[0]


def carried_unchanged(p, key, x):
    def step(carry, _):
        key, state = carry
        return (key, hnca.bernoulli(key, p["a"] * state)), None

    return jax.lax.scan(step, (key, x[0]), None, length=3)[0][1]


def once_more_in_each_outer_step(p, key, x):
    keys = jax.random.split(key, 2)

    def outer(state, _):
        return jax.lax.scan(lambda s, k: (hnca.bernoulli(k, p["a"] * s), None), state, keys)[0], None

    return jax.lax.scan(outer, x[0], None, length=2)[0]


def two_loops_of_the_same_keys(p, key, x):
    def step(state, key):
        return hnca.bernoulli(key, p["a"] * state), None

    keys = jax.random.split(key, 2)
    return jax.lax.scan(step, jax.lax.scan(step, x[0], keys)[0], keys)[0]


@pytest.mark.parametrize(
    "program", [one_key, carried_unchanged, once_more_in_each_outer_step, two_loops_of_the_same_keys]
)
def test_keys_that_are_used_again(program):
    with pytest.raises(ValueError, match="one key"):
        hnca.grad(program, unroll=False)(parameters(), jax.random.key(0), jnp.ones(2))


@pytest.mark.parametrize("carries", [False, True])
def test_a_draw_of_jax_in_a_loop_is_warned_of(carries):
    def step(p, state, key):
        first, second = jax.random.split(key)
        noise = jax.random.bernoulli(first, jax.nn.sigmoid(p["a"])).astype(state.dtype)
        return hnca.bernoulli(second, p["a"] * state) + noise

    def mixed(p, key, x):
        if not carries:
            return jax.lax.scan(lambda s, k: (step(p, s, k), None), x[0], jax.random.split(key, 3))[0]

        def with_key(carry, _):
            key, sub = jax.random.split(carry[0])
            return (key, step(p, carry[1], sub)), None

        return jax.lax.scan(with_key, (key, x[0]), None, length=3)[0][1]

    with pytest.warns(UserWarning, match="is none of hnca's"):
        jax.eval_shape(hnca.grad(mixed, unroll=False), parameters(), jax.random.key(0), jnp.ones(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": hnca.DisARM()}, "estimator DisARM; expected hnca.HNCA or hnca.REINFORCE"),
        ({"estimator": hnca.HNCA(counterfactuals=4)}, r"HNCA\(counterfactuals=4\); expected no option"),
        ({"whole_batch": True}, "whole_batch=True and unroll=False"),
    ],
)
def test_what_loops_do_not_know(settings, message):
    with pytest.raises(ValueError, match=message):
        hnca.grad(of_loops(chain), unroll=False, **settings)
