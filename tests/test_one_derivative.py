"""The estimate is a first derivative: another one of it is refused, and every use of the first is as before."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY, AT = jax.random.key(0), jnp.asarray(1.0)
SLOPE = float(jax.nn.sigmoid(1.0) * jax.nn.sigmoid(-1.0))


def drawn(at, key):
    return hnca.bernoulli(key, at)


def decoded(decoder, key, at):
    return decoder**2 * hnca.bernoulli(key, at)


def inner_step(at, key):
    first, second = jax.random.split(key)
    return hnca.credited(drawn)(at - 2.0 * hnca.grad(drawn)(at, first), second)


def closing(at, key):
    return hnca.grad(lambda w: hnca.bernoulli(key, w) * at)(AT)


def of_batch(at, key):
    step = hnca.grad(lambda w, k, x: jnp.mean(hnca.bernoulli(k, x * w)), in_axes=(None, None, 0), whole_batch=True)
    return step(at, key, jnp.ones(2))


def through_a_scan(at, key):
    def step(carry, part):
        return carry - hnca.grad(drawn)(carry, part), None

    return jax.lax.scan(step, at, jax.random.split(key, 2))[0]


SECOND = {
    "grad of grad": lambda at, key: jax.grad(hnca.grad(drawn))(at, key),
    "grad of the value and the gradient": lambda at, key: jax.grad(lambda a: hnca.value_and_grad(drawn)(a, key)[1])(at),
    "forward over it": lambda at, key: jax.jacfwd(hnca.grad(drawn))(at, key),
    "backward over forward": lambda at, key: jax.grad(jax.jacfwd(hnca.credited(drawn)))(at, key),
    "hessian": lambda at, key: jax.hessian(hnca.credited(drawn))(at, key),
    "an inner step": lambda at, key: jax.grad(inner_step)(at, key),
    "a deterministic decoder": lambda at, key: jax.grad(hnca.grad(decoded))(at, key, at),
    "a decoder, by the logits": lambda at, key: jax.grad(hnca.grad(decoded), argnums=2)(at, key, at),
    "closed over": lambda at, key: jax.grad(closing)(at, key),
    "a whole batch": lambda at, key: jax.grad(of_batch)(at, key),
    "a scan": lambda at, key: jax.grad(through_a_scan)(at, key),
    "compiled inside": lambda at, key: jax.grad(jax.jit(hnca.grad(drawn)))(at, key),
    "compiled outside": lambda at, key: jax.jit(jax.grad(hnca.grad(drawn)))(at, key),
    "examples mapped": lambda at, key: jax.grad(lambda a: jnp.sum(jax.vmap(hnca.grad(drawn), (None, 0))(a, key[None])))(
        at
    ),
    "filtered": lambda at, key: eqx.filter_grad(lambda a: eqx.filter_grad(hnca.credited(drawn))(a, key))(at),
}


@pytest.mark.parametrize("name", SECOND)
@pytest.mark.sweep
def test_a_second_derivative_is_refused(name):
    run = SECOND[name]
    with pytest.raises(ValueError, match=r"(drawn|decoded|lambda>): the estimate of its gradient is .* once more"):
        run(AT, KEY)


def many(at, key):
    """The sum of three draws in a scan that is differentiated, with and without what is computed anew."""
    step = jax.checkpoint(lambda total, part: (total + hnca.credited(drawn)(at, part), None))
    return jax.lax.scan(step, jnp.zeros(()), jax.random.split(key, 3))[0]


FIRST = {
    "grad": (lambda at, key: hnca.grad(drawn)(at, key), 1),
    "credited": (lambda at, key: jax.grad(hnca.credited(drawn))(at, key), 1),
    "forward": (lambda at, key: jax.jacfwd(hnca.credited(drawn))(at, key), 1),
    "linearised": (lambda at, key: jax.linearize(lambda a: hnca.credited(drawn)(a, key), at)[1](jnp.ones(())), 1),
    "of a function of it": (lambda at, key: jax.grad(lambda a: 2 * hnca.credited(drawn)(a, key))(at), 2),
    "checkpoint": (lambda at, key: jax.grad(jax.checkpoint(hnca.credited(drawn)))(at, key), 1),
    "compiled inside": (lambda at, key: jax.grad(jax.jit(hnca.credited(drawn)))(at, key), 1),
    "a scan": (lambda at, key: jax.grad(many)(at, key), 3),
    "mapped": (
        lambda at, key: jnp.sum(jax.vmap(hnca.grad(drawn), (None, 0))(at, jax.random.split(key, 4))),
        4,
    ),
    "mapped inside": (
        lambda at, key: jax.grad(
            lambda a: jnp.sum(jax.vmap(hnca.credited(drawn), (None, 0))(a, jax.random.split(key, 4)))
        )(at),
        4,
    ),
    "filtered": (lambda at, key: eqx.filter_grad(hnca.credited(drawn))(at, key), 1),
    "stopped": (
        lambda at, key: jax.grad(lambda a: a * hnca.grad(drawn)(jax.lax.stop_gradient(a), key))(at),
        1,
    ),
    "beside another derivative": (
        lambda at, key: jax.grad(lambda a, b: a * hnca.grad(drawn)(b, key), argnums=0)(at, AT),
        1,
    ),
    "a condition": (
        lambda at, key: jax.grad(lambda a: jax.lax.cond(a > 0, lambda: hnca.credited(drawn)(a, key), lambda: a))(at),
        1,
    ),
    "a decoder by another": (lambda at, key: hnca.grad(decoded, argnums=2)(jnp.ones(()), key, at), 1),
    "data that is differentiated by": (lambda at, key: jax.grad(hnca.credited(decoded), argnums=2)(AT, key, at), 1),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.sweep
def test_a_first_derivative_is_as_before(name):
    function, times = FIRST[name]
    np.testing.assert_allclose(jax.jit(function)(AT, KEY), times * SLOPE, rtol=1e-5)


def test_a_training_loop():
    """By an optimiser inside a compiled scan, and outside: nothing in it is differentiated twice."""
    optimiser = optax.adam(0.1)

    def step(carry, key):
        at, state = carry
        value, gradient = hnca.value_and_grad(drawn, in_axes=(None, 0))(at, jax.random.split(key, 4))
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(at, updates), state), value

    keys = jax.random.split(KEY, 3)
    begun = AT, optimiser.init(AT)
    with jax.numpy_dtype_promotion("standard"):
        (at, _), values = jax.jit(lambda carry: jax.lax.scan(step, carry, keys))(begun)
        for key in keys:
            begun, _ = step(begun, key)
    assert values.shape == (3,)
    np.testing.assert_allclose(at, begun[0], rtol=1e-5)
    assert at < 0.9
