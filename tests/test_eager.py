"""Outside compiled functions: what was computed once is not compiled anew."""

import jax
import pytest
from networks import NETWORKS, reward_of
from objectives import OBJECTIVES

import hnca

COMPILED = []


@pytest.fixture
def compiled():
    """What has been compiled since the test began, an entry each."""

    def note(event, _, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            COMPILED.append(event)

    COMPILED.clear()
    jax.monitoring.register_event_duration_secs_listener(note)
    yield COMPILED
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.mark.parametrize("name", ["branching", "categorical chain", "convolutional", "2-layer auto-encoder"])
@pytest.mark.sweep
def test_a_second_call_compiles_nothing(name, compiled):
    """A loop in a draw or in a message, were it not in a compiled function of its own, would be at every call."""
    if name in NETWORKS:
        (network, inputs), objective = NETWORKS[name](jax.random.key(0)), reward_of
    else:
        network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    counts = []
    for _ in range(2):
        compiled.clear()
        trace = network.sample(jax.random.key(1), inputs)
        hnca.HNCA()(network, objective(trace) if name in NETWORKS else objective, trace)
        counts.append(len(compiled))
    assert counts[0] > 0
    assert counts[1] == 0
