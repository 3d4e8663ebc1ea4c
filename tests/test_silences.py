"""What would otherwise be learned wrong, or not at all, without a word."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import pytest
from sweeps import some_thorough

import hnca

KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("quick_compilation")


def choice(logits, key=KEY):
    return jnp.arange(3.0)[hnca.categorical(key, logits, name="action")]


def total(values):
    return jnp.sum(hnca.entropy(values, categorical=True))


def rows(w):
    return jnp.stack([w, -w])


def of_a_step(logits, key):
    return logits + choice(logits, key) + hnca.entropy(logits)[0], None


ENTROPIES = {
    "before the draw": (lambda w: jnp.sum(hnca.entropy(w)) + choice(w), "Bernoulli .*'action'.*categorical=True"),
    "after it": (lambda w: choice(w) - jnp.sum(hnca.entropy(w)), "Bernoulli .*categorical=True"),
    "of units": (lambda w: jnp.sum(hnca.bernoulli(KEY, w, name="action")) + total(w), "categorical=False"),
    "in a function": (lambda w: jax.jit(lambda v: choice(v) + hnca.entropy(v)[0])(w), "Bernoulli"),
    "of a policy that is evaluated again": (
        lambda w: choice(jnp.tanh(w * 2)) + hnca.entropy(jnp.tanh(w * 2))[0],
        "Bernoulli",
    ),
    "an activation that is": (lambda w: choice(jax.nn.relu(w)) + hnca.entropy(jax.nn.relu(w))[0], "Bernoulli"),
    "normalised": (lambda w: choice(w) + hnca.entropy(jax.nn.log_softmax(w))[0], "Bernoulli"),
    "of one row": (
        lambda w: jnp.sum(w[hnca.categorical(KEY, rows(w), name="action")]) + hnca.entropy(rows(w)[1])[0],
        "Bernoulli",
    ),
    "reshaped": (
        lambda w: jnp.sum(hnca.bernoulli(KEY, rows(w), name="action")) + total(rows(w).reshape(3, 2)),
        "categorical=False",
    ),
    "in steps": (lambda w: jax.lax.scan(of_a_step, w, jax.random.split(KEY, 2))[0][0], "Bernoulli"),
}


@pytest.mark.parametrize("unroll", some_thorough([True, False], [False]))
@pytest.mark.parametrize("name", ENTROPIES)
def test_the_entropy_of_another_kind_is_refused(name, unroll):
    loss, match = ENTROPIES[name]
    with pytest.raises(ValueError, match=rf"hnca\.entropy: gives at .*test_silences\.py.* {match}"):
        jax.eval_shape(hnca.grad(loss, unroll=unroll), jnp.ones(3))


def test_the_entropy_of_other_logits_is_not():
    """Parts of one vector of parameters, and the same function of another layer's."""

    def loss(w):
        first, second = jax.random.split(KEY)
        units = jnp.sum(hnca.bernoulli(first, jnp.tanh(w[:2]))) + jnp.sum(hnca.entropy(jnp.tanh(w[:2])))
        return units + choice(jnp.tanh(w[2:]), second) + total(jnp.tanh(w[2:])) + total(w[None, :3] * 2.0)

    jax.eval_shape(hnca.grad(loss), jnp.ones(5))


def test_the_entropy_beside_a_draw_of_an_argument_is_not():
    def loss(w, other):
        return choice(w) + jnp.sum(hnca.entropy(other))

    jax.eval_shape(hnca.grad(loss), jnp.ones(3), jnp.ones(2))


def test_the_entropy_of_one_of_two_draws_is_not():
    def loss(w):
        first, second = jax.random.split(KEY)
        return jnp.sum(hnca.bernoulli(first, w)) + choice(w, second) + total(w) + jnp.sum(hnca.entropy(w))

    jax.eval_shape(hnca.grad(loss), jnp.ones(3))


def test_the_entropy_of_its_own_kind_is_not():
    def loss(w):
        first, second = jax.random.split(KEY)
        units = jnp.sum(hnca.bernoulli(first, 2 * w)) + jnp.sum(hnca.entropy(2 * w))
        return units + choice(w, second) + total(w) + jnp.sum(hnca.entropy(3 * w))

    assert jnp.all(jnp.isfinite(hnca.grad(loss)(jnp.ones(3))))
    with pytest.raises(ValueError, match="entropy: categorical=True, and logits is a scalar"):
        hnca.entropy(jnp.ones(()), categorical=True)


def steps(w, c=0.0):
    return jax.lax.scan(lambda c, k: (c + choice(w, k), None), c, jax.random.split(KEY, 3))[0]


def by_batch(loss):
    return lambda w: hnca.value_and_grad(loss, in_axes=(None, 0))(w, jax.random.split(KEY, 4))


def whole_batch(loss):
    mean = hnca.value_and_grad(lambda v, x: jnp.mean(loss(v[None] + 0 * x)), in_axes=(None, 0), whole_batch=True)
    return lambda w: mean(w, jnp.ones((4, 3)))


IMPOSSIBLE = {
    "categories": hnca.value_and_grad(choice),
    "units": hnca.value_and_grad(lambda v: jnp.sum(hnca.bernoulli(KEY, v))),
    "one of several": hnca.value_and_grad(lambda v: jnp.sum(choice(jnp.stack([v, 0 * v + 1])))),
    "steps": hnca.value_and_grad(steps),
    "a loop": hnca.value_and_grad(steps, unroll=False),
    "examples": by_batch(choice),
    "a whole batch": whole_batch(choice),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.sweep
def test_of_what_cannot_be_drawn_neither_value_nor_gradient_is_a_number(name):
    found = IMPOSSIBLE[name]

    def is_a_number(logits):
        return jax.tree.map(lambda leaf: bool(jnp.all(jnp.isfinite(leaf))), found(logits))

    assert is_a_number(jnp.ones(3)) == (True, True)
    assert is_a_number(jnp.full(3, jnp.nan)) == (False, False)
    if name != "units":
        if name != "one of several":
            assert is_a_number(jnp.array([0.0, -jnp.inf, 1.0])) == (True, True)
        value, gradient = found(jnp.full(3, -jnp.inf))
        assert jnp.isnan(value)
        assert jnp.all(jnp.isnan(gradient))


def taken(mark, mask, action):
    scores = jnp.array([3.0, 8.0, 13.0])
    return lambda w: mark(scores[hnca.categorical(None, w + jnp.array(mask), given=jnp.asarray(action))])


def unit_taken(mark, mask, action):
    return lambda w: mark(3.0 + 5.0 * hnca.bernoulli(None, w + mask, given=jnp.asarray(action)))


def steps_taken(w, actions):
    def step(total, action):
        return total + hnca.observed(jnp.ones(3)[hnca.categorical(None, w, given=action)]), None

    return jax.lax.scan(step, 0.0, jnp.asarray(actions))[0]


MASKED = [0.0, -float("inf"), 0.0]
MARKS = {"observed": hnca.observed, "known": lambda value: value}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
@pytest.mark.sweep
def test_nor_are_they_of_what_was_taken_against_a_mask(mark):
    """As of a stored action that its stored mask forbids."""

    def of(loss, w, possible):
        value, gradient = hnca.value_and_grad(loss)(w)
        assert jnp.isfinite(value) == possible
        assert jnp.all(jnp.isfinite(gradient) if possible else jnp.isnan(gradient))

    for action in range(4):
        of(taken(mark, MASKED, action), jnp.zeros(3), action in (0, 2))
        of(taken(mark, [-jnp.inf] * 3, action), jnp.zeros(3), possible=False)
    for mask, action in itertools.product((0.0, jnp.inf, -jnp.inf), (0.0, 1.0)):
        of(unit_taken(mark, mask, action), jnp.zeros(()), mask == 0 or (mask > 0) == action)


@pytest.mark.thorough
def test_so_it_is_example_by_example_and_in_loops():
    of_batch = hnca.value_and_grad(lambda w, action: taken(hnca.observed, MASKED, action)(w), in_axes=(None, 0))
    mask, one = jnp.array(MASKED), jnp.asarray(0)
    of_data = hnca.value_and_grad(lambda w, x: taken(hnca.observed, mask + x, one)(w), in_axes=(None, 0))
    shifts = jnp.array([[0.0], [1.0]])
    for found, possible in [
        (of_batch(jnp.zeros(3), jnp.array([0, 2, 0])), True),
        (of_batch(jnp.zeros(3), jnp.array([0, 1, 0])), False),
        (of_data(jnp.zeros(3), shifts), True),
        (of_data(jnp.zeros(3), shifts + mask[1]), False),
        *((_of_steps([0, 2], unroll), True) for unroll in (True, False)),
        *((_of_steps([0, 1], unroll), False) for unroll in (True, False)),
    ]:
        assert all(jnp.all(jnp.isfinite(leaf) if possible else jnp.isnan(leaf)) for leaf in found)


def _of_steps(actions, unroll):
    loss = hnca.value_and_grad(steps_taken, estimator=hnca.REINFORCE(), unroll=unroll)
    return loss(jnp.array(MASKED), actions)


def with_bonus(w, mark, scale=0.01):
    first, second = jax.random.split(KEY)
    action, code = hnca.bernoulli(first, w[0], name="action"), hnca.bernoulli(second, w[1:])
    return mark(-(3.0 + 0.0 * action)) + jnp.sum(code) - scale * jnp.sum(hnca.entropy(w))


def through_another(w, mark):
    first, second = jax.random.split(KEY)
    action = hnca.bernoulli(first, w[0], name="action")
    return mark(3.0 + 0.0 * hnca.bernoulli(second, w[1] + action))


NOT_MARKED = {
    "beside another term": with_bonus,
    "alone": lambda w, mark: mark(3.0 + 0.0 * hnca.bernoulli(KEY, w[0], name="action")),
    "a mean": lambda w, mark: mark(jnp.mean(3.0 + hnca.bernoulli(KEY, w, name="action") * 0.0)),
    "through another": through_another,
}


@pytest.mark.parametrize("name", NOT_MARKED)
def test_a_reward_that_is_tied_and_not_marked_is_told(name):
    loss = NOT_MARKED[name]
    with pytest.warns(UserWarning, match=r"'action' at .*test_silences\.py.* times 0, .*hnca\.observed\(") as told:
        gradient = hnca.grad(loss)(jnp.ones(3), lambda reward: reward)
    assert {warning.filename for warning in told} == {__file__}
    marked = hnca.grad(loss)(jnp.ones(3), hnca.observed)
    assert jnp.any(gradient != marked)


def test_what_is_read_otherwise_too_is_not_told():
    def loss(w):
        action = hnca.bernoulli(KEY, w[0])
        return 0.0 * action + jnp.square(action - 0.3) + 0.0 * w[1]

    def from_zero_on(w):
        def step(total, given):
            key, time = given
            action = hnca.bernoulli(key, w[0])
            return total * action + time * action, None

        return jax.lax.scan(step, 0.0, (jax.random.split(KEY, 3), jnp.arange(3.0)))[0]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.eval_shape(hnca.grad(loss), jnp.ones(3))
        jax.eval_shape(hnca.grad(from_zero_on), jnp.ones(3))


def test_a_warning_points_at_the_user_s_line():
    step = jax.jit(hnca.grad(lambda w: jnp.sum(hnca.bernoulli(KEY, w)), estimator=hnca.HNCA(hnca.RunningMean())))
    with pytest.warns(UserWarning, match="Give stateful=True") as told:
        step(jnp.ones(3))
    assert told[0].filename == __file__
