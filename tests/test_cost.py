"""What every estimator says it costs, against what it is seen to draw and to evaluate."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES, LOG_WEIGHT

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")
BATCH, UNITS = 8, (4, 3, 3)
DRAWN_ELSEWHERE = {"CoupledAlternatives", "Exact", "LocalExpectation"}
"""Those that set layers to values, so that not all that is evaluated is drawn."""
OF_THE_LAST_LAYER = {"HNCA with a first-order control"}
SEEN = []


class Watched(hnca.Component):
    """A function of some layers that notes at which points of all of them it is evaluated."""

    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True, default=False)
    repeatable: bool = eqx.field(static=True, default=True)

    def value(self, network, trace):
        values = {name: trace[name] for name in network.order}
        jax.debug.callback(lambda v: SEEN.append(jax.tree.map(np.asarray, v)), values)
        return sum(jnp.mean(jnp.sin(values[name]), axis=-1) for name in self.arguments)

    def contrast(self, network, trace, layer):
        raise AssertionError("is never asked for")


def chain():
    sizes, names = (5, *UNITS), ("image", "first", "second", "third")
    layers = {}
    for place, key in enumerate(jax.random.split(jax.random.key(0), len(UNITS))):
        conditional = hnca.Dense(names[place], sizes[place], sizes[place + 1], key=key)
        layers[names[place + 1]] = hnca.Bernoulli(conditional)
    return hnca.Network(layers, inputs={"image": 5})


def points():
    """Returns what was evaluated: for each point the bytes of every layer's values, each point once."""
    jax.effects_barrier()
    found = set()
    for values in SEEN:
        passes = {name: np.asarray(v).reshape(-1, BATCH, v.shape[-1]) for name, v in values.items()}
        for number in range(len(passes["first"])):
            found.add(tuple((name, each[number].tobytes()) for name, each in passes.items()))
    return found


@pytest.mark.parametrize("name", sorted(name for name, case in ALL_CASES.items() if case.objective != LOG_WEIGHT))
@pytest.mark.sweep
def test_it_costs_what_it_says(name):
    network, method = chain(), ALL_CASES[name].estimator
    trace = network.sample(jax.random.key(1), {"image": jnp.ones((BATCH, 5))})
    SEEN.clear()
    # Of all layers, but for the one that evaluates only what is mediated.
    arguments = network.order[-1:] if name in OF_THE_LAST_LAYER else network.order
    eqx.filter_jit(method)(network, Watched(arguments), trace, key=jax.random.key(2))
    found, cost = points(), method.cost(network)
    assert len(found) == cost.evaluations
    if name not in DRAWN_ELSEWHERE:
        drawn = {layer for point in found for layer in point}
        assert len(drawn) / len(UNITS) == pytest.approx(cost.forward_passes)


def test_costs_that_are_known():
    network = chain()
    assert hnca.HNCA().cost(network) == (1, 1)
    assert hnca.HNCA(control=hnca.FirstOrder()).cost(network) == (1 + (3 + 2) / 3, 3)
    assert hnca.DisARM().cost(network) == (1 + (3 + 2 + 1) / 3, 4)
    assert hnca.REBAR().cost(network) == (1 + 2 * (3 + 2 + 1) / 3, 7)
    assert hnca.LocalExpectation().cost(network) == (1 + (8 * 2 + 6 * 1) / 3, 1 + 8 + 6 + 6)
    assert hnca.CoupledAlternatives(4).cost(network) == (5, 5)
    assert hnca.CoupledAlternatives(40).cost(network) == (1 + 4 + 3 + 3, 1 + 4 + 3 + 3)
    assert hnca.VIMCO(5).cost(network) == (5, 5)
    assert hnca.LocalDisARM(5).cost(network) == (5 * 3, 5 * 4)
    assert hnca.Exact().cost(network) == (2**10, 2**10)
