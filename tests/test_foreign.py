"""Draws by `jax.random` of what is learned, whose gradient is zero in silence, are told of wherever they stand."""

import jax
import jax.numpy as jnp
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY, W = jax.random.key(0), jnp.ones(3)


def shares(w):
    return jax.nn.softmax(w)


OTHERWISE = {
    "bernoulli": lambda k, w: jax.random.bernoulli(k, jax.nn.sigmoid(w)),
    "categorical": lambda k, w: jax.random.categorical(k, w),
    "choice": lambda k, w: jax.random.choice(k, 3, p=shares(w)),
    "several choices": lambda k, w: jax.random.choice(k, jnp.arange(3.0), (5,), p=shares(w)),
    "poisson": lambda k, w: jax.random.poisson(k, jnp.exp(w)),
    "binomial": lambda k, w: jax.random.binomial(k, 4.0, jax.nn.sigmoid(w)),
    "by hand": lambda k, w: jax.random.uniform(k, (3,)) < jax.nn.sigmoid(w),
    "gumbels": lambda k, w: jnp.argmax(w + jax.random.gumbel(k, (3,))),
    "looked up": lambda k, w: jnp.arange(3.0)[jax.random.categorical(k, w)],
    "looked up in what is learned": lambda k, w: w[jax.random.categorical(k, w)],
    "looked up in noise": lambda k, w: jax.random.normal(k, (3,))[jax.random.categorical(jax.random.fold_in(k, 1), w)],
    "beside its own noise": lambda k, w: (lambda at: jnp.arange(3.0)[jnp.argmax(at)] + jnp.sum(at))(
        w + jax.random.gumbel(k, (3,))
    ),
    "noise or not": lambda k, w: jnp.where(
        w - jax.random.uniform(k, (3,)) > 0, jax.random.normal(jax.random.fold_in(k, 1), (3,)), 0.0
    ),
    "difference": lambda k, w: jax.nn.sigmoid(w) - jax.random.uniform(k, (3,)) > 0,
    "difference by half": lambda k, w: (w - 0.5 + jax.random.uniform(k, (3,))).reshape(3, 1) / 2 >= 0.25,
    "one or other": lambda k, w: jnp.where(w + jax.random.normal(k, (3,)) > 0, 1.0, -w),
    "sign": lambda k, w: jnp.sign(w + jax.random.normal(k, (3,))),
    "floor": lambda k, w: jnp.floor(w + jax.random.uniform(k, (3,))),
    "round": lambda k, w: jnp.round(w - jax.random.uniform(k, (3,))),
    "whole numbers": lambda k, w: (w + jax.random.uniform(k, (3,))).astype(jnp.int32),
    "top k": lambda k, w: jax.lax.top_k(w + jax.random.gumbel(k, (3,)), 2)[1],
    "order": lambda k, w: jnp.argsort(w + jax.random.gumbel(k, (3,))),
    "noise of a learned scale": lambda k, w: jnp.sign(w + jnp.exp(w) * jax.random.normal(k, (3,))),
    "scaled and compared": lambda k, w: w * jax.random.normal(k, (3,)) > 0.3,
    "a concrete unit, compared": lambda k, w: jax.nn.sigmoid((w + jax.random.logistic(k, (3,))) / 0.5) > 0.5,
    "a concrete unit, rounded": lambda k, w: jnp.round(jax.nn.sigmoid((w + jax.random.logistic(k, (3,))) / 0.5)),
    "a concrete share, largest": lambda k, w: jax.nn.one_hot(
        jnp.argmax(jax.nn.softmax((w + jax.random.gumbel(k, (3,))) / 0.5)), 3
    ),
    "geometric": lambda k, w: jax.random.geometric(k, jax.nn.sigmoid(w)),
    "where it stands": lambda k, w: jnp.digitize(w + jax.random.normal(k, (3,)), jnp.arange(3.0)),
    "in a band": lambda k, w: (lambda at: (at > 0) & (at < 1))(w + jax.random.normal(k, (3,))),
    "by all shares": lambda k, w: jnp.searchsorted(jnp.cumsum(shares(w)), jax.random.uniform(k), method="compare_all"),
    "levels": lambda k, w: jnp.round(15 * jnp.clip(w + jax.random.normal(k, (3,)), 0.0, 1.0)) / 15,
}
"""Draws of something learned that are none of hnca's."""
HARMLESS = {
    "normal": lambda k, w: jax.nn.relu(w + jax.random.normal(k, (3,))),
    "gamma": lambda k, w: jax.random.gamma(k, jnp.exp(w)),
    "dropout": lambda k, w: jnp.where(jax.random.bernoulli(k, 0.5, (3,)), w, 0.0),
    "permutation": lambda k, w: jax.random.permutation(k, w),
    "uniform between": lambda k, w: jax.random.uniform(k, (3,), minval=-jnp.exp(w), maxval=jnp.exp(w)),
    "stopped": lambda k, w: jax.random.choice(k, 3, p=shares(jax.lax.stop_gradient(w))),
    "binomial of numbers": lambda k, w: w * jax.random.binomial(k, 4.0, 0.3, (3,)),
    "multinomial of numbers": lambda k, w: w * jax.random.multinomial(k, 4.0, jnp.ones(3) / 3),
    "beta": lambda k, w: jax.random.beta(k, jnp.exp(w), 2.0),
    "truncated": lambda k, w: jax.random.truncated_normal(k, -jnp.exp(w), jnp.exp(w)),
    "leaky": lambda k, w: jax.nn.leaky_relu(w + jax.random.normal(k, (3,))),
    "exponential unit": lambda k, w: jax.nn.elu(w - jax.random.normal(k, (3,))),
    "hard": lambda k, w: jax.nn.hard_tanh(w + jax.random.normal(k, (3,))) + jax.nn.hard_sigmoid(w),
    "rectified by hand": lambda k, w: (lambda at: at * (at > 0).astype(at.dtype))(w + jax.random.normal(k, (3,))),
    "clipped": lambda k, w: jnp.clip(jnp.abs(w + jax.random.normal(k, (3,))), 0.1, 2.0),
    "fraction": lambda k, w: (lambda at: at - jnp.floor(at))(w + jax.random.uniform(k, (3,))),
    "largest": lambda k, w: (lambda at: at[jnp.argmax(at)])(w + jax.random.normal(k, (3,))),
    "largest two": lambda k, w: jax.lax.top_k(w + jax.random.normal(k, (3,)), 2)[0],
    "in order": lambda k, w: jnp.sort(w + jax.random.normal(k, (3,))),
    "dropout before a rectifier": lambda k, w: jax.nn.leaky_relu(
        jnp.where(jax.random.bernoulli(k, 0.5, (3,)), w, 0.0) + w
    ),
    "nothing learned": lambda k, w: w * jnp.floor(2 * jax.random.uniform(k, (3,))),
    "huber": lambda k, w: (lambda at: jnp.where(jnp.abs(at) < 1, at**2, 2 * jnp.abs(at) - 1))(
        w + jnp.exp(w) * jax.random.normal(k, (3,))
    ),
    "at most of length 1": lambda k, w: (lambda at: jnp.where(jnp.sum(at**2) > 1, at / jnp.sqrt(jnp.sum(at**2)), at))(
        w + w * jax.random.normal(k, (3,))
    ),
    "straight through": lambda k, w: (
        lambda soft: jax.nn.one_hot(jnp.argmax(soft), 3) - jax.lax.stop_gradient(soft) + soft
    )(jax.nn.softmax(w + jax.random.gumbel(k, (3,)))),
    "a branch": lambda k, w: (lambda at: jax.lax.cond(at[0] > 0, jnp.sum, lambda at: -jnp.sum(at), at))(
        w * jax.random.normal(k, (3,))
    ),
    "units": lambda k, w: jax.nn.gelu(w * jax.random.normal(k, (3,))) + jax.nn.softplus(w + jax.random.normal(k, (3,))),
    "shuffled": lambda k, w: w[jax.random.choice(k, 3, (2,), replace=False)],
}


PIECES = {
    "interpolated": lambda k, w: jnp.interp(w + w * jax.random.normal(k, (3,)), jnp.arange(3.0), jnp.arange(3.0) ** 2),
    "interpolated by hand": lambda k, w: (lambda at: (at - jnp.floor(at)) * jnp.arange(3.0)[jnp.floor(at).astype(int)])(
        w + jax.random.uniform(k, (3,))
    ),
    "rectified by a mask": lambda k, w: (lambda at: at * jnp.where(at > 0, 1.0, 0.0))(w + jax.random.normal(k, (3,))),
}
"""Of which the step chooses a number, for the noisy value to be multiplied by; written out they are seen to be so."""


def _sum(made):
    return jnp.sum(made).astype(jnp.float32)


def in_steps(made):
    def loop(k, w):
        return jax.lax.scan(lambda total, k: (total + _sum(made(k, w * total)), None), 1.0, jax.random.split(k))[0]

    return loop


def by_number(made):
    def loop(k, w):
        return jax.lax.fori_loop(0, 2, lambda i, total: total + _sum(made(jax.random.fold_in(k, i), w)), 0.0)

    return loop


def with_rule(made):
    @jax.custom_jvp
    def ruled(k, w):
        return _sum(made(k, w))

    ruled.defjvp(lambda primals, tangents: (ruled(*primals), jnp.sum(tangents[1])))
    return ruled


def in_branch(made):
    return lambda k, w: jax.lax.cond(w[0] > 0, lambda: _sum(made(k, w)), lambda: jnp.sum(w))


WAYS = {
    "as it is": lambda made: lambda k, w: _sum(made(k, w)),
    "a checkpoint": lambda made: jax.checkpoint(lambda k, w: _sum(made(k, w))),
    "a loop": in_steps,
    "a map": lambda made: lambda k, w: jnp.sum(jax.lax.map(lambda k: _sum(made(k, w)), jax.random.split(k))),
    "a number in a loop": by_number,
    "a branch": in_branch,
    "a loop in a checkpoint": lambda made: jax.checkpoint(in_steps(made)),
}


def beside_one_of_hnca_s(way, made):
    def loss(w, k):
        k1, k2 = jax.random.split(k)
        return jnp.sum(hnca.bernoulli(k1, w)) * WAYS[way](made)(k2, w)

    return loss


def warned_of(name, way):
    with pytest.warns(UserWarning, match=r"draw at .*test_foreign\.py.* depends on parameters"):
        jax.eval_shape(hnca.grad(beside_one_of_hnca_s(way, OTHERWISE[name])), jnp.ones(3), KEY)


@pytest.mark.parametrize("way", WAYS)
def test_draws_that_are_none_of_hnca_s_are_warned_of(way):
    warned_of("bernoulli", way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERWISE)
@pytest.mark.sweep
def test_so_they_are_by_whatever_they_draw(name, way):
    warned_of(name, way)


@pytest.mark.parametrize("name", OTHERWISE)
def test_alone_they_are_an_error(name):
    with pytest.raises(ValueError, match=r"in place of what is drawn otherwise at .*test_foreign\.py"):
        jax.eval_shape(hnca.grad(lambda w, k: jnp.sum(OTHERWISE[name](k, w)).astype(w.dtype)), jnp.ones(3), KEY)


def not_warned_of(name, way):
    # a warning is an error here
    jax.eval_shape(hnca.grad(beside_one_of_hnca_s(way, HARMLESS[name])), jnp.ones(3), KEY)


@pytest.mark.parametrize("name", HARMLESS)
def test_noise_that_has_its_gradient_is_not(name):
    not_warned_of(name, "as it is")


@pytest.mark.parametrize("made", PIECES.values(), ids=PIECES)
def test_nor_is_what_a_noisy_value_is_multiplied_by(made):
    jax.eval_shape(hnca.grad(lambda w, k: jnp.sum(hnca.bernoulli(k, w)) * jnp.sum(made(KEY, w))), W, KEY)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.sweep
def test_nor_is_it_wherever_it_stands(name, way):
    not_warned_of(name, way)


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_rule_of_its_own_is_for_the_function_that_has_it(name):
    not_warned = with_rule(OTHERWISE[name])
    jax.eval_shape(hnca.grad(lambda w, k: jnp.sum(hnca.bernoulli(k, w)) * not_warned(jax.random.key(1), w)), W, KEY)


SIMULATIONS = {
    "bernoulli": lambda k, z: jax.random.bernoulli(k, 0.3 + 0.4 * z),
    "categorical": lambda k, z: jax.random.categorical(k, z * jnp.arange(3.0)),
    "choice": lambda k, z: jax.random.choice(k, 3, p=jax.nn.softmax(z * jnp.arange(3.0))),
    "poisson": lambda k, z: jax.random.poisson(k, 1.0 + z),
    "a step": lambda k, z: z + jax.random.normal(k) > 0.5,
}
"""What comes of a draw with noise beside it: the draw is credited with it, and its gradient is right."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SIMULATIONS)
def test_noise_that_meets_draws_alone_is_not(name, way):
    def made(k, w):
        return SIMULATIONS[name](k, jnp.sum(w))

    def loss(w, k):
        k1, k2 = jax.random.split(k)
        z = hnca.bernoulli(k1, w)
        return z * WAYS[way](made)(k2, jnp.stack([z, z]))

    jax.eval_shape(hnca.grad(loss), jnp.ones(()), KEY)


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE(), hnca.DisARM(), hnca.Exact()], ids=str)
@pytest.mark.parametrize("name", ["bernoulli", "a step"])
def test_so_is_its_gradient(name, estimator):
    """The mean over the noise is known for both values. Of 20,000 keys, five standard errors: level 6e-7."""

    def loss(w, k):
        k1, k2 = jax.random.split(k)
        return jnp.sum(SIMULATIONS[name](k2, hnca.bernoulli(k1, w))).astype(jnp.float32)

    def of_one(k):
        return hnca.grad(loss, estimator=estimator)(jnp.array(0.3), k, estimator_key=jax.random.fold_in(k, 2))

    found = jax.jit(jax.vmap(of_one))(jax.random.split(KEY, 20_000))
    gain = {"bernoulli": 0.4, "a step": jax.scipy.stats.norm.cdf(0.5) - jax.scipy.stats.norm.cdf(-0.5)}[name]
    p = jax.nn.sigmoid(0.3)
    assert abs(jnp.mean(found) - gain * p * (1 - p)) < 5 * jnp.std(found) / jnp.sqrt(20_000)


def test_what_is_only_looked_at_is_not():
    def loss(w, k):
        k1, k2 = jax.random.split(k)
        right = w + jax.random.normal(k2, (3,)) > 0
        return jnp.sum(hnca.bernoulli(k1, w) * w), {"accuracy": jnp.mean(right)}

    jax.eval_shape(hnca.grad(loss, has_aux=True), jnp.ones(3), KEY)


def test_a_draw_of_something_learned_in_a_simulation_is_warned_of():
    def loss(w, k):
        k1, k2 = jax.random.split(k)
        return jnp.sum(jax.random.bernoulli(k2, jax.nn.sigmoid(w * hnca.bernoulli(k1, w)))).astype(jnp.float32)

    with pytest.warns(UserWarning, match=r"draw at .*test_foreign\.py.* depends on parameters"):
        jax.eval_shape(hnca.grad(loss), jnp.ones(3), KEY)
