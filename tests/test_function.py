"""Functions of a user's own, in a network and as an objective: they see the example's data, and are fit for JAX."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_exact import largest_difference

import hnca
from hnca.exact import gradient, moments

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEYS = jax.random.split(jax.random.key(0), 4)
X = jnp.array([[1.0, -0.5], [0.3, 2.0], [0.0, 1.0]])


def network(function=None, inputs=None):
    conditional = hnca.Dense("x", 2, 2, key=KEYS[0]) if function is None else hnca.Apply(function, "x", 2)
    return hnca.Network({"code": hnca.Bernoulli(conditional)}, inputs={"x": 2, **(inputs or {})})


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("counterfactual", ["enumerate", "none"])
@pytest.mark.sweep
def test_it_sees_data_of_any_shape_of_its_own_example(counterfactual):
    """A picture `[2, 2]` and a label `[]`: unbiased by enumeration, and a batch is its examples one by one."""
    net = network(inputs={"picture": (2, 2), "label": ()})

    def loss(code, picture, label):
        return -jnp.sum((picture @ code - picture[label]) ** 2)

    objective = hnca.Function(loss, "code", counterfactual, inputs=("picture", "label"))
    pictures = jnp.sin(jnp.arange(12.0)).reshape(3, 2, 2)
    batch = {"x": X.astype(float), "picture": pictures, "label": jnp.array([0, 1, 1])}
    examples = [{name: value[i] for name, value in batch.items()} for i in range(3)]
    for example in examples[:2]:
        expected = moments(hnca.HNCA(), net, objective, example).mean
        assert largest_difference(expected, gradient(net, objective, example)) < 1e-12
    trace = net.sample(jax.random.key(1), batch)
    whole = hnca.HNCA()(net, objective, trace)
    for i, example in enumerate(examples):
        alone = hnca.HNCA()(net, objective, net.evaluate({**example, "code": trace["code"][i]}, ()))
        np.testing.assert_allclose(whole.value[i], alone.value, rtol=1e-12)
        np.testing.assert_allclose(whole.credits["code"][i], alone.credits["code"], rtol=1e-12)


def test_inputs_that_are_not_there_or_named_as_layers_are_refused():
    net = network()
    trace = net.sample(jax.random.key(1), {"x": X})
    with pytest.raises(ValueError, match=r"inputs=\('y',\); expected inputs of the network, \['x'\]"):
        hnca.HNCA()(net, hnca.Function(lambda code, y: jnp.sum(code * y), "code", inputs="y"), trace)
    with pytest.raises(ValueError, match=r"\['x'\] are not layers .* Inputs go in inputs=\('x',\)"):
        hnca.HNCA()(net, hnca.Function(lambda code, x: jnp.sum(code * x), ("code", "x")), trace)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("estimator", [hnca.REINFORCE(), hnca.IndependentLeaveOneOut(3)])
def test_a_function_that_mixes_examples_is_refused(compiled, estimator):
    net, jit = network(), jax.jit if compiled else (lambda f: f)

    def estimate(function, x):
        return hnca.estimate(estimator, net, hnca.Function(function, "code"), {"x": x}, key=jax.random.key(1))[0]

    with pytest.raises(ValueError, match=r"closes over the whole batch of 'x'.*inputs=\('x',\)"):
        jit(lambda x: estimate(lambda code: -jnp.sum((code[None] - x) ** 2), x))(X)
    with pytest.raises(ValueError, match=r"returns shape \(3,\) for one example; expected a scalar"):
        jit(lambda x: estimate(lambda code: -jnp.sum((code[None] - 2 * x) ** 2, axis=-1), x))(X)
    with pytest.raises(ValueError, match=r"returns shape \(1,\) for one example; expected a scalar"):
        jit(lambda x: estimate(lambda code: code[:1], x))(X)


def test_what_only_has_the_shape_of_a_batch_is_a_warning_where_values_are_not_known():
    net, table = network(), jnp.ones_like(X)

    def estimate(x, table):
        component = hnca.Function(lambda code: jnp.sum(table @ code), "code")
        return hnca.estimate(hnca.HNCA(), net, component, {"x": x}, key=jax.random.key(1))[0]

    with pytest.warns(UserWarning, match="If it only has that shape, pay no heed"):
        compiled = jax.jit(estimate)(X, table)
    np.testing.assert_allclose(compiled, estimate(X, table), rtol=1e-6)


class Matrix:
    """A plain class, whose method is a function with an array in it."""

    def __init__(self):
        self.matrix = jnp.array([[1.0, 2.0], [-1.0, 0.5]])

    def product(self, vector):
        return self.matrix @ vector


FUNCTIONS = {
    "module": eqx.nn.MLP(2, 2, 3, 1, key=KEYS[1]),
    "module with a lambda": eqx.nn.MLP(2, 2, 3, 1, activation=lambda v: jnp.sin(v), key=KEYS[1]),
    "lambda": lambda v: jnp.sin(v),
    "bound method": Matrix().product,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.sweep
def test_whatever_the_function_its_leaves_are_its_arrays(name):
    """`Apply`, `Sequential` and `Function` alike, under Optax, `jax.jit`, `jax.vmap` and `jax.grad`."""
    function = FUNCTIONS[name]
    above = hnca.Sequential(hnca.Dense("code", 2, 2, key=KEYS[2]), function)
    layers = {"code": hnca.Bernoulli(hnca.Apply(function, "x", 2)), "above": hnca.Bernoulli(above)}
    net = hnca.Network(layers, inputs={"x": 2})
    objective = hnca.Objective(hnca.Function(Summed(function), ("code", "above"), inputs="x"))
    trained = net, objective
    expected = [leaf for leaf in jax.tree.leaves(function) if eqx.is_array(leaf)]
    found = jax.tree.leaves(net.layers["code"].conditional)
    assert [leaf is other for leaf, other in zip(found, expected, strict=True)] == [True] * len(expected)
    optimiser = optax.chain(optax.scale(-1.0), optax.sgd(0.1))
    state = optimiser.init(trained)

    @jax.jit
    def step(trained, state, key):
        _, found = hnca.estimate(hnca.HNCA(), *trained, {"x": X}, key=key)
        updates, state = optimiser.update((found.gradient, found.objective_gradient), state, trained)
        return optax.apply_updates(trained, updates), state, found.gradient

    (moved, _), _, found = step(trained, state, KEYS[3])
    trace = net.sample(jax.random.split(KEYS[3])[0], {"x": X})
    plain = jax.grad(lambda n: hnca.surrogate(n, objective, trace, hnca.HNCA()(n, objective, trace)))(net)
    for left, right in zip(jax.tree.leaves(plain), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    assert any(bool(jnp.any(a != b)) for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(net), strict=True))
    assert jax.vmap(lambda n, k: n.sample(k, {"x": X})["code"], (None, 0))(net, KEYS).shape == (4, 3, 2)


class Summed(eqx.Module):
    """A scalar function of two layers and an input."""

    inner: object

    def __call__(self, code, above, x):
        return jnp.sum(self.inner(code) * self.inner(above) - x)


def test_a_bias_may_be_one_for_every_example():
    dense = hnca.Dense("x", 2, 2, key=KEYS[0])
    biases = jnp.sin(jnp.arange(6.0)).reshape(3, 2)
    each = eqx.tree_at(lambda d: d.bias, dense, biases)
    expected = dense((X,), (3,)) + biases
    np.testing.assert_allclose(each((X,), (3,)), expected, rtol=1e-6)
    twice = jnp.broadcast_to(X, (2, 3, 2))
    np.testing.assert_allclose(each((twice,), (2, 3))[1], expected, rtol=1e-6)
