"""Keys: none is used twice, and one that a caller uses twice does no harm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from cases import ALL_CASES, Case
from networks import BITS
from objectives import auto_encoder
from test_estimator_protocol import arrays

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEYLESS = {"Exact", "HNCA with a first-order control"}
DRAWING = {name: case for name, case in ALL_CASES.items() if case.draws and name not in KEYLESS}
DRAWING["IndependentLeaveOneOut of two"] = Case(hnca.IndependentLeaveOneOut(2), dominates_reinforce=False, draws=True)
COUNT = 4000


@pytest.mark.parametrize("case", DRAWING.values(), ids=list(DRAWING))
@pytest.mark.sweep
def test_the_key_that_drew_the_trace_may_be_given_again(case):
    """Mean gradients with one key for both and with two: z-tests of each number, level 1e-6 over all (Bonferroni)."""
    network, objective, inputs = auto_encoder(1, BITS, hnca.SampledEntropy)(jax.random.key(0))

    def draw(keys):
        trace = network.sample(keys[0], inputs)
        return arrays(case.estimator(network, objective, trace, key=keys[1]).gradient)

    many = jax.jit(jax.vmap(draw))
    once, twice = jax.random.split(jax.random.key(1), COUNT), jax.random.split(jax.random.key(2), (COUNT, 2))
    for same, different in zip(many(jnp.stack([once, once], axis=1)), many(twice), strict=True):
        error = jnp.sqrt((jnp.var(same, axis=0) + jnp.var(different, axis=0)) / COUNT)
        deviation = (jnp.mean(same, axis=0) - jnp.mean(different, axis=0)) / (error + 1e-6)
        assert float(jnp.max(jnp.abs(deviation))) < 5.6


@pytest.mark.parametrize("case", DRAWING.values(), ids=list(DRAWING))
@pytest.mark.sweep
def test_no_key_is_used_twice(case):
    """As JAX's own checker sees it, of the key that drew the trace too."""
    network, objective, inputs = auto_encoder(1, BITS, hnca.SampledEntropy)(jax.random.key(0))

    def draw(key):
        return hnca.estimate(case.estimator, network, objective, inputs, key=key)

    with jax.debug_key_reuse(True):
        eqx.filter_jit(draw)(jax.random.key(1))
