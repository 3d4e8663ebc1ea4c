"""Functions of a whole batch: that the expectation of the estimate, over all states of all draws, is the gradient."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracle import Counting, Oracle, exact_gradient

import hnca

KEY = jax.random.key(0)
XS = np.array([[1.0, 0.5], [-0.4, 2.0], [0.3, -1.2]])
LABELS = jnp.array([2, 0, 1])
SHIFT = np.array([[0.5], [-1.0], [2.0]])
CODE, OUT = np.array([[0.5, -0.2], [-0.3, 0.8]]), np.array([[0.4, -1.0, 0.3], [0.7, 0.2, -0.6]])
PARAMETERS = {"in": jnp.asarray(CODE), "out": jnp.asarray(OUT)}


@jax.custom_jvp
def times(x, number):
    return x * number


times.defjvp(lambda primals, tangents: (times(*primals), tangents[0] * primals[1]))


def head(loss, width=2):
    """A function whose units are read by a layer, of whose result, `[examples, 3]`, a loss is made."""

    def function(d, p, key, x):
        return loss(d.bernoulli(key, x @ p["in"][:, :width]) @ p["out"][:width], x)

    return function


def two_layers(d, p, key, x):
    first = d.bernoulli(key, x @ p["in"][:, :1])
    second = d.bernoulli(jax.random.fold_in(key, 1), first * len(x) - SHIFT)
    return jnp.mean(jnp.sum(jnp.sin(first + second) * x, axis=1))


def classes(d, p, key, x):
    chosen = d.categorical(key, x @ p["out"])
    table = jnp.asarray(XS @ OUT)
    return jnp.mean(table[jnp.arange(len(x)), chosen] * jnp.take_along_axis(table**2, chosen[:, None], axis=1)[:, 0])


def transposed(d, p, key, x):
    units = d.bernoulli(key, p["in"].T @ x.T)
    return jnp.mean(jnp.tanh(units.T @ p["out"]) ** 2)


def of_no_data(d, p, key, x):
    units = d.bernoulli(key, jnp.broadcast_to(p["in"][0], (len(x), 2)))
    return jnp.mean(jnp.sum(units * x, axis=1) ** 2)


def of_two_draws(d, p, key, x):
    first = d.bernoulli(key, x @ p["in"][:, :1])
    other = d.bernoulli(jax.random.fold_in(key, 1), x @ p["in"][:, 1:], values=(-1, 1))
    scores = jax.vmap(jnp.dot)(first, other)
    return jnp.mean(scores**2) + 0.1 * jnp.sum(jnp.concatenate([first, other], axis=1))


def layer_normed(z, x):
    z = (z - jnp.mean(z, axis=-1, keepdims=True)) / jnp.sqrt(jnp.var(z, axis=-1, keepdims=True) + 0.1)
    return jnp.mean(z[:, 0] * x[:, 0])


def convolved(z, x):
    kernel = jnp.asarray(XS[:2, None, :])
    return jnp.mean(jnp.tanh(jax.lax.conv_general_dilated(z[:, None], kernel, (1,), "SAME")) * x[:, None, :1])


def batch_normed(d, p, key, x):
    """Statistics of what reads no draw mix nothing that matters."""
    return head(lambda z, _: jnp.mean(z**2))(d, p, key, (x - jnp.mean(x, axis=0, keepdims=True)) / jnp.std(x))


FUNCTIONS = {
    "labels": head(lambda z, x: optax.softmax_cross_entropy_with_integer_labels(z, LABELS).mean()),
    "along an axis": head(lambda z, x: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), LABELS[:, None], 1))),
    "indexed": head(lambda z, x: -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(x)), LABELS])),
    "one-hot": head(lambda z, x: optax.softmax_cross_entropy(z, jax.nn.one_hot(LABELS, 3)).mean()),
    "softmax": head(lambda z, x: jnp.mean(jax.nn.softmax(z)[:, 0] * x[:, 0])),
    "sigmoid": head(lambda z, x: jnp.mean(optax.sigmoid_binary_cross_entropy(z, (LABELS == 1)[:, None]))),
    "activations": head(lambda z, x: jnp.mean(jax.nn.elu(z) + jax.nn.relu(z) + jax.nn.gelu(z) * jax.nn.silu(z))),
    "layer norm": head(layer_normed),
    "batch norm": batch_normed,
    "convolved": head(convolved),
    "largest": head(lambda z, x: jnp.mean(jnp.max(z, axis=1) + jnp.sort(z, axis=1)[:, 1] * jnp.cumsum(x, 1)[:, 0])),
    "the two largest": head(lambda z, x: jnp.mean(jax.lax.top_k(z, 2)[0] ** 2)),
    "dropped": head(lambda z, x: jnp.mean(jnp.where(jax.random.bernoulli(KEY, 0.5, z.shape), z, 0.0) ** 2)),
    "weighted": head(lambda z, x: jnp.dot(jnp.sum(z**2, axis=1), jnp.asarray(SHIFT[:, 0])) / len(x)),
    "averaged": head(lambda z, x: jnp.average(jnp.sum(z**2, axis=1), weights=jnp.asarray(SHIFT[:, 0] ** 2))),
    "second moments": head(lambda z, x: jnp.sum((z.T @ z) * (x.T @ x)[:1, :1])),
    "a sum and a mean": head(lambda z, x: jnp.mean(z**2) + jnp.sum(jnp.exp(z)) - jnp.var(x)),
    "scaled by what is learned": lambda d, p, key, x: p["in"][0, 0] * head(lambda z, _: jnp.sum(z**2))(d, p, key, x),
    "the size before the sum": head(lambda z, x: jnp.sum(jnp.exp(z / len(x)) ** len(x) / jnp.sqrt(len(x) + 0.0))),
    "the size after the sum": head(lambda z, x: jnp.sum(z**2) / (len(x) - 1) + len(x)),
    "the size is an exponent": head(lambda z, x: jnp.mean((z + 1) ** (len(x) - 1))),
    "a custom derivative": head(lambda z, x: jnp.mean(times(z * x[:, :1], float(len(x))) ** 2)),
    "checkpointed": head(lambda z, x: jnp.mean(jax.checkpoint(lambda z, x: jnp.tanh(z) * x[:, :1])(z, x))),
    "padded": head(lambda z, x: jnp.mean(jnp.pad(z, ((0, 0), (1, 1)))[:, ::-1] ** 2)),
    "flattened": head(lambda z, x: jnp.mean(jnp.sum(z.reshape(len(x), 1, 3) ** 2, axis=(1, 2)) * x[:, 0])),
    "mapped": head(lambda z, x: jnp.mean(jax.vmap(lambda z, x, y: jnp.log1p(z[y] ** 2) * x[0])(z, x, LABELS))),
    "of two layers": two_layers,
    "of classes": classes,
    "transposed": transposed,
    "of no data": of_no_data,
    "of two draws": of_two_draws,
}


class Given(Oracle):
    """Draws of `hnca` that are to take the values of a state."""

    def bernoulli(self, key, logits, *, values=(0, 1)):
        units = jnp.asarray(values, logits.dtype)[self._next(logits.shape)]
        return hnca.bernoulli(None, logits, values=values, given=units)

    def categorical(self, key, logits):
        return hnca.categorical(None, logits, given=self._next(logits.shape[:-1]))


def expected_estimate(function, p, x, estimator=None):
    """Returns the sum over all states of the probability of a state times the estimate at it."""
    counting = Counting()
    function(counting, p, KEY, x)
    states = jnp.asarray(list(itertools.product(*map(range, counting.sizes))))

    def probability(state):
        oracle = Oracle(state)
        function(oracle, p, KEY, x)
        return jnp.exp(oracle.log_probability)

    def estimate(state):
        step = hnca.grad(
            lambda p, x: function(Given(state), p, KEY, x), in_axes=(None, 0), whole_batch=True, estimator=estimator
        )
        return step(p, x)

    weights, found = jax.jit(lambda s: (jax.vmap(probability)(s), jax.vmap(estimate)(s)))(states)
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), found)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.sweep
def test_the_expected_estimate_is_the_gradient(name, float64):
    p, x = jax.tree.map(jnp.float64, PARAMETERS), jnp.asarray(XS)
    expected = exact_gradient(FUNCTIONS[name], p, x)
    found = expected_estimate(FUNCTIONS[name], p, x)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected)) > 1e-3


# What is done to units, and what is said of it.
MIXING = {
    "a statistic": (lambda h: jnp.sum((h - jnp.mean(h, axis=0, keepdims=True)) ** 2), "a sum over the batch meets"),
    "a function of a sum": (lambda h: jnp.log(1 + jnp.mean(h)), "'log1p|'log' at .* not linear in a sum"),
    "a product of sums": (lambda h: jnp.sum(h) * jnp.mean(h**2), "'mul' at .* not linear in a sum"),
    "all pairs": (lambda h: jnp.mean(h @ h.T), "multiplies every example with every other"),
    "all pairs, contracted": (lambda h: jnp.sum((h.T @ h) ** 2), "not linear in a sum"),
    "the largest": (lambda h: jnp.sum(jnp.max(h, axis=0)), "by something else than a sum"),
    "neighbours": (lambda h: jnp.sum(h[1:] * h[:-1]), "takes some of them"),
    "rolled": (lambda h: jnp.sum(h * jnp.roll(h, 1, axis=0)), "takes some of them"),
    "reversed": (lambda h: jnp.sum(h * h[::-1]), "goes along the batch"),
    "running sums": (lambda h: jnp.sum(jnp.cumsum(h, axis=0) ** 2), "goes along the batch"),
    "sorted": (lambda h: jnp.sum(jnp.sort(h, axis=0)[0]), "sorts the batch"),
    "looked up": (lambda h: jnp.sum(h[jnp.array([1, 0, 2]), LABELS % 2]), "looks some of them up"),
    "looked up, of two": (lambda h: jnp.sum(h[jnp.array([1, 0, 2])] * h), "looks some of them up"),
    "transposed": (lambda h: jnp.sum(jnp.pad(h, ((0, 0), (0, 1))) * jnp.pad(h, ((0, 0), (0, 1))).T), "another axis"),
    "put beside each other": (lambda h: jnp.sum(jnp.concatenate([h, 1 - h]) ** 2), "puts other examples beside"),
    "run together": (lambda h: jnp.sum(jnp.sin(h.reshape(-1))), "runs the batch together"),
    "convolved": (
        lambda h: jnp.sum(jax.lax.conv_general_dilated(h.T[:, None], jnp.ones((1, 1, 2)), (1,), "SAME") ** 2),
        "is an axis that it convolves",
    ),
    "a loop": (lambda h: jnp.sum(jax.lax.scan(lambda c, r: (c + r, c * r), h[0] * 0, h)[1]), "takes some of|not known"),
}


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.sweep
def test_what_mixes_examples_is_refused(name):
    function, says = MIXING[name]
    step = hnca.grad(lambda w, k, x: function(hnca.bernoulli(k, x @ w)), in_axes=(None, None, 0), whole_batch=True)
    with pytest.raises(
        ValueError, match=rf"test_whole_batch\.py:\d+.* may mix the examples.*({says})|({says})"
    ) as told:
        step(jnp.ones((2, 2)), KEY, jnp.asarray(XS, jnp.float32))
    assert "test_whole_batch.py" in str(told.value)


def test_other_mistakes_are_told():
    def refused(function, says, in_axes=(None, None, 0)):
        with pytest.raises(ValueError, match=says):
            hnca.grad(function, in_axes=in_axes, whole_batch=True)(jnp.ones((2, 2)), KEY, jnp.asarray(XS, jnp.float32))

    refused(
        lambda w, k, x: jnp.mean(x) * jnp.sum(hnca.bernoulli(k, w[0])), r"'bernoulli_0' at .* one for the whole batch"
    )
    refused(lambda w, k, x: (hnca.bernoulli(k, x @ w), jnp.sum(x))[1], "no sum or mean over the batch")
    refused(lambda w, k, x: jnp.mean(hnca.bernoulli(k, x @ w)), "at least two examples", in_axes=None)

    @jax.custom_jvp
    def by_size(x):
        return x * x.shape[0]

    by_size.defjvp(lambda primals, tangents: (by_size(*primals), tangents[0]))
    refused(lambda w, k, x: jnp.sum(by_size(hnca.bernoulli(k, x @ w))), "is another one for a batch of one")
    rows = jnp.arange(3.0)[:, None]
    refused(
        lambda w, k, x: jnp.mean(jnp.concatenate([jax.nn.relu(hnca.bernoulli(k, x @ w)), rows], axis=1)),
        r"at .*test_whole_batch\.py:\d+.* traced on a batch of one for it, which fails: .*concatenate.*as arguments",
    )


def test_draws_that_are_none_of_hnca_s_are_reported():
    def loss(w, k, x):
        first, second = jax.random.split(k)
        gates = jax.random.bernoulli(second, jax.nn.sigmoid(x @ w)).astype(x.dtype)
        return jnp.mean(hnca.bernoulli(first, x @ w) * gates)

    with pytest.warns(UserWarning, match=r"test_whole_batch\.py:\d+"):
        hnca.grad(loss, in_axes=(None, None, 0), whole_batch=True)(jnp.ones((2, 2)), KEY, jnp.ones((3, 2)))


ESTIMATORS = [
    hnca.HNCA(hnca.RunningMean(), control=hnca.FirstOrder()),
    hnca.HNCA(hnca.LearnedBaseline()),
    hnca.REINFORCE(hnca.RunningMean()),
    hnca.NVIL(),
    hnca.StraightThrough(),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
@pytest.mark.sweep
def test_it_is_as_if_written_for_one_example(estimator, float64):
    """Values, gradients and what an estimator learns, of the same draws; what is beside the result may mix examples."""
    p, xs = jax.tree.map(jnp.float64, PARAMETERS), jnp.asarray(XS)

    def of_batch(p, key, xs):
        h = hnca.bernoulli(key, xs @ p["in"])
        scores = jax.nn.relu(h @ p["out"])
        return optax.softmax_cross_entropy_with_integer_labels(scores, LABELS).mean(), (h, jnp.std(scores, axis=0))

    def of_one(p, x, y, h):
        h = hnca.bernoulli(None, x @ p["in"], given=h)
        return optax.softmax_cross_entropy_with_integer_labels(jax.nn.relu(h @ p["out"]), y)

    whole = hnca.value_and_grad(
        of_batch, in_axes=(None, None, 0), whole_batch=True, has_aux=True, estimator=estimator, stateful=True
    )
    (value, ((h, _), state)), gradient = jax.jit(whole)(p, KEY, xs)
    one = hnca.value_and_grad(of_one, in_axes=(None, 0, 0, 0), estimator=estimator, stateful=True)
    (expected_value, _), expected = jax.jit(one)(p, xs, LABELS, h)
    for a, b in zip(jax.tree.leaves((value, gradient)), jax.tree.leaves((expected_value, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert state is not None


@pytest.mark.parametrize("call", [lambda f: f, jax.checkpoint], ids=["plain", "checkpointed"])
@pytest.mark.sweep
def test_as_many_units_as_examples(call, float64):
    """The batch is the second axis of the draw, and the weight, which is closed over, is of its size too."""
    p, xs = {"in": jnp.asarray(XS.T), "out": jnp.asarray(XS @ XS.T)}, jnp.asarray(XS)

    def of_batch(p, key, xs):
        h = hnca.bernoulli(key, (xs @ p["in"]).T)
        return jnp.mean(call(lambda h: jnp.tanh(p["out"] @ h) ** 2)(h)), h

    def of_one(p, x, h):
        return jnp.mean(jnp.tanh(p["out"] @ hnca.bernoulli(None, x @ p["in"], given=h)) ** 2)

    found, h = hnca.grad(of_batch, in_axes=(None, None, 0), whole_batch=True, has_aux=True)(p, KEY, xs)
    expected = hnca.grad(of_one, in_axes=(None, 0, 1))(p, xs, h)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), found, expected)
