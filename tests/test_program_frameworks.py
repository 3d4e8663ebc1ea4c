"""Modules of other libraries, tied parameters, integers and booleans in programs: exact by enumeration in float64.

The exact gradient comes from an enumeration written here: draws are replaced by every value they can take, and the
log-probability of those is summed up by hand.
"""

import inspect
import itertools

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

FEATURES, HIDDEN, ACTIONS = 3, 2, 3


@pytest.fixture(autouse=True)
def as_a_user_would(float64):
    """In float64, and without the suite's strictness, which other libraries do not bear."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


class Given:
    """Stands in for `hnca`: hands out chosen values, and knows how likely they were."""

    def __init__(self, hidden, action):
        self.hidden, self.action, self.log_probability = hidden, action, 0.0

    def bernoulli(self, key, logits):
        up = 1 / (1 + jnp.exp(-logits))
        self.log_probability += jnp.sum(jnp.log(jnp.where(self.hidden == 1, up, 1 - up)))
        return self.hidden

    def categorical(self, key, logits):
        self.log_probability += logits[self.action] - jnp.log(jnp.sum(jnp.exp(logits)))
        return self.action


def exact_gradient(loss, params, *data):
    """Returns the gradient of the sum over all values of probability times loss."""
    joint = list(itertools.product(*[(0.0, 1.0)] * HIDDEN, range(ACTIONS)))
    hidden, action = jnp.asarray([j[:-1] for j in joint]), jnp.asarray([j[-1] for j in joint])

    def expectation(params):
        def one(hidden, action):
            draws = Given(hidden, action)
            value = loss(draws, params, jax.random.key(0), *data)
            return jnp.exp(draws.log_probability) * value

        return jnp.sum(jax.vmap(one)(hidden, action))

    return ravel_pytree(jax.jit(jax.grad(expectation))(params))[0]


def check(loss, params, *data):
    found = hnca.check_unbiased(lambda p, key: loss(hnca, p, key, *data), (params, jax.random.key(0)))
    exact = exact_gradient(loss, params, *data)
    assert found.states == 2**HIDDEN * ACTIONS
    assert exact.dtype == jnp.float64
    assert float(jnp.max(jnp.abs(exact))) > 1e-3
    np.testing.assert_allclose(ravel_pytree(found.expected)[0], exact, rtol=1e-10, atol=1e-10)


def policy(draws, key, encoder, head, x):
    """Returns the loss of one example, whatever the encoder and the head are made of."""
    k1, k2 = jax.random.split(key)
    hidden = draws.bernoulli(k1, encoder(x))
    action = draws.categorical(k2, head(hidden))
    return jnp.asarray([0.3, -1.0, 2.0])[action] * jnp.sum(x) + jnp.sum(jnp.sin(head(hidden)) * x[0])


X = np.asarray([0.5, -1.0, 2.0])


def in_float64(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), tree)


def random_parameters(**shapes):
    keys = jax.random.split(jax.random.key(1), len(shapes))
    return {name: jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}


class EquinoxPolicy(eqx.Module):
    encoder: eqx.nn.MLP
    head: eqx.nn.Linear
    name: str = "a leaf that is no array"

    def __init__(self):
        k1, k2 = jax.random.split(jax.random.key(0))
        self.encoder = eqx.nn.MLP(FEATURES, HIDDEN, 4, 1, key=k1)
        self.head = eqx.nn.Linear(HIDDEN, ACTIONS, key=k2)


def test_equinox_modules():
    arrays, static = eqx.partition(EquinoxPolicy(), eqx.is_inexact_array)

    def loss(draws, arrays, key, x):
        model = eqx.combine(arrays, static)
        return policy(draws, key, model.encoder, model.head, x)

    check(loss, arrays, X)


def test_an_equinox_module_is_an_argument_as_it_stands():
    def loss(model, key, x):
        return policy(hnca, key, model.encoder, model.head, x)

    model, keys, xs = EquinoxPolicy(), jax.random.split(jax.random.key(2), 2), jnp.stack([X, 2 * X])
    ours = eqx.filter_jit(hnca.grad(loss, in_axes=(None, 0, 0)))(model, keys, xs)
    theirs = eqx.filter_jit(eqx.filter_grad(hnca.credited(loss, in_axes=(None, 0, 0))))(model, keys, xs)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    np.testing.assert_allclose(ravel_pytree(ours)[0], ravel_pytree(theirs)[0], atol=1e-14)


class NNXPolicy(nnx.Module):
    def __init__(self, rngs):
        self.encoder = nnx.Sequential(nnx.Linear(FEATURES, 4, rngs=rngs), jnp.tanh, nnx.Linear(4, HIDDEN, rngs=rngs))
        self.head = nnx.Linear(HIDDEN, ACTIONS, rngs=rngs)


def test_python_floats_of_a_module_are_no_parameters():
    """As under Equinox's own gradients: a rate of dropout has none, so that an optimiser has nothing to do with it."""

    class Dropped(eqx.Module):
        weight: jax.Array
        dropout: eqx.nn.Dropout

    def loss(module, key, x):
        first, second = jax.random.split(key)
        code = hnca.bernoulli(first, module.dropout(module.weight * x, key=second))
        return jnp.sum(code * x)

    module, keys = Dropped(jnp.ones(3), eqx.nn.Dropout(0.2)), jax.random.split(jax.random.key(0), 2)
    gradient = hnca.grad(loss, in_axes=(None, 0, None))(module, keys, jnp.ones(3))
    assert gradient.dropout.p is None
    assert jax.tree.structure(gradient) == jax.tree.structure(eqx.filter(module, eqx.is_inexact_array))
    of_a_dict = hnca.grad(lambda p, key: p["scale"] * hnca.bernoulli(key, p["logit"]))(
        {"scale": 2.0, "logit": 0.5}, keys[0]
    )
    assert all(leaf.shape == () for leaf in of_a_dict.values())


def test_flax_nnx_modules():
    graph, state = nnx.split(NNXPolicy(nnx.Rngs(0)))

    def loss(draws, state, key, x):
        model = nnx.merge(graph, state)
        return policy(draws, key, model.encoder, model.head, x)

    check(loss, in_float64(state), X)


def test_an_nnx_module_under_its_own_gradient():
    def loss(model, key, x):
        return policy(hnca, key, model.encoder, model.head, x)

    model, keys, xs = NNXPolicy(nnx.Rngs(0)), jax.random.split(jax.random.key(2), 2), jnp.stack([X, 2 * X])
    graph, state = nnx.split(model)
    ours = jax.jit(hnca.grad(lambda s, k, x: loss(nnx.merge(graph, s), k, x), in_axes=(None, 0, 0)))(state, keys, xs)
    theirs = nnx.jit(nnx.grad(hnca.credited(loss, in_axes=(None, 0, 0))))(model, keys, xs)
    np.testing.assert_allclose(ravel_pytree(ours)[0], ravel_pytree(theirs)[0], atol=1e-6)


def test_the_estimators_keywords_go_through_equinox():
    def loss(scale, key, x, *, shift=0.0):
        return jnp.sum(hnca.bernoulli(key, x * scale + shift))

    arguments, options = (
        (jnp.ones(()), jax.random.split(jax.random.key(3), 3), jnp.ones((3, 2))),
        {"in_axes": (None, 0, 0)},
    )
    learning = {**options, "estimator": hnca.HNCA(hnca.RunningMean()), "stateful": True}
    both = hnca.value_and_grad(loss, **learning)
    (_, state), _ = eqx.filter_jit(both)(*arguments, shift=0.5, estimator_state=None)
    (_, state), gradient = eqx.filter_jit(both)(*arguments, shift=0.5, estimator_state=state)
    of_credited = eqx.filter_value_and_grad(hnca.credited(loss, **learning), has_aux=True)
    _, again = eqx.filter_jit(of_credited)(*arguments, shift=0.5, estimator_state=state)
    np.testing.assert_allclose(gradient, again, rtol=0.3)
    disarm = eqx.filter_jit(hnca.grad(loss, **options, estimator=hnca.DisARM()))
    assert jnp.shape(disarm(*arguments, estimator_key=jax.random.key(4))) == ()
    assert str(inspect.signature(both)) == "(scale, key, x, *, shift=0.0, **estimator_keywords)"


def test_lines_are_the_users_and_no_frameworks():
    def loss(model, key, x):
        return jnp.sum(jnp.tanh(model.head(hnca.bernoulli(key, model.encoder(x)))))

    told = hnca.explain(loss)(NNXPolicy(nnx.Rngs(0)), jax.random.key(0), X)
    assert "test_program_frameworks.py" in told
    assert "flax" not in told


def test_flax_linen_modules_that_draw_inside():
    class Policy(nn.Module):
        def setup(self):
            self.encoder, self.head = nn.Dense(HIDDEN), nn.Dense(ACTIONS)

        def __call__(self, draws, key, x):
            return policy(draws, key, self.encoder, self.head, x)

    model = Policy()
    params = model.init(jax.random.key(0), hnca, jax.random.key(1), X)
    check(lambda draws, p, key, x: model.apply(p, draws, key, x), in_float64(params), X)


def test_haiku_modules_that_draw_with_haikus_keys():
    def forward(draws, x):
        encoder, head = hk.nets.MLP([4, HIDDEN]), hk.Linear(ACTIONS)
        return policy(draws, hk.next_rng_key(), encoder, head, x)

    transformed = hk.transform(forward)
    params = transformed.init(jax.random.key(0), hnca, X)
    check(lambda draws, p, key, x: transformed.apply(p, key, draws, x), in_float64(params), X)


def test_tied_parameters():
    def loss(draws, p, key, x):
        return policy(draws, key, lambda x: x @ p["tied"].T, lambda h: jnp.tanh(h @ p["tied"] + p["tied"][0]), x)

    check(loss, random_parameters(tied=(HIDDEN, FEATURES)), X)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.bool_])
@pytest.mark.sweep
def test_integer_and_boolean_data(dtype):
    def loss(draws, p, key, tokens, mask):
        k1, k2 = jax.random.split(key)
        words = p["table"][tokens.astype(jnp.int32)]
        hidden = draws.bernoulli(k1, jnp.sum(jnp.where(mask[:, None], words, 0), axis=0))
        action = draws.categorical(k2, hidden @ p["out"] + (tokens == 1) * p["bias"])
        on = hidden > 0  # booleans and counts made of draws
        hits = jnp.sum(on & mask[:HIDDEN]) + (action == tokens[0].astype(action.dtype))
        return p["bias"][action] * jnp.sum(on) + hits**2 * p["bias"][0]

    params = random_parameters(table=(3, HIDDEN), out=(HIDDEN, ACTIONS), bias=(ACTIONS,))
    check(loss, params, np.asarray([1, 0, 1]).astype(dtype), np.asarray([True, False, True]))


def test_integers_and_booleans_beside_the_parameters_get_no_gradient():
    def loss(params, key):
        hidden = hnca.bernoulli(key, jnp.where(params["mask"], params["logits"], 0.0))
        return jnp.sum(hidden * params["count"])

    params = {"logits": jnp.ones(3), "mask": jnp.asarray([True, False, True]), "count": jnp.arange(3)}
    gradient = jax.jit(hnca.grad(loss))(params, jax.random.key(0))
    assert gradient["mask"] is None
    assert gradient["count"] is None
    p = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(gradient["logits"], [0.0, 0.0, 2 * p * (1 - p)], atol=1e-12)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.sweep
def test_what_a_function_with_its_own_derivative_does_not_use_may_have_any_shape(whole):
    @jax.custom_jvp
    def doubled(seen, _):
        return 2.0 * seen

    doubled.defjvp(lambda values, changes: (doubled(*values), 2.0 * changes[0]))

    def loss(draws, params, key):
        k1, k2 = jax.random.split(key)
        hidden = draws.bernoulli(k1, params["logits"])
        unused = hidden[0] * jnp.ones(5) if whole else hidden @ params["out"]
        action = draws.categorical(k2, hidden @ params["out"])
        return jnp.sum(doubled(hidden if whole else hidden[0], unused) * params["bias"]) ** 2 * params["reward"][action]

    check(loss, random_parameters(logits=(HIDDEN,), out=(HIDDEN, ACTIONS), bias=(HIDDEN,), reward=(ACTIONS,)))
