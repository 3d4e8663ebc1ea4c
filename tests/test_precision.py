"""Matrix products whose differences are taken are computed in full precision, whatever the accelerator's default."""

import jax
import jax.numpy as jnp
import pytest
from jaxprs import equations_of
from networks import NETWORKS
from objectives import OBJECTIVES

import hnca
from hnca.messages.compiled import choice
from hnca.objectives._checked import checked_contrast

FULL = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


@pytest.fixture(autouse=True)
def in_jax(monkeypatch):
    """As on accelerators, for which nothing is compiled by this package."""
    monkeypatch.setenv(choice.VARIABLE, "jax")


def products(jaxpr):
    """Yields the precision of every matrix product and convolution, those of inner programs too."""
    for equation in equations_of(jaxpr):
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation.params["precision"]


def all_in_full(function, *args):
    found = list(products(jax.make_jaxpr(function)(*args).jaxpr))
    assert all(precision == FULL for precision in found), found
    return len(found)


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.sweep
def test_messages_are_computed_in_full_precision(name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs, () if inputs else (2,))
    edges = [(c, p) for c in network.order for p in network.layers[c].conditional.parents if p in network.layers]
    seen = sum(all_in_full(lambda t, e=edge: hnca.message(network, t, *e), trace) for edge in edges)
    assert seen > 0


@pytest.mark.parametrize("name", ["scattered over nonlinear", "scattered over embedded", "2-layer auto-encoder"])
@pytest.mark.sweep
def test_contrasts_are_computed_in_full_precision(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    seen = 0
    for term in objective.components:
        for layer in term.arguments if term.counterfactual else ():
            seen += all_in_full(lambda t, of=term, layer=layer: checked_contrast(of, network, t, layer), trace)
    assert seen > 0


def test_what_is_seen_of_a_category_is_its_embedding():
    layer = hnca.Categorical(hnca.Free(6), categories=3, embedding=jnp.ones((3, 2)))
    assert all_in_full(lambda v: layer.encode(v, jnp.float32), jnp.zeros((2,), jnp.int32)) == 1


def test_the_check_can_fail():
    with pytest.raises(AssertionError):
        all_in_full(jnp.dot, jnp.ones(2), jnp.ones(2))
