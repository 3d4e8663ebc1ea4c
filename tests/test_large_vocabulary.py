"""A draw of very many categories: what is made of it is not tabulated, and an estimator pays for what it evaluates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import equations_of

import hnca
from hnca.programs import kinds

SIZE, WIDTH = 70, 3
KEY = jax.random.key(0)
EMBEDDING = jax.random.normal(jax.random.key(1), (SIZE, WIDTH))
LOGITS = jax.random.normal(jax.random.key(2), (SIZE,))


def read(embedding, token, form):
    return (
        embedding[token] if form == "row" else jax.nn.one_hot(token, len(embedding), dtype=embedding.dtype) @ embedding
    )


def loss_of(form):
    def loss(parameters, key, x):
        """A network of the word and the example, and a word that is drawn given what is made of the first."""
        first, second = jax.random.split(key)
        seen = jnp.tanh(read(parameters["embedding"], hnca.categorical(first, parameters["logits"]), form) + x)
        again = hnca.bernoulli(second, jnp.tanh(seen @ jnp.ones((WIDTH, 2), seen.dtype)))
        return jnp.sum(jnp.tanh(seen @ jnp.ones((WIDTH,), seen.dtype))) * (1 + again[0] * again[1]) + jnp.sum(seen**2)

    return loss


@pytest.fixture
def nothing_tabulated(monkeypatch):
    for name in ("MAXIMUM_TABLE", "MAXIMUM_SHARED_TABLE"):
        monkeypatch.setattr(kinds, name, 0)


def arguments_of(dtype):
    parameters = {"logits": LOGITS.astype(dtype), "embedding": EMBEDDING.astype(dtype)}
    return parameters, KEY, jnp.arange(WIDTH, dtype=dtype)


def exact(parameters, x):
    """The gradient of the expectation, of which nothing is drawn and nothing is hnca's."""

    def expectation(parameters):
        seen = jnp.tanh(parameters["embedding"] + x[None])
        p = jax.nn.sigmoid(jnp.tanh(seen @ jnp.ones((WIDTH, 2), seen.dtype)))
        value = jnp.tanh(seen @ jnp.ones((WIDTH,), seen.dtype)) * (1 + p[:, 0] * p[:, 1]) + jnp.sum(seen**2, axis=-1)
        return jnp.sum(jax.nn.softmax(parameters["logits"]) * value)

    return jax.grad(expectation)(parameters)


@pytest.mark.usefixtures("float64", "nothing_tabulated")
@pytest.mark.parametrize("form", ["row", "one-hot"])
@pytest.mark.sweep
def test_what_is_not_tabulated_is_exact_too(form):
    arguments = arguments_of(jnp.float64)
    assert f"evaluated anew {SIZE - 1} times" in hnca.explain(loss_of(form))(*arguments)
    found = hnca.check_unbiased(loss_of(form), arguments)
    for mine, true in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(exact(*arguments[::2])), strict=True):
        np.testing.assert_allclose(mine, true, atol=1e-12)
    assert found.error < 1e-10


def single(form, width):
    weight = jnp.ones((width,)) / width

    def loss(logits, embedding, key, x):
        return jnp.tanh((read(embedding, hnca.categorical(key, logits), form) + x) @ weight)

    return loss


def largest_array(form, size, width, estimator):
    """Returns the size of the largest array of a gradient of two examples."""
    keys, x = jax.random.split(KEY, 2), jnp.ones((2, width))
    gradient = hnca.grad(single(form, width), in_axes=(None, None, 0, 0), estimator=estimator)
    arguments = jnp.zeros(size), jnp.ones((size, width)), keys, x
    traced = jax.make_jaxpr(lambda *a: gradient(*a, estimator_key=KEY))(*arguments)
    return max(variable.aval.size for equation in equations_of(traced.jaxpr) for variable in equation.outvars)


@pytest.mark.parametrize("form", ["row", "one-hot"])
@pytest.mark.parametrize("estimator", [hnca.HNCA(counterfactuals=4), hnca.UnorderedSet(4), hnca.REINFORCE()])
@pytest.mark.sweep
def test_no_estimator_makes_a_table_for_every_example(form, estimator):
    """At most twice the embedding, or all probabilities of the four values of an example: not size x size."""
    size, width = 12000, 100
    assert largest_array(form, size, width, estimator) <= 2 * size * width


def test_hnca_says_that_it_credits_by_the_score():
    with pytest.warns(
        UserWarning,
        match=r"the draw at .*test_large_vocabulary.* evaluated anew 11999 times, .* less of it has hnca.UnorderedSet",
    ):
        largest_array("row", 12000, 100, hnca.HNCA())


def test_no_estimator_is_recommended_to_itself(nothing_tabulated):
    def loss(p, key):
        first, second = jax.random.split(key)
        word = hnca.categorical(first, p["words"])
        return hnca.categorical(second, jnp.tanh(p["table"][word]) @ p["table"].T).astype(jnp.float32)

    p = {"words": jnp.zeros(5000), "table": jnp.ones((5000, 2))}
    for estimator in (hnca.HNCA(), hnca.HNCA(counterfactuals=4)):
        with pytest.warns(UserWarning, match=r"less of it has hnca.UnorderedSet\(4\)"):
            told = hnca.explain(loss, estimator=estimator)(p, KEY)
        assert "not so by hnca.HNCA(counterfactuals=4)" not in told
        assert "less of it has hnca.UnorderedSet(4)" in told


def test_the_score_alone_evaluates_nothing_for_what_was_not_drawn():
    """The decoder of every word is what HNCA asks for, and REINFORCE does not."""
    examples, words = 8, 300

    def loss(p, key, x):
        code = jax.nn.one_hot(hnca.categorical(key, x @ p["in"]), words)
        return jnp.sum((jnp.tanh(jnp.tanh(code @ p["words"]) @ p["square"]) @ p["out"] - x) ** 2)

    def operations(estimator):
        shapes = {"in": (4, words), "words": (words, 128), "square": (128, 128), "out": (128, 4)}
        p = {name: jnp.ones(shape) for name, shape in shapes.items()}
        gradient = jax.jit(hnca.grad(loss, in_axes=(None, 0, 0), estimator=estimator))
        lowered = gradient.lower(p, jax.random.split(KEY, examples), jnp.ones((examples, 4)))
        return lowered.compile().cost_analysis()["flops"]

    decoder = 2 * words * 128 * 128
    assert operations(hnca.REINFORCE()) < decoder < operations(hnca.HNCA())
