"""Networks: the graph, its mistakes, and ancestral sampling; conditionals and their mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS, branching, dead_end

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)


def layer(parents, sizes, out=2):
    return hnca.Bernoulli(hnca.Dense(parents, sizes, out, key=KEY))


def test_order_children_ancestors_and_mediators():
    network, _ = branching(KEY)
    assert network.order == ("root", "left", "right", "action")
    assert network.children("root") == ("left", "right")
    assert network.children("image") == ("root", "right")
    assert network.ancestors(["left"]) == {"root", "left"}
    assert network.mediators("root", ["left"]) == ("left",)
    assert network.mediators("root", ["action"]) == ("left", "right")
    assert network.mediators("action", ["action"]) == ()
    assert network.after("image") == network.order
    assert network.after("root") == ("left", "right", "action")
    assert network.after("left") == ("right", "action")
    assert network.after("action") == ()
    assert dead_end(KEY)[0].after("useless") == ()
    assert dead_end(KEY)[0].after("root") == ("useful", "useless", "action")


def test_a_child_that_leads_nowhere_does_not_mediate():
    network, _ = dead_end(KEY)
    assert network.children("root") == ("useful", "useless")
    assert network.mediators("root", ["action"]) == ("useful",)


MISTAKES = {
    "'hiden'.*expected a layer or an input": lambda: hnca.Network({"action": layer("hiden", 2)}, inputs={"image": 3}),
    "'(a|b)' <- '?(a|b)|a <- b|b <- a": lambda: hnca.Network({"a": layer("b", 2), "b": layer("a", 2)}),
    "layer 'b' expects 5 features of its parent 'a', which has shape": lambda: hnca.Network(
        {"a": layer("image", 3), "b": layer("a", 5)}, inputs={"image": 3}
    ),
    "layer 'a' expects 3 features of its parent 'image'": lambda: hnca.Network(
        {"a": layer("image", 3)}, inputs={"image": (28, 28)}
    ),
    r"names \['a'\] are given twice": lambda: hnca.Network([("a", layer("x", 3)), ("a", layer("x", 3))], {"x": 3}),
    r"names \['x'\] are given twice": lambda: hnca.Network({"x": layer("x", 3)}, {"x": 3}),
    "at least one layer": lambda: hnca.Network({}),
    r"function of layer 'a' returns shape \(3,\); expected \(4,\)": lambda: hnca.Network(
        {"a": hnca.Bernoulli(hnca.Apply(jnp.sin, "x", 4))}, {"x": 3}
    ),
    "function of layer 'a' cannot be applied": lambda: hnca.Network(
        {"a": hnca.Bernoulli(hnca.Apply(lambda x: x @ jnp.ones((7, 4)), "x", 4))}, {"x": 3}
    ),
    "Dense: in_features=.* one size a parent": lambda: hnca.Dense(("a", "b"), 3, 2, key=KEY),
    r"Dense: out_features=0; expected": lambda: hnca.Dense("a", 3, 0, key=KEY),
    r"Dense: in_features=-1; expected": lambda: hnca.Dense("a", -1, 2, key=KEY),
    r"Dense: parents=\('a', 'a'\); expected every name once": lambda: hnca.Dense(("a", "a"), (1, 1), 2, key=KEY),
    r"Dense: parents=\(\)": lambda: hnca.Dense((), (), 2, key=KEY),
    r"Free: out_features=0": lambda: hnca.Free(0),
    "RunningMean: decay=1": lambda: hnca.RunningMean(1.0),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_static_mistake_names_what_is_wrong(message):
    with pytest.raises(ValueError, match=message):
        MISTAKES[message]()


def test_inputs_of_the_wrong_name_or_shape_are_refused():
    network, inputs = branching(KEY)
    with pytest.raises(ValueError, match=r"inputs=\['picture'\]; expected \['image'\]"):
        network.sample(KEY, {"picture": inputs["image"]})
    with pytest.raises(ValueError, match=r"input 'image' has shape \(7, 4\); expected the batch axes, then \(3,\)"):
        network.sample(KEY, {"image": jnp.ones((7, 4))})


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_samples_follow_the_joint_distribution(name):
    """Each joint state's frequency against its probability: z-tests at level 1e-6 over all states (Bonferroni)."""
    network, inputs = NETWORKS[name](jax.random.key(0))
    count = 20_000
    batched = {key: jnp.broadcast_to(value, (count, *value.shape)) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(1), batched, (count,))
    states = hnca.exact.joint_states(network)
    flat = jnp.concatenate([trace[n].astype(float) for n in network.order], axis=1)
    rows = jnp.concatenate([states[n].astype(float) for n in network.order], axis=1)
    frequency = jax.lax.map(lambda row: jnp.mean(jnp.all(flat == row[None], axis=1).astype(float)), rows)
    probability = jax.vmap(lambda values: jnp.exp(network.log_prob(network.evaluate({**inputs, **values}, ()))))(states)
    deviation = (frequency - probability) / jnp.sqrt(probability * (1 - probability) / count)
    expected_often = probability * count > 20
    assert float(jnp.max(jnp.abs(jnp.where(expected_often, deviation, 0.0)))) < 6.5


def test_sampling_agrees_with_evaluating_its_own_values():
    network, inputs = branching(KEY)
    trace = network.sample(KEY, {"image": jnp.stack([inputs["image"]] * 3)})
    again = network.evaluate(trace.values, (3,))
    for name in network.order:
        np.testing.assert_array_equal(trace.logits[name], again.logits[name])


def test_values_that_are_missing_or_of_another_shape_are_refused():
    """Actions that were stored as `[T]` would otherwise be scored against each other."""
    network, inputs = branching(KEY)
    many = {"image": jnp.stack([inputs["image"]] * 5)}
    values = network.sample(KEY, many).values
    with pytest.raises(ValueError, match=r"layer 'action' have shape \(5,\); expected \(5, 1\), the batch axes and"):
        network.evaluate({**values, "action": values["action"][:, 0]}, (5,))
    with pytest.raises(ValueError, match=r"the values of layer 'left' are missing; given are \['action'"):
        network.evaluate({name: value for name, value in values.items() if name != "left"}, (5,))
    with pytest.raises(ValueError, match=r"the values of input 'image' are missing"):
        network.evaluate({name: values[name] for name in network.order}, (5,))
    with pytest.raises(ValueError, match=r"input 'image' have shape \(3,\); expected \(5, 3\)"):
        network.evaluate({**values, **inputs}, (5,))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_are_not_taken_for_quantities(dtype):
    """By a layer, and by a decoder's; one-hot labels, truth values and functions of the label are what is meant."""
    inputs = {"x": jnp.ones((4, 3)), "label": jnp.array([[0], [1], [2], [9]], dtype)}
    both = hnca.Bernoulli(hnca.Dense(("x", "label"), (3, 1), 2, key=KEY))
    network = hnca.Network({"code": both}, inputs={"x": 3, "label": 1})
    with pytest.raises(ValueError, match=rf"layer 'code' would take the integers of input 'label' \({dtype}\)"):
        network.sample(KEY, inputs)
    network = hnca.Network({"code": layer("x", 3)}, inputs={"x": 3, "label": 1})
    term = hnca.LogProb(hnca.Bernoulli(hnca.Dense("label", 1, 2, key=KEY)), "code", inputs=("label",))
    with pytest.raises(ValueError, match=r"log p\(code \| label\) would take the integers of input 'label'"):
        hnca.HNCA()(network, term, network.sample(KEY, inputs))


def test_inputs_may_have_any_shape():
    rows = jnp.eye(10)[:, :4]
    layers = {
        "code": hnca.Bernoulli(hnca.Dense(("picture", "is_odd"), (4, 1), 3, key=KEY)),
        "more": hnca.Bernoulli(hnca.Apply(lambda label: rows[label], "label", 4)),
    }
    network = hnca.Network(layers, inputs={"picture": (2, 2), "is_odd": (), "label": ()})
    picture = jnp.arange(12.0).reshape(3, 2, 2)
    inputs = {"picture": picture, "is_odd": jnp.array([True, False, True]), "label": jnp.array([1, 2, 3])}
    logits = network.sample(KEY, inputs).logits
    read = jnp.concatenate([picture.reshape(3, 4), jnp.array([[1.0], [0.0], [1.0]])], axis=-1)
    np.testing.assert_allclose(logits["code"], read @ jnp.concatenate(layers["code"].conditional.weights), rtol=1e-5)
    np.testing.assert_array_equal(logits["more"], rows[1:4])


def test_a_name_that_is_misspelt_is_answered_with_the_near_one():
    with pytest.raises(AttributeError, match="module 'hnca' has no name 'Bernouli'; did you mean 'Bernoulli'"):
        hnca.Bernouli  # noqa: B018
    with pytest.raises(AttributeError, match=r"no name 'xyzzy'\."):
        hnca.xyzzy  # noqa: B018
    assert not hasattr(hnca, "__wrapped__")


def test_dense_weights_fill_the_stated_interval():
    weight = hnca.Dense("image", 784, 200, key=KEY).weights[0]
    bound = (6 / 984) ** 0.5
    assert 0.99 * bound < float(jnp.max(jnp.abs(weight))) <= bound
    np.testing.assert_allclose(jnp.mean(weight), 0, atol=5 * bound / (3 * weight.size) ** 0.5)


def test_rewards_that_are_not_finite_or_not_one_an_example_are_refused():
    network, inputs = branching(KEY)
    trace = network.sample(KEY, inputs)
    with pytest.raises(ValueError, match="Reward: observed has 2 values that are NaN or infinite"):
        hnca.Reward("action", jnp.array([1.0, jnp.nan, jnp.inf]))
    with pytest.raises(ValueError, match=r"Reward: observed has shape \(3,\); expected one reward an example, \(\)"):
        hnca.HNCA()(network, hnca.Reward("action", jnp.ones(3)), trace)
    with pytest.raises(ValueError, match=r"Reward: arguments=\(\)"):
        hnca.Reward((), jnp.ones(3))


@pytest.mark.thorough
def test_integer_and_boolean_rewards_are_taken_as_numbers():
    network, inputs = branching(KEY)
    trace = network.sample(KEY, {"image": jnp.stack([inputs["image"]] * 3)})
    for observed in (jnp.array([1, 0, 1]), jnp.array([True, False, True]), np.array([1.0, 0.0, 1.0])):
        as_float = hnca.Reward("action", jnp.array([1.0, 0.0, 1.0]))
        found = hnca.HNCA()(network, hnca.Reward("action", observed), trace)
        np.testing.assert_array_equal(found.credits["left"], hnca.HNCA()(network, as_float, trace).credits["left"])
