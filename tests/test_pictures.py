"""What is explained is drawn too: everything stands where it can be seen, in the colours of the table."""

import itertools
import pickle
import xml.etree.ElementTree as ElementTree

import jax
import jax.numpy as jnp
import networks
import pytest

import hnca
from hnca.objectives.pictures.graph import COMPONENT_COLOURS, LAYER_COLOURS
from hnca.objectives.pictures.layout import GAP, layout

pytestmark = pytest.mark.usefixtures("quick_compilation")


def objective():
    terms = [hnca.Reward("action", jnp.zeros(())), hnca.Function(jnp.sum, "left"), hnca.Function(jnp.sum, "bottom")]
    return hnca.Objective(*terms, hnca.Function(lambda a, b: a.sum() + b.sum(), ("bottom", "left")))


@pytest.fixture(scope="module")
def shown():
    network = hnca.Network(
        {
            "bottom": hnca.Bernoulli(hnca.Free(2)),
            "left": hnca.Bernoulli(hnca.Dense("bottom", 2, 2, key=jax.random.key(0))),
            "a < b": hnca.Bernoulli(hnca.Dense("bottom", 2, 2, key=jax.random.key(0))),
            "action": hnca.Categorical(hnca.Dense(("left", "a < b"), (2, 2), 3, key=jax.random.key(0))),
        }
    )
    return objective().explain(network)


def colours_of(picture):
    """Returns what colour everything that has a name has."""
    nodes = list(ElementTree.fromstring(picture))
    pairs = itertools.pairwise(nodes)
    return {text.text: box.get("fill") for box, text in pairs if box.tag.endswith("rect") and text.tag.endswith("text")}


def test_the_credited_layer_has_its_blanket_and_its_components(shown):
    found = colours_of(shown.svg("left"))
    assert found["left"] == LAYER_COLOURS["credited"]
    assert {name for name in shown.graph.parents if found[name] == LAYER_COLOURS["blanket"]} == {
        "bottom",
        "action",
        "a < b",
    }
    assert found["Reward(action)"] == COMPONENT_COLOURS["via"]
    assert found["Function(left)"] == COMPONENT_COLOURS["direct"]
    assert found["Function(bottom)"] == COMPONENT_COLOURS["-"]
    below = colours_of(shown.svg("bottom"))
    assert below["Function(bottom, left)"] == COMPONENT_COLOURS["direct + via"]
    assert below["action"] == LAYER_COLOURS["layer"]
    assert colours_of(shown.svg("action"))["Reward(action)"] == COMPONENT_COLOURS["score"]


@pytest.mark.parametrize(("layer", "messages"), [("left", 1), ("bottom", 2), ("action", 0), (None, 0)])
def test_messages_come_from_the_children_that_mediate(shown, layer, messages):
    legend = messages > 0
    assert shown.svg(layer).count("stroke-dasharray") == messages + legend
    assert shown.mermaid(layer).count("message") == messages
    assert shown.mermaid(layer).count("linkStyle") == messages


def test_it_is_a_text_that_can_be_kept(shown):
    kept = pickle.loads(pickle.dumps(shown))
    assert kept == shown
    assert kept.svg("left") == shown.svg("left")


def test_mermaid_has_every_edge(shown):
    lines = shown.mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    assert '  layer0("bottom")' in lines
    reads = sum(map(len, shown.graph.parents.values())) + sum(map(len, shown.graph.arguments))
    assert sum("-->" in line for line in lines) == reads == 9


def test_a_program_s_draws_are_drawn():
    def loss(weight, key):
        first, second = jax.random.split(key)
        code = hnca.bernoulli(first, weight, name="code")
        action = hnca.categorical(second, code * weight, name="action")
        return -hnca.observed((action == 0).astype(float))

    told = hnca.explain(loss)(jnp.ones(3), jax.random.key(0))
    assert isinstance(told, str)
    assert colours_of(told.svg("code"))["observed(action)"] == COMPONENT_COLOURS["via"]
    with pytest.raises(ValueError, match=r"'gate': no such draw or layer; expected one of \['code', 'action'\]"):
        told.svg("gate")


@pytest.mark.parametrize("name", ["branching", "dead end", "embedded"])
def test_nothing_stands_on_anything_else(name):
    network = networks.NETWORKS[name](jax.random.key(0))[0]
    reads = hnca.Objective(hnca.Reward("action", jnp.zeros(()))).explain(network).graph.parents
    widths = {node: 20.0 + 10 * place for place, node in enumerate(reads)}
    places, edges = layout(reads, widths)
    for node, sources in reads.items():
        assert all(places[source][1] < places[node][1] for source in sources)
    for one in reads:
        for other in set(reads) - {one}:
            (x, y), (across, down) = places[one], places[other]
            assert y != down or abs(x - across) >= (widths[one] + widths[other]) / 2 + GAP - 1e-6
    boxes = {place: node for node, place in places.items()}
    assert all(point not in boxes for edge in edges for point in edge[1:-1])


def test_what_is_alike_is_told_once():
    """Both halves of a likelihood are dear, in one line of the user's."""

    def loss(weight, key, x):
        logits = jnp.tanh(hnca.bernoulli(key, weight) @ jnp.ones((3, 2)))
        return -jnp.sum(x * jax.nn.log_sigmoid(logits))

    told = hnca.explain(loss)(jnp.ones(3), jax.random.key(0), jnp.ones(2))
    assert len(told.graph.components) == 2
    assert told.count("evaluated anew 3 times.") == 1
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(2))})
    alike = hnca.Objective(*(hnca.Function(jnp.sum, "code") for _ in range(3)), hnca.Reward("code", jnp.zeros(())))
    assert [line.split("  ")[0] for line in alike.explain(network).splitlines()[1:]] == [
        "Function(code), 3 times",
        "Reward(code)",
    ]
