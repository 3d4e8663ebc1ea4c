"""`jax.lax.stop_gradient` stops derivatives, not the credit of draws: that is told, where it may be meant otherwise."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

stop, KEY, LOGITS = jax.lax.stop_gradient, jax.random.key(0), jnp.asarray([0.3, -0.5])


def drawn(between):
    """Returns a loss of what a function of a draw and its logits makes."""
    return lambda w, key: between(hnca.bernoulli(key, w), w)


def through(between):
    """Returns a loss that is not linear in what a function makes of a draw and its probability."""
    return lambda w, key: jnp.sum(between(hnca.bernoulli(key, w), jax.nn.sigmoid(w)) ** 2 * jnp.arange(1.0, 3.0))


def in_steps(of_step):
    def loss(w, key):
        def step(state, key):
            return of_step(jnp.sum(hnca.bernoulli(key, w * state)), w)

        return jnp.sum(jax.lax.scan(step, 0.3, jax.random.split(key, 3))[1])

    return loss


def layers(between):
    def loss(w, key):
        first, second = jax.random.split(key)
        units = hnca.bernoulli(first, w)
        return jnp.sum(units * hnca.bernoulli(second, between(units, w)))

    return loss


def called(way):
    def loss(w, key):
        return way(lambda z: stop(jnp.sum(z)) * w[0])(hnca.bernoulli(key, w)) + w[1]

    return loss


def by_two_functions(w, key):
    """A bound, whose encoder is asked twice: for a draw, and for its probability."""

    def encoded():
        return jnp.tanh(w) * 2

    drawn = hnca.bernoulli(key, encoded())
    return jnp.sum(drawn * w) - stop(jnp.sum(hnca.log_prob(encoded(), drawn)))


STRAIGHT_THROUGH = {
    "added": through(lambda z, p: z + p - stop(p)),
    "around": through(lambda z, p: p + stop(z - p)),
    "in another order": through(lambda z, p: z - stop(p) + p),
    "computed twice": lambda w, key: through(lambda z, p: z + p - stop(jax.nn.sigmoid(w)))(w, key),
    "apart": through(lambda z, p: z + (p - stop(p))),
}
STOPPED = {
    "a critic": drawn(lambda z, w: jnp.sum(z) + (w[0] - stop(jnp.sum(z) ** 2)) ** 2),
    "a score": drawn(lambda z, w: stop(jnp.sum(z) ** 2) * jnp.sum(hnca.log_prob(w, z))),
    "a commitment": drawn(lambda z, w: jnp.sum((stop(z) - w) ** 2)),
    "another layer": layers(lambda z, w: stop(z) * w),
    "a state": in_steps(lambda units, w: (stop(units), units)),
    "a checkpoint": called(jax.checkpoint),
    "a branch": called(lambda f: lambda z: jax.lax.cond(LOGITS[0] > 0, f, jnp.sum, z)),
    "a map": called(lambda f: lambda z: jnp.sum(jax.lax.map(lambda _: f(z), jnp.arange(2.0)))),
    "a step": in_steps(lambda units, w: (units, stop(units) * w[0])),
    "a log-ratio squared": drawn(lambda z, w: (jnp.sum(z) - stop(jnp.sum(hnca.log_prob(w, z)))) ** 2),
    "a log-probability times a draw": drawn(lambda z, w: z[0] * stop(jnp.sum(hnca.log_prob(w, z)))),
    "a ratio of one": drawn(lambda z, w: jnp.exp(s := jnp.sum(hnca.log_prob(w, z))) / stop(jnp.exp(s)) * jnp.sum(z)),
    "a critic of returns with a bonus": drawn(lambda z, w: (w[0] - stop(jnp.sum(z) - 0.1 * jnp.sum(w**2))) ** 2),
    "logits by a log-probability": layers(lambda z, w: w + stop(jnp.sum(hnca.log_prob(w, z)) * w)),
}
AS_ALWAYS = {
    "data": drawn(lambda z, w: jnp.sum(z * stop(w))),
    "logits": layers(lambda z, w: stop(z * w)),
    "log-sums": drawn(lambda z, w: jax.nn.logsumexp(z * w) + jnp.sum(jax.nn.log_softmax(z * 2) * jax.nn.softmax(z))),
    "a log-probability": drawn(lambda z, w: jnp.sum(z * w) - stop(jnp.sum(hnca.log_prob(w, z)))),
    "a bound": by_two_functions,
    "a mean of a weighted bound": drawn(
        lambda z, w: jnp.mean(jnp.stack([jnp.sum(z), -stop(jnp.sum(hnca.log_prob(w, z))) * w[0] / 2.0]))
    ),
    "log-sums in a checkpoint": drawn(lambda z, w: jax.checkpoint(jax.nn.logsumexp)(z * w)),
    "a log-probability in a checkpoint": lambda w, key: (
        jnp.sum(z := hnca.bernoulli(key, w)) - jax.checkpoint(lambda w, z: stop(jnp.sum(hnca.log_prob(w, z))))(w, z)
    ),
    "a reward": drawn(lambda z, w: hnca.observed(stop(jnp.sum(z) ** 2))),
    "beside": lambda w, key: (jnp.sum(hnca.bernoulli(key, w)), stop(hnca.bernoulli(jax.random.key(1), w)))[0],
    "a state of no draw": in_steps(lambda units, w: (stop(w[0]), units)),
    "no draw's step": lambda w, key: jnp.sum(hnca.bernoulli(key, w)) + stop(jnp.sum(w)) ** 2,
}


def traced(loss, **options):
    jax.eval_shape(hnca.grad(loss, **options), LOGITS, KEY)


@pytest.mark.parametrize("name", STRAIGHT_THROUGH)
def test_a_straight_through_term_is_told(name):
    with pytest.warns(UserWarning, match=r"the sum at .*test_stopped\.py:\d+.* counts twice; leave that term out"):
        traced(STRAIGHT_THROUGH[name])


@pytest.mark.parametrize("name", STOPPED)
def test_what_is_drawn_and_stopped_is_told(name):
    with pytest.warns(UserWarning, match=r"stop_gradient at .*test_stopped\.py:\d+.* is given what is drawn"):
        traced(STOPPED[name])


@pytest.mark.parametrize("name", ["a state", "a step"])
def test_so_it_is_in_a_loop_that_stays_one(name):
    with pytest.warns(UserWarning, match=r"stop_gradient at .*test_stopped\.py:\d+.* is given what is drawn"):
        traced(STOPPED[name], unroll=False)


@pytest.mark.parametrize("name", AS_ALWAYS)
def test_nothing_is_said_where_it_does_what_it_does_always(name):
    traced(AS_ALWAYS[name])


def test_the_credit_is_that_of_what_is_returned():
    """Which the warning says: the stopped value is as much a part of it as any."""
    with pytest.warns(UserWarning, match="is given what is drawn"):
        stopped = hnca.grad(drawn(lambda z, w: jnp.sum(stop(z) ** 2 * jnp.arange(1.0, 3.0))))(LOGITS, KEY)
    plain = hnca.grad(drawn(lambda z, w: jnp.sum(z**2 * jnp.arange(1.0, 3.0))))(LOGITS, KEY)
    np.testing.assert_allclose(stopped, plain, rtol=1e-6)


def test_the_librarys_own_stops_in_a_gradient_inside_are_not_told_of():
    def inner(w, key):
        return (hnca.bernoulli(key, w) - 0.3) ** 2

    def loss(w, key):
        first, second = jax.random.split(key)
        return hnca.bernoulli(first, w) * hnca.grad(inner)(jax.lax.stop_gradient(w), second)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        jax.eval_shape(hnca.grad(loss), jnp.zeros(()), jax.random.key(0))
    assert not [str(each.message) for each in told if "stop_gradient" in str(each.message)]
