"""What numbers do in a program, and floats that stand for them do not: each is exact, judged by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracle import exact_gradient

import hnca

P = {
    "in": np.array([[0.5, -0.3, 0.8], [0.2, 0.7, -0.6]]),
    "square": np.array([[0.4, -0.9, 0.3], [0.6, 0.1, -0.7], [-0.2, 0.5, 0.9]]),
    "bias": np.array([0.2, -0.4, 0.7]),
}
X = np.array([1.0, 0.5])
WORTH = np.array([1.0, 2.0, 5.0])
MASK = np.array([False, True, True])
GRAPH = np.array([[True, True, False], [False, True, True], [True, True, True]])


def hidden(d, p, k, x):
    return d.bernoulli(k, x @ p["in"])


def two_logsumexps(d, p, k, x):
    """One keeps its axis, the other does not."""
    a = hidden(d, p, k, x) @ p["square"]
    return optax.softmax_cross_entropy(a, jnp.array([0.2, 0.3, 0.5])) + 0.1 * hnca.entropy(a, categorical=True)


def softplus_and_logsumexp(d, p, k, x):
    a = hidden(d, p, k, x) @ p["square"]
    return jnp.sum(jax.nn.softplus(a)) + jax.nn.logsumexp(a) + jnp.sum(a * jax.nn.sigmoid(a))


def product_in_two_likelihoods(d, p, k, x):
    first, second = jax.random.split(k)
    a, b = hidden(d, p, first, x) @ p["square"], d.bernoulli(second, p["bias"]) @ p["square"].T
    return jnp.sum(optax.sigmoid_binary_cross_entropy(a, b)) + 0.1 * jnp.sum(jax.nn.softplus(b))


def normaliser_of_bernoulli_logits(d, p, k, x):
    first, second = jax.random.split(k)
    logits = hidden(d, p, first, x) @ p["square"]
    return jnp.sum(d.bernoulli(second, logits)) * 0.3 + jax.nn.logsumexp(logits)


def softplus_of_categorical_logits(d, p, k, x):
    first, second = jax.random.split(k)
    logits = hidden(d, p, first, x) @ p["square"]
    return jnp.asarray(WORTH)[d.categorical(second, logits)] + jnp.sum(jax.nn.softplus(logits))


def logaddexp_to_base_2(d, p, k, x):
    return jnp.sum(jnp.logaddexp2(0.0, hidden(d, p, k, x) @ p["square"]))


def two_words(d, p, k):
    first, second = jax.random.split(k)
    return d.categorical(first, p["square"]), d.categorical(second, p["square"].T)


def product_of_whole_numbers(d, p, k, x):
    """Linear in each of two draws of whole numbers, whose values are given where the other's credit is sought."""
    z, y = two_words(d, p, k)
    return 1.0 * (z @ y) + 0.3 * jnp.sum(jnp.cumsum(z) * jnp.cumsum(y)) + x[0] * z[y[0]]


def whole_numbers_looked_up(d, p, k, x):
    z, y = two_words(d, p, k)
    counted = jnp.where(jnp.sum(y) > 2, jnp.cumsum(z), 1)
    return jnp.sum(jnp.asarray(WORTH) * (z[y] + counted)) + jnp.sum(jnp.cumsum(z)[y] * x[1])


def masked_by_a_table(d, p, k, x, closed=-jnp.inf):
    """A word says which come next, by a table of arguments; two say so together, and what is scored is one of them."""
    never = jnp.where(jnp.asarray(GRAPH), 0.0, closed)
    keys = jax.random.split(k, 4)
    words = d.categorical(keys[0], p["square"][:2])
    word = d.categorical(keys[1], (p["square"] + never)[words[0]])
    last = d.categorical(keys[2], jnp.sum((p["square"].T * x[1] + never)[jnp.stack([word, words[1]])], axis=0))
    score = hnca.log_prob((p["square"] + never)[last], last)
    return jnp.asarray(WORTH)[last] * word.astype(float) + score


def masked_by_a_large_number(d, p, k, x):
    return masked_by_a_table(d, p, k, x, closed=-1e9)


@jax.custom_jvp
def logaddexp(a, b):
    return jnp.logaddexp(3 * a, 3 * b) / 3


logaddexp.defjvp(lambda primals, tangents: jax.jvp(lambda a, b: jnp.logaddexp(3 * a, 3 * b) / 3, primals, tangents))


def a_logaddexp_of_the_users(d, p, k, x):
    y = hidden(d, p, k, x) @ p["square"]
    return jnp.sum(logaddexp(jnp.zeros(3), y))


def infected_neighbours(d, p, k, x):
    return ((hidden(d, p, k, x) > 0.5) @ jnp.asarray(GRAPH)).astype(float) @ p["bias"]


def bytes_that_wrap(d, p, k, x):
    z = d.categorical(k, p["square"][:2]).astype(jnp.uint8)
    hundreds = z * jnp.uint8(100)
    return (hundreds[0] + hundreds[1]).astype(float) + 2.0 * (z[0] - z[1]).astype(float)


def a_narrow_conversion(d, p, k, x):
    count = jnp.sum(hidden(d, p, k, x).astype(jnp.int32) * 100)
    return count.astype(jnp.int8).astype(float) * p["bias"][0]


def large_codes(d, p, k, x):
    code = jnp.sum(hidden(d, p, k, x).astype(jnp.int32) * jnp.array([1, 2**25, 2**26], jnp.int32))
    return jnp.asarray(WORTH).astype(p["bias"].dtype)[code % 3]


def filled_logits(d, p, k, x):
    first, second = jax.random.split(k)
    y = hidden(d, p, first, x) @ p["square"]
    padded = jnp.take(y, jnp.array([0, 2, 7]), mode="fill", fill_value=1.0)
    return d.bernoulli(second, padded) @ p["bias"] + jnp.sum(jnp.tanh(padded))


def unanimous(d, p, k, x):
    return jnp.where(jnp.mean(d.bernoulli(k, jnp.resize(p["bias"], (6,)))) == 1.0, 1.0, 0.0)


def unanimous_between_draws(d, p, k, x):
    first, second = jax.random.split(k)
    votes = d.bernoulli(first, jnp.resize(p["bias"], (6,)))
    return d.bernoulli(second, jnp.where(jnp.mean(votes) >= 1.0, p["bias"][0], -1.0))


def shares_reached(d, p, k, x):
    return jnp.where(hidden(d, p, k, x) @ jnp.array([0.1, 0.2, 0.7]) >= 1.0, 2.0, -1.0)


def far_below_a_mask(d, p, k, x):
    return jnp.asarray(WORTH)[d.categorical(k, jnp.where(jnp.asarray(MASK), p["bias"] - 400.0, -jnp.inf))]


def cheapest_open_road(d, p, k, x):
    road = jnp.where(hidden(d, p, k, x) > 0, jnp.array([300.0, 500.0, 250.0]), jnp.inf)
    return jnp.minimum(jnp.min(road), 1000.0)


def mask_and_key(d, p, k, x):
    first, second = jax.random.split(k)
    return jnp.concatenate([hidden(d, p, first, x)[:2], jnp.ones(1, p["bias"].dtype)]), second


def masked_by_draws(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    logits = h @ p["square"] - p["bias"] * jnp.array([3.0, -2.0, 0.5]) + jnp.where(h > 0, 0.0, -jnp.inf)
    return jnp.asarray(WORTH)[d.categorical(key, logits)]


def masked_by_draws_far_apart(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    logits = h @ p["square"] + jnp.array([0.0, -310.0, -305.0]) + jnp.where(h > 0, 0.0, -jnp.inf)
    return jnp.asarray(WORTH)[d.categorical(key, logits)]


def masked_by_an_argument(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    return jnp.asarray(WORTH)[d.categorical(key, jnp.where(h > 0, p["bias"], -x[1] * jnp.exp(2000.0 * x[:1])))]


def masked_by_an_argument_beside_a_layer(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    logits = h @ p["square"] - p["bias"] + jnp.where(h > 0, 0.0, -x[1] * jnp.exp(2000.0 * x[:1]))
    return jnp.asarray(WORTH)[d.categorical(key, logits)]


def masked_by_the_log_of_draws(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    return jnp.asarray(WORTH)[d.categorical(key, h @ p["square"] + 3.0 * p["bias"] + jnp.log(h))]


def masked_by_a_division(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    return jnp.asarray(WORTH)[d.categorical(key, 2.0 * p["bias"] + h @ p["square"] - 1.0 / h)]


def masked_and_bent(d, p, k, x):
    h, key = mask_and_key(d, p, k, x)
    masked = jnp.where(jnp.asarray(MASK), 0.0, -jnp.inf)
    return jnp.asarray(WORTH)[d.categorical(key, jnp.tanh(h @ p["square"]) - 400.0 + masked)]


def divided_by_0_where_it_is_not_taken(d, p, k, x):
    h = hidden(d, p, k, x)
    return jnp.sum(jnp.where(x[0] > 0, h, jnp.abs(h - 2.0) / 0.0) ** 2 * p["bias"])


PROGRAMS = [
    divided_by_0_where_it_is_not_taken,
    two_logsumexps,
    softplus_and_logsumexp,
    product_in_two_likelihoods,
    normaliser_of_bernoulli_logits,
    softplus_of_categorical_logits,
    logaddexp_to_base_2,
    a_logaddexp_of_the_users,
    infected_neighbours,
    bytes_that_wrap,
    a_narrow_conversion,
    filled_logits,
    unanimous,
    unanimous_between_draws,
    shares_reached,
    far_below_a_mask,
    cheapest_open_road,
    masked_by_draws,
    masked_by_draws_far_apart,
    masked_by_an_argument,
    masked_by_an_argument_beside_a_layer,
    masked_by_the_log_of_draws,
    masked_by_a_division,
    masked_and_bent,
    masked_by_a_table,
    masked_by_a_large_number,
    product_of_whole_numbers,
    whole_numbers_looked_up,
]


def errors(program, dtype):
    """Returns the largest errors of the estimator's mean and of what `check_unbiased` calls exact, by enumeration."""
    p, x = jax.tree.map(lambda a: jnp.asarray(a, dtype), (P, X))
    found = hnca.check_unbiased(lambda p, k, x: program(hnca, p, k, x), (p, jax.random.key(0), x), tolerance=np.inf)
    truth = jax.tree.leaves(exact_gradient(program, p, x))
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in truth)

    def error(tree):
        return max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(tree), truth, strict=True)) / largest

    return error(found.expected), error(found.gradient)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.sweep
def test_it_is_exact(program, float64):
    with jax.numpy_dtype_promotion("standard"):
        assert max(errors(program, jnp.float64)) < 1e-10


def masked_words(d, p, k, x, closed):
    """By rows that are looked up and added up, and by a product with what is one for the word that is taken."""
    never = jnp.where(jnp.asarray(GRAPH), 0.0, closed)
    keys = jax.random.split(k, 3)
    words = d.categorical(keys[0], p["square"][:2])
    word = d.categorical(keys[1], jnp.sum(0.5 * (p["square"].T + never)[words], axis=0) / jnp.exp(x[0]))
    table = p["square"] + (never if np.isfinite(closed) else 0.0)
    last = d.categorical(keys[2], jax.nn.one_hot(word, 3, dtype=x.dtype) @ table + x[0])
    return jnp.asarray(WORTH)[last] * (1 + word.astype(x.dtype)) + jnp.sum(words)


@pytest.mark.parametrize("closed", [-jnp.inf, pytest.param(-1e9, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.thorough)])
def test_masks_in_tables_of_many_words_lose_nothing(closed, dtype, float64, monkeypatch):
    monkeypatch.setattr("hnca.programs.parts._FEW", 0)  # as if each were too many: a matrix product is left

    def program(d, p, k, x):
        return masked_words(d, p, k, x, closed)

    with jax.numpy_dtype_promotion("standard"):
        told = hnca.explain(lambda p, k, x: program(hnca, p, k, x))(P, jax.random.key(0), jnp.asarray(X, dtype))
        assert str(told).count("Dense") == 2
        assert max(errors(program, dtype)) < (1e-4 if dtype == jnp.float32 else 1e-9)


def test_a_row_that_is_masked_altogether_keeps_its_scores(float64, monkeypatch):
    monkeypatch.setattr("hnca.programs.parts._FEW", 0)
    rows = jnp.asarray([[1.0, 1, 1], [0, 1, 0], [0, 0, 0]])

    def program(d, p, k, x, closed):
        above, below = jax.random.split(k, 2)
        table = (p["square"].T + jnp.where(rows, closed, 0.0))[d.categorical(above, p["square"][0])]
        return jnp.asarray(WORTH)[d.categorical(below, table)]

    with jax.numpy_dtype_promotion("standard"):
        for closed, dtype, most in ((-1e5, jnp.float32, 2e-2), (-1e30, jnp.float32, 1e-3), (-1e9, jnp.float64, 1e-6)):
            assert max(errors(lambda *a, closed=closed: program(*a, closed), dtype)) < most


@pytest.mark.parametrize("program", [large_codes, masked_by_draws_far_apart, masked_by_a_large_number])
@pytest.mark.sweep
def test_it_is_as_exact_as_32_bits_can_be(program, quick_compilation):
    with jax.numpy_dtype_promotion("standard"):
        assert max(errors(program, jnp.float32)) < 1e-4
