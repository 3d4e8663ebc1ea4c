"""Functions of a whole batch that read its size: right where that is after the sum, refused where it is before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
WEIGHT, XS = jnp.array([[0.5], [-0.3]]), jnp.array([[1.0, 0.5], [-0.4, 2.0]])
TWO, TABLE = 2, np.array([[2.0, 1.0]], np.float32)


@jax.custom_jvp
def times(x, number):
    return x * number


times.defjvp(lambda primals, tangents: (times(*primals), tangents[0] * primals[1]))


def loss(before=lambda h, x, key: h * x, after=lambda total, x: total):
    """Draws a unit an example, and sums what is made of it."""

    def of_batch(weight, key, xs):
        code = hnca.bernoulli(key, xs @ weight)
        return after(jnp.sum(before(code, xs, key)), xs)

    return of_batch


def gradient_of(function, weight=WEIGHT, xs=XS):
    return hnca.grad(function, in_axes=(None, None, 0), whole_batch=True)(weight, KEY, xs)


def drawn_later(h, x, key):
    return hnca.bernoulli(jax.random.fold_in(key, 1), h * len(x) - 0.5) * x


BEFORE = {
    "divided": lambda h, x, key: h * x / len(x),
    "rooted": lambda h, x, key: h * x * jnp.sqrt(jnp.float32(len(x))),
    "by numpy": lambda h, x, key: h * x * np.float32(len(x)) ** 0.5,
    "a later draw's logits": drawn_later,
    "an exponent": lambda h, x, key: (h + 1) ** (len(x) + 1),
    "counted": lambda h, x, key: h * x * jnp.sum(jnp.ones(len(x))),
    "noise of a key": lambda h, x, key: h * jax.random.normal(jax.random.split(key, 1 + len(x))[0], (1, 2)),
    "a custom derivative": lambda h, x, key: times(h * x, float(len(x))),
    "repeated": lambda h, x, key: jnp.broadcast_to((h * x)[:, :, None], (*x.shape, 1 + len(x))),
    "a draw's values": lambda h, x, key: (
        hnca.bernoulli(jax.random.fold_in(key, 1), h - 0.5, values=(0.0, float(len(x)))) * x
    ),
    "a constant": lambda h, x, key: h * (TABLE * len(x)),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.sweep
def test_a_size_before_the_sum_is_refused(name, jit):
    run = jax.jit(lambda w: gradient_of(loss(BEFORE[name]), w)) if jit else lambda w: gradient_of(loss(BEFORE[name]), w)
    with pytest.raises(ValueError, match=r"test_batch_size\.py:\d+.* computed from the size of the batch.*jnp\.mean"):
        run(WEIGHT)


def test_logits_that_read_the_size_are_refused():
    with pytest.raises(ValueError, match="computed from the size"):
        gradient_of(lambda w, key, xs: jnp.sum(hnca.bernoulli(key, xs @ w / len(xs)) * xs))
    with pytest.raises(ValueError, match="computed from the size"):
        gradient_of(
            lambda w, key, xs: jnp.sum(hnca.bernoulli(key, xs @ w * jnp.sum(jnp.broadcast_to(w, (len(xs), 2, 1)))))
        )


@pytest.mark.parametrize(
    "function",
    [
        lambda w, key, xs: jnp.sum(hnca.bernoulli(key, xs @ w) * (xs if len(xs) > 1 else -xs)),
        lambda w, key, xs: jnp.sum(hnca.bernoulli(key, xs @ w)) * (1.0 if len(xs) > 1 else w[0, 0]),
        lambda w, key, xs: jnp.sum(hnca.bernoulli(key, xs @ w) * xs[:, len(xs) - 1 :]),
        lambda w, key, xs: jnp.sum(jnp.broadcast_to(hnca.bernoulli(key, xs @ w), (len(xs), len(xs)))),
        lambda w, key, xs: jnp.sum((jnp.sin if len(xs) > 1 else jnp.cos)(hnca.bernoulli(key, xs @ w) * xs)),
    ],
)
def test_a_function_that_does_other_things_is_refused(function):
    with pytest.raises(ValueError, match=r"does other things for a batch of one, .*jnp\.mean"):
        gradient_of(function)


# What the sum over the batch of h * x is multiplied with.
AFTER = {
    "mean": (lambda total, x: total / len(x), 1 / 2),
    "root": (lambda total, x: total * jnp.sqrt(jnp.float32(len(x))), 2**0.5),
    "by numpy": (lambda total, x: total * np.float32(len(x)) ** 0.5, 2**0.5),
    "square": (lambda total, x: total / len(x) ** 2, 1 / 4),
    "counted": (lambda total, x: total / jnp.sum(jnp.ones(len(x))), 1 / 2),
    "a constant of that size": (lambda total, x: total * TWO, 2.0),
    "added": (lambda total, x: total + len(x), 1.0),
}


def check(found, factor):
    """The gradient of the expected sum of h * x, whose estimate is exact, times a factor."""
    odds = jax.nn.sigmoid(XS @ WEIGHT)
    slope = odds * (1 - odds) * jnp.sum(XS, axis=1, keepdims=True)
    np.testing.assert_allclose(found, factor * (XS.T @ slope), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", AFTER)
@pytest.mark.sweep
def test_a_size_after_the_sum_is_right(name, jit):
    after, factor = AFTER[name]

    def run(weight):
        return gradient_of(loss(after=after), weight)

    check((jax.jit(run) if jit else run)(WEIGHT), factor)


def test_what_is_no_size_is_taken():
    """Numbers that happen to be the size, means by JAX, what is closed over, and keys of each example."""
    check(gradient_of(loss(lambda h, x, key: h * x * TWO)), 2.0)
    check(gradient_of(lambda w, key, xs: jnp.mean(jnp.sum(hnca.bernoulli(key, xs @ w) * xs, axis=1))), 0.5)
    check(gradient_of(lambda w, key, xs: jnp.average(jnp.sum(hnca.bernoulli(key, xs @ w) * xs, axis=1))), 0.5)
    check(gradient_of(lambda w, key, xs: jnp.mean(hnca.bernoulli(key, xs @ w) * xs)), 0.25)
    check(gradient_of(loss(lambda h, x, key: times(h * x, 2.0))), 2.0)

    def of_keys(w, key, xs):
        code = jax.vmap(hnca.bernoulli)(jax.random.split(key, len(xs)), xs @ w)
        return jnp.mean(jnp.sum(code * xs, axis=1))

    check(gradient_of(of_keys), 0.5)

    def of_mapped(w, key, xs):
        return jnp.mean(hnca.bernoulli(key, xs @ w)[:, 0] * jax.vmap(jnp.sum)(xs))

    check(gradient_of(of_mapped), 0.5)

    @jax.jit
    def closing(scale, table):
        return gradient_of(loss(lambda h, x, key: h * x * scale * table * jnp.asarray([[1.0, 1.0]])))

    check(closing(2.0, jnp.ones((1, 2))), 2.0)


def test_what_is_closed_over_is_taken():
    def of_weight(weight):
        closing = hnca.credited(lambda k, x: loss()(weight, k, x), in_axes=(None, 0), whole_batch=True)
        return closing(KEY, XS)

    check(jax.grad(of_weight)(WEIGHT), 1.0)
    check(jax.jit(jax.grad(of_weight))(WEIGHT), 1.0)


def test_a_divisor_that_an_example_has_not_is_refused():
    with pytest.raises(ValueError, match="computed from the size"):
        gradient_of(loss(after=lambda total, x: total / (len(x) - 1)))
    with pytest.raises(ValueError, match="computed from the size"):
        gradient_of(loss(after=lambda total, x: total * jnp.sum(jnp.broadcast_to(jax.random.normal(KEY), len(x)))))
