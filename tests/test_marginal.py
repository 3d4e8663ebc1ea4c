"""The direct part of the gradient at every value of one unit: exact by enumeration, and less variable."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import BITS, SIGNS, randomised
from test_exact import largest_difference

import hnca

KEYS = jax.random.split(jax.random.key(0), 6)


class Experts(eqx.Module):
    """What the chosen expert makes of an input and of a code."""

    weight: jax.Array

    def __call__(self, gate, code):
        return jnp.sum(jnp.tanh(self.weight @ code) * gate) - 0.2 * jnp.sum(code * gate[0])


def experts(family):
    """A gate that a second layer reads too, so that what is known of it is more than its prior."""
    return jax.jit(partial(made, family))()


def made(family):
    if family == "categorical":
        gate = hnca.Categorical(hnca.Dense("x", 2, 3, key=KEYS[0]))
    else:
        gate = hnca.Bernoulli(hnca.Dense("x", 2, 1, key=KEYS[0]), SIGNS)
    above = hnca.Sequential(hnca.Dense(("gate", "x"), (gate.features, 2), 3, key=KEYS[1]), jnp.sin)
    layers = {"gate": gate, "code": hnca.Bernoulli(above, BITS)}
    network = randomised(hnca.Network(layers, inputs={"x": 2}), KEYS[2])
    own = hnca.Function(Experts(jax.random.normal(KEYS[3], (gate.features, 3))), ("gate", "code"))
    return network, hnca.Objective(own, hnca.Entropy(network, "code")), {"x": jnp.array([0.5, -1.0])}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
@pytest.mark.sweep
def test_the_gradient_of_experts_is_exact_and_less_variable(family):
    network, objective, inputs = experts(family)

    def both(estimator):
        def of_trace(trace):
            found = estimator(network, objective, trace)
            gradients = eqx.filter((found.gradient, found.objective_gradient), eqx.is_inexact_array)
            return found.value, gradients, jax.tree.map(jnp.square, gradients[1])

        return hnca.exact.expectation(network, inputs, of_trace)

    value, gradients, squares = both(hnca.HNCA(marginalise="gate"))
    exact = eqx.filter_grad(lambda pair: hnca.exact.value(*pair, inputs))((network, objective))
    np.testing.assert_allclose(value, hnca.exact.value(network, objective, inputs), rtol=1e-10)
    assert largest_difference(gradients, exact) < 1e-10
    plain = both(hnca.HNCA())[2]
    for one, other in zip(jax.tree.leaves(squares), jax.tree.leaves(plain), strict=True):
        assert float(jnp.sum(one)) < float(jnp.sum(other))


@pytest.mark.usefixtures("float64")
def test_in_a_program_all_experts_learn_from_one_draw():
    def loss(p, key, x):
        choice = hnca.categorical(key, x @ p["gate"])
        return jnp.sum((p["experts"][choice] * x - 1.0) ** 2)

    p = {"gate": jax.random.normal(KEYS[0], (2, 3)), "experts": jax.random.normal(KEYS[1], (3, 2))}
    x = jnp.array([0.4, -1.1])
    estimator = hnca.HNCA(marginalise="categorical_0")
    assert hnca.check_unbiased(loss, (p, KEYS[2], x), estimator=estimator).error < 1e-10
    one = jax.jit(hnca.grad(loss, estimator=estimator))(p, KEYS[2], x)
    assert bool(jnp.all(jnp.any(one["experts"] != 0, axis=1)))


def test_mistakes_are_named():
    network, objective, inputs = experts("categorical")
    trace = jax.eval_shape(network.sample, KEYS[4], inputs)

    def refused(layer, objective, says):
        with pytest.raises(ValueError, match=f"HNCA: marginalise={layer!r} {says}"):
            jax.eval_shape(hnca.HNCA(marginalise=layer), network, objective, trace)

    with pytest.raises(ValueError, match=r"HNCA: marginalise='door'; expected a layer of the network, \['code', 'gate"):
        jax.eval_shape(hnca.HNCA(marginalise="door"), network, objective, trace)
    refused("code", objective, "has 3 units; expected a layer of one")
    refused("gate", hnca.Reward("gate", jnp.ones(())), "evaluates .* observed once, does not allow; expected None")
    assert hnca.HNCA(marginalise="gate").cost(network) == (1, 3)
