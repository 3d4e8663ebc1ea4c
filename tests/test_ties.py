"""What tells apart floats that are an ulp apart, or of opposite sign and both 0: also inside of loops and calls."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")
UNITS, AT = 4, 8
BITS = jnp.asarray(list(itertools.product((0.0, 1.0), repeat=UNITS)), jnp.float32)
PRIZES = jnp.arange(17.0) ** 1.5


def in_map(votes, x, sums):
    share = votes @ x
    return jnp.sum(jax.lax.map(lambda bound: jnp.where(share >= bound, 3 * bound, 0.0), sums))


def in_scan(votes, x, sums):
    share = votes @ x
    return jax.lax.scan(lambda total, bound: (total + jnp.where(share >= bound, 3 * bound, 0.0), None), 0.0, sums)[0]


def in_for(votes, x, sums):
    share = votes @ x
    return jax.lax.fori_loop(0, len(sums), lambda i, total: total + jnp.where(share >= sums[i], PRIZES[i], 0.0), 0.0)


def in_while(votes, x, sums):
    share = votes @ x
    return PRIZES[jax.lax.while_loop(lambda i: (i < len(sums) - 1) & (share > sums[i]), lambda i: i + 1, 0)]


def in_checkpoint(votes, x, sums):
    return jax.checkpoint(lambda share: jnp.where(share >= sums[AT], 5.0, 1.0))(votes @ x)


def in_branch(votes, x, sums):
    share = votes @ x
    return jax.lax.cond(sums[0] < 0, lambda: jnp.where(share >= sums[AT], 5.0, 1.0), lambda: share)


def searched(votes, x, sums):
    return PRIZES[jnp.searchsorted(sums, votes @ x)]


TIES = in_map, in_scan, in_for, in_while, in_checkpoint, in_branch, searched
X = jnp.asarray([-1.0, 1.0, -2.0, 0.5], jnp.float32)
ZEROS = {
    "top_k": lambda bits, x: PRIZES[jax.lax.top_k(bits * x, 1)[1][0]],
    "argsort": lambda bits, x: jnp.dot(PRIZES[jnp.argsort(bits * x)[:2]], x[:2]),
    "atan2": lambda bits, x: jnp.arctan2(bits[0] * x[0], bits[2] * x[2]),
    "angle": lambda bits, x: jnp.angle(jax.lax.complex(bits[0] * x[0], bits[2] * x[2])),
    "signbit": lambda bits, x: jnp.sum(jnp.where(jnp.signbit(bits * x), x, 1.0)),
    "copysign": lambda bits, x: jnp.sum(jnp.copysign(x, bits * x)),
    "infinity": lambda bits, x: jnp.tanh(1 / (bits[0] * x[0])),
}
"""Of a product with a negative number, which is -0 where the draw is 0."""
ESTIMATORS = hnca.HNCA(), hnca.REINFORCE()


def expected(estimator, function, logits, arguments):
    """The gradient that the estimator has on average, and the one of the average: both from a value at each state."""
    key = jax.random.key(0)

    def at(bits):
        def loss(logits, *arguments):
            return function(hnca.bernoulli(None, logits, given=bits), *arguments)

        return hnca.value_and_grad(loss, estimator=estimator)(logits, *arguments, estimator_key=key)

    _, found = jax.jit(jax.lax.map, static_argnums=0)(at, BITS)
    values = jax.jit(lambda: jax.lax.map(lambda bits: jnp.asarray(function(bits, *arguments), jnp.float32), BITS))()

    def mean(logits):
        chances = jax.nn.sigmoid(logits)
        return jnp.prod(jnp.where(BITS > 0, chances, 1 - chances), axis=-1)

    return mean(logits) @ found, jax.grad(lambda logits: mean(logits) @ values)(logits)


@pytest.mark.parametrize("program", TIES)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in (0, 5))])
@pytest.mark.sweep
def test_sums_that_meet_a_bound_exactly_are_those_of_the_program(program, seed):
    """Where bounds are sums of the very same numbers, added up by the same product."""
    x = jnp.asarray(np.random.default_rng(seed).normal(size=UNITS), jnp.float32)
    sums = jnp.sort(jax.lax.map(lambda bits: bits @ x, BITS))
    found, exact = expected(hnca.HNCA(), program, jnp.linspace(-0.5, 0.6, UNITS), (x, sums))
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("program", some_thorough(ZEROS, ["angle", "signbit", "copysign"]))
@pytest.mark.sweep
def test_zeros_keep_their_sign(program, estimator):
    found, exact = expected(estimator, ZEROS[program], jnp.linspace(-0.5, 0.6, UNITS), (X,))
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ZEROS)
@pytest.mark.sweep
def test_zeros_keep_their_sign_in_logits(name):
    def loss(logits, key, x):
        first, second = jax.random.split(key)
        seen = ZEROS[name](hnca.bernoulli(first, logits), x)
        return jnp.sum(hnca.bernoulli(second, jnp.stack([seen, 1 - seen]) / 5) * x[:2])

    hnca.check_unbiased(loss, (jnp.linspace(-0.5, 0.6, UNITS), jax.random.key(0), X))


CONTINUOUS = {
    "checkpoint of a log-sum": jax.checkpoint(lambda y: y - jax.nn.logsumexp(y)),
    "checkpoint of a normalisation": jax.checkpoint(lambda y: (y - jnp.mean(y)) / jnp.sqrt(jnp.var(y) + 1e-5)),
    "loop of log-sums": lambda y: jax.lax.fori_loop(0, 2, lambda _, c: c - jax.nn.logsumexp(c), y),
    "map": lambda y: jax.lax.map(lambda scale: jax.nn.logsumexp(scale * y), jnp.arange(1.0, 4.0)),
    "largest": lambda y: jax.lax.top_k(y, 3)[0],
    "sorted": jnp.sort,
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.sweep
def test_what_is_continuous_jumps_nowhere(name):
    """It is not evaluated from the start for each of many units, nor told of by a relaxed estimator."""

    def loss(p, key):
        first, second = jax.random.split(key)
        seen = CONTINUOUS[name](hnca.bernoulli(first, p["many"]) @ p["weight"])
        return jnp.sum(seen * p["few"][: seen.shape[0]]) + jnp.sum(hnca.bernoulli(second, seen) * 0.3)

    p = {"many": jnp.zeros(200), "weight": jnp.linspace(-0.1, 0.1, 10_000).reshape(200, 50), "few": jnp.ones(50)}
    assert "Dense, then the rest" in str(hnca.explain(loss)(p, jax.random.key(0)))
    gradient = hnca.grad(loss, estimator=hnca.REBAR())
    jax.eval_shape(lambda: gradient(p, jax.random.key(0), estimator_key=jax.random.key(1)))
