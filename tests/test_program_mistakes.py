"""Draws under plain JAX, and what a program cannot have in it: each mistake is told, with the user's line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mistakes import KEY, MISTAKES

import hnca
from hnca.programs import primitives

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told(name):
    function, says = MISTAKES[name]
    with pytest.raises(ValueError, match=says):
        hnca.grad(function)(jnp.ones(3))


def test_plain_grad_says_what_to_use():
    with pytest.raises(ValueError, match=r"Use hnca\.value_and_grad"):
        jax.grad(lambda w: jnp.sum(hnca.bernoulli(KEY, w)))(jnp.ones(3))
    stopped = jax.grad(lambda w: jnp.sum(w * hnca.bernoulli(KEY, jax.lax.stop_gradient(w))))(jnp.ones(3))
    np.testing.assert_array_equal(stopped, hnca.bernoulli(KEY, jnp.ones(3)))


def test_a_batch_needs_a_key_an_example():
    with pytest.raises(ValueError, match="uses one key for the whole batch"):
        hnca.grad(lambda w, k, x: jnp.sum(hnca.bernoulli(k, w * x)), in_axes=(None, None, 0))(
            jnp.ones(3), KEY, jnp.ones((2, 3))
        )


def test_draws_are_ordinary_under_jax():
    logits = jnp.asarray([[0.3, -1.0], [2.0, 0.0]])
    keys = jax.random.split(KEY, 2)
    mapped = jax.vmap(hnca.bernoulli)(keys, logits)
    np.testing.assert_array_equal(mapped, jnp.stack([hnca.bernoulli(k, a) for k, a in zip(keys, logits, strict=True)]))
    np.testing.assert_array_equal(jax.jit(hnca.bernoulli)(KEY, logits), hnca.bernoulli(KEY, logits))
    assert hnca.categorical(KEY, jnp.zeros((5, 4))).shape == (5,)
    assert hnca.bernoulli(KEY, jnp.zeros(())).shape == ()
    assert hnca.categorical(KEY, jnp.zeros(4)).shape == ()


def test_the_primitives_relied_on_are_there():
    from jax.extend.core import primitives as known

    names = {getattr(known, name).name for name in dir(known) if name.endswith("_p")}
    optional = {
        "random_wrap",
        "random_unwrap",
        "add_any",
        "expand_dims",
        "copy_p",
        "rng_bit_generator",
        "core_call",
        "random_bits",
    }
    missing = primitives.RELIED_ON - names - optional
    assert not missing


@pytest.mark.parametrize("whole", [False, True])
def test_what_cannot_be_scored_has_no_gradient(whole):
    """A label that there is not, of one example: `hnca.grad` shows no value, so that the gradient has to tell it."""

    def loss(w, k, x, label):
        return -hnca.log_prob(w * hnca.bernoulli(k, w * x), label)

    def of_batch(w, k, x, label):
        scores = jnp.sum(w[None] * hnca.bernoulli(k, w[None] * x), axis=1)
        return -jnp.mean(scores + jnp.log(2.5 - label))

    labels, data = jnp.asarray([2.0, 7.0] if whole else [2, 7]), jnp.ones((2, 3))
    keys, in_axes = (KEY, (None, None, 0, 0)) if whole else (jax.random.split(KEY, 2), (None, 0, 0, 0))
    gradient = jax.jit(hnca.grad(of_batch if whole else loss, in_axes=in_axes, whole_batch=whole))
    assert jnp.all(jnp.isnan(gradient(jnp.ones(3), keys, data, labels)))
    assert jnp.all(jnp.isfinite(gradient(jnp.ones(3), keys, data, labels % 3)))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.sweep
def test_what_a_draw_cannot_have_taken_is_not_learned_from(whole):
    """An action of a stored episode that there is not, of one example."""

    def loss(w, x, action, unit):
        logits = w[None] * x if whole else w * x
        chosen = hnca.categorical(None, logits, given=action)
        sign = hnca.bernoulli(None, logits[..., 0], values=(-1, 1), given=unit)
        return jnp.sum(chosen.astype(w.dtype) + sign) / 2

    step = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0, 0), whole_batch=whole))
    actions, units = jnp.asarray([0, 2]), jnp.asarray([-1.0, 1.0])

    def numbers(*episode):
        value, gradient = step(jnp.ones(3), jnp.ones((2, 3)), *episode)
        return jnp.append(gradient, value)

    assert jnp.all(jnp.isfinite(numbers(actions, units)))
    for wrong in ((actions.at[1].set(3), units), (actions.at[0].set(-1), units), (actions, units.at[1].set(0.0))):
        assert jnp.all(jnp.isnan(numbers(*wrong)))


@pytest.mark.parametrize(
    "estimator", [hnca.HNCA(hnca.RunningMean()), hnca.REINFORCE(hnca.LearnedBaseline()), hnca.NVIL()]
)
def test_a_baseline_that_cannot_learn_is_told(estimator):
    def loss(w, key):
        return jnp.sum(hnca.bernoulli(key, w))

    with pytest.warns(UserWarning, match=f"{type(estimator).__name__}'s baseline .* Give stateful=True"):
        hnca.grad(loss, estimator=estimator)(jnp.ones(3), KEY)
    _, state = hnca.grad(loss, estimator=estimator, stateful=True)(jnp.ones(3), KEY)
    hnca.grad(loss, estimator=estimator)(jnp.ones(3), KEY, estimator_state=state)


def truths(units):
    return units[0].astype(bool), units[1].astype(bool)


JUMPS = {
    "comparison": lambda units: jnp.where(units[0] == units[1], 1.0, 0.0),
    "and": lambda units: (truths(units)[0] & ~truths(units)[1]).astype(float),
    "any": lambda units: jnp.any(truths(units)[0] | truths(units)[1]).astype(float),
    "exclusive or": lambda units: (units.astype(int)[0] ^ units.astype(int)[1]).astype(float),
    "largest": lambda units: jnp.max(units.astype(int)).astype(float),
    "condition": lambda units: jax.lax.cond(truths(units)[0], lambda: 1.0, lambda: 2.0),
    "branches": lambda units: jax.lax.switch(jnp.sum(units.astype(int)), [lambda: 1.0, lambda: 2.0, lambda: 0.5]),
    "where it counts to": lambda units: jnp.arange(5.0)[jnp.sum(units.astype(int))],
}
SMOOTH = {
    "one unit each": lambda units: jnp.sum(jnp.where(units == 1, 1.0, 0.0)) ** 2,
    "a truth": lambda units: jnp.where(truths(units)[0], 1.0, 2.0) * units[1].astype(float),
    "a count": lambda units: jnp.square(jnp.sum(units.astype(int)).astype(float)),
    "a product": lambda units: (units.astype(int)[0] * units.astype(int)[1]).astype(float),
}
BENT = {  # of which none can tell whether it jumps
    "leaky": lambda units: jax.nn.leaky_relu(jnp.sum(units.astype(float)) - 0.5),
    "selected": lambda units: jnp.where((total := jnp.sum(units.astype(float))) > 1, total, 0.1 * total),
    "log of a sum": lambda units: jax.scipy.special.logsumexp(jnp.cumsum(units.astype(float))),
}
DRAWS = {
    "bernoulli": lambda p, key: hnca.bernoulli(key, p[:, 0]),
    "categorical": lambda p, key: hnca.categorical(key, p),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(
    "estimator", [hnca.REBAR(), hnca.RELAX(), hnca.StraightThrough(), hnca.StraightThroughGumbelSoftmax()]
)
@pytest.mark.sweep
def test_a_relaxation_that_meets_a_jump_is_told(estimator, draw, recwarn):
    def traced(function):
        step = hnca.grad(lambda p, key: function(DRAWS[draw](p, key)), estimator=estimator)
        jax.eval_shape(lambda p: step(p, KEY, estimator_key=KEY), jnp.zeros((2, 3)))

    relaxed = isinstance(estimator, hnca.REBAR | hnca.RELAX)
    for name, function in (SMOOTH if relaxed else SMOOTH | BENT).items():
        traced(function)
        assert not recwarn, name
    told = (
        "may jump there: it is biased then"
        if relaxed
        else "has no derivative: the gradient of what comes through it is 0"
    )
    for name in JUMPS:
        with pytest.warns(UserWarning, match=rf"test_program_mistakes\.py:\d+.* {told}"):
            traced(JUMPS[name])


def test_slips_in_a_call_are_told():
    def loss(w, key):
        return jnp.sum(hnca.bernoulli(key, w))

    with pytest.raises(ValueError, match=r"loss: in_axes='abc'; expected None, a number, or a tuple"):
        hnca.grad(loss, in_axes="abc")(jnp.ones(3), KEY)
    with pytest.raises(ValueError, match="the function returned an array; expected a pair of the value and the aux"):
        hnca.grad(loss, has_aux=True)(jnp.ones(3), KEY)
    with pytest.raises(ValueError, match=r"argnums=\(1, -1\) of 2 arguments names one twice"):
        hnca.grad(lambda key, w: jnp.sum(hnca.bernoulli(key, w)), argnums=(1, -1))(KEY, jnp.ones(3))
    with pytest.raises(ValueError, match="argnums=2; expected a place among the 2 arguments"):
        hnca.check_unbiased(loss, (jnp.ones(3), KEY), argnums=2)


def test_a_batch_axis_that_is_missing_is_told():
    def loss(params, keys, x):
        first, second = jax.random.split(keys)
        return jnp.sum(hnca.bernoulli(first, x * params["w"]) + hnca.bernoulli(second, params["b"]))

    params, keys, x = {"w": jnp.ones(3), "b": jnp.zeros(())}, jax.random.split(KEY, 4), jnp.ones((5, 3))
    with pytest.raises(ValueError, match="single key") as told:
        hnca.grad(loss)(params, keys, x)
    assert "say in_axes" in told.value.__notes__[0]
    with pytest.raises(ValueError, match=r"in_axes has 0 for argument 0\['b'\], of shape \(\)"):
        hnca.grad(loss, in_axes=0)(params, keys, x)
    with pytest.raises(ValueError, match=r"sizes 4 \(argument 1\), 5 \(argument 2\); expected one"):
        hnca.grad(loss, in_axes=(None, 0, 0))(params, keys, x)


def test_an_explanation_refuses_what_the_gradient_would():
    def loss(w):
        return hnca.observed(jnp.sum(hnca.bernoulli(KEY, w)))

    for estimator in (hnca.DisARM(), hnca.VIMCO()):
        with pytest.raises(ValueError, match=type(estimator).__name__) as told:
            hnca.grad(loss, estimator=estimator)(jnp.ones(3), estimator_key=KEY)
        with pytest.raises(ValueError, match=type(estimator).__name__) as explained:
            hnca.explain(loss, estimator=estimator)(jnp.ones(3))
        assert str(told.value) == str(explained.value)


def test_check_unbiased_says_of_an_estimator_with_a_key_what_to_do():
    with pytest.raises(ValueError, match=r"check_unbiased: DisARM draws samples of its own .* over many keys"):
        hnca.check_unbiased(
            lambda w, k: jnp.sum(hnca.bernoulli(k, w)) ** 2,
            (jnp.zeros(2), jax.random.key(0)),
            estimator=hnca.DisARM(),
        )
