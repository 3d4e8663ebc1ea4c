"""Every argument of every public class and function of described networks, given every odd value.

Each is accepted where it is said below, and else refused by a ValueError that names the class and the argument. Run
alone, it tells what is otherwise. Annotations are not checked there, as they are in the tests.
"""

import inspect
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np

import hnca
from hnca import Bernoulli, Dense, Free, Function, Network, Objective

KEY = jax.random.key(0)


def network():
    return Network({"h": Bernoulli(Dense("x", 2, 2, key=KEY))}, inputs={"x": 2})


def two_layers():
    return Network({"g": Bernoulli(Free(2)), "h": Bernoulli(Dense("g", 2, 2, key=KEY))})


def decoder():
    return Network({"h": Bernoulli(Free(2)), "x": Bernoulli(Dense("h", 2, 2, key=KEY))})


def squared(h):
    return jnp.sum(h) ** 2


NETWORK, TWO = network(), two_layers()
INPUTS = {"x": jnp.ones((3, 2))}
TRACE, OBJECTIVE = NETWORK.sample(KEY, INPUTS), Objective(Function(squared, of="h"))
LOGITS = jnp.zeros(5)

ODD = {
    "None": None,
    "text": "a",
    "no text": "",
    "int": 3,
    "minus": -1,
    "zero": 0,
    "float": 1.5,
    "half": np.float64(0.5),
    "nan": float("nan"),
    "inf": float("inf"),
    "bool": True,
    "numpy bool": np.bool_(True),
    "no tuple": (),
    "tuple": (1,),
    "list": [1, 2],
    "texts": ("a", "b"),
    "nested": ((1,),),
    "dict": {},
    "set": {1},
    "bytes": b"x",
    "complex": 1j,
    "numpy int": np.int64(3),
    "numpy array": np.ones(2),
    "scalar": jnp.ones(()),
    "whole scalar": jnp.int32(3),
    "key": KEY,
    "class": hnca.HNCA,
    "estimator": hnca.REINFORCE(),
    "function": squared,
    "network": NETWORK,
    "layer": Bernoulli(Free(2)),
    "conditional": Free(2),
    "object": object(),
}
COUNT, FLAG, OPTIONAL_COUNT = "int, numpy int", "bool, numpy bool", "None, int, numpy int"
POSITIVE = "int, float, half, numpy int"
NUMBER = f"{POSITIVE}, minus, zero"
FRACTION = "zero, half"
TEMPERATURE = f"{POSITIVE}, scalar, whole scalar"
REALS = f"{NUMBER}, {FLAG}, no tuple, tuple, list, nested, numpy array, scalar, whole scalar"
NAME, NAMES = "text, no text", "text, no text, texts"
CALLABLE = "class, estimator, function, conditional"
DTYPE = "None, half, scalar, network"  # what has a dtype stands for it
SIZES = "int, numpy int, tuple, list"
COMPUTED = "float, half, nan, inf, scalar"

ACCEPTED = {
    "Apply": {"function": CALLABLE, "parents": f"{NAMES}, no tuple, dict", "out_features": COUNT},
    "ARMS": {"samples": COUNT},
    "Bernoulli": {"conditional": "conditional", "values": "list"},
    "Categorical": {"conditional": "conditional", "categories": "None", "embedding": "None"},
    "Conv": {
        "parent": NAME,
        "in_shape": "",
        "out_channels": COUNT,
        "kernel_size": SIZES,
        "key": "key",
        "stride": SIZES,
        "padding": f"{SIZES}, zero",
        "dilation": SIZES,
        "dtype": DTYPE,
    },
    "CoupledAlternatives": {"alternatives": COUNT},
    "Dense": {
        "parents": NAME,
        "in_features": f"{COUNT}, tuple",
        "out_features": COUNT,
        "key": "key",
        "use_bias": FLAG,
        "dtype": DTYPE,
    },
    "DoubleControlVariates": {"samples": COUNT, "scale": NUMBER, "decay": FRACTION},
    "ELBO": {"encoder": "network", "decoder": ""},
    "Entropy": {"network": "network", "layer": ""},
    "Free": {"out_features": COUNT, "dtype": DTYPE},
    "Function": {"function": CALLABLE, "of": NAMES, "counterfactual": "", "inputs": f"{NAMES}, no tuple, dict"},
    "GappedStraightThrough": {"temperature": TEMPERATURE, "gap": f"{POSITIVE}, zero"},
    "GumbelRao": {"temperature": TEMPERATURE, "draws": COUNT},
    "GumbelSoftmax": {"temperature": TEMPERATURE},
    "HNCA": {
        "baseline": "None",
        "prune_children": FLAG,
        "prune_upstream": FLAG,
        "control": "None",
        "counterfactuals": OPTIONAL_COUNT,
        "guess": "",
        "choice": "",
        "marginalise": f"None, {NAME}",
    },
    "IndependentLeaveOneOut": {"samples": COUNT},
    "LearnedBaseline": {"learning_rate": POSITIVE, "decay": FRACTION},
    "LeaveOneOutHNCA": {"samples": COUNT, "counterfactuals": OPTIONAL_COUNT, "guess": "", "choice": ""},
    "Linear": {"of": NAME, "weight": "", "bias": "", "activation": CALLABLE},
    "LocalDisARM": {"samples": COUNT},
    "LogProb": {"layer": "layer", "value": NAME, "inputs": f"{NAMES}, no tuple, dict"},
    "MultiSampleLeaveOneOut": {"samples": COUNT},
    "NVIL": {"normalise": FLAG, "decay": FRACTION, "learning_rate": POSITIVE},
    "Network": {"layers": "", "inputs": "None, dict"},
    "REBAR": {"temperature": POSITIVE, "scale": NUMBER, "learning_rate": f"{POSITIVE}, zero"},
    "REINFORCE": {"baseline": "None"},
    "RELAX": {
        "temperature": POSITIVE,
        "scale": NUMBER,
        "learning_rate": f"{POSITIVE}, zero",
        "hidden_units": COUNT,
        "seed": f"{COUNT}, minus, zero",
    },
    "RODEO": {
        "samples": COUNT,
        "scale": NUMBER,
        "learning_rate": f"{POSITIVE}, zero",
        "hidden_units": COUNT,
        "seed": f"{COUNT}, minus, zero",
    },
    "Reward": {"arguments": NAMES, "observed": REALS},
    "ReweightedWakeSleep": {"samples": COUNT},
    "RunningMean": {"decay": FRACTION, "debias": FLAG},
    "SampledEntropy": {"network": "network", "layer": ""},
    "StraightThroughGumbelSoftmax": {"temperature": TEMPERATURE},
    "UnorderedSet": {"samples": COUNT},
    "VIMCO": {"samples": COUNT},
    "Weighted": {"weight": REALS},
    "Network.sample": {"key": "key", "inputs": "", "batch_shape": "None"},
    "Network.evaluate": {"values": "", "batch_shape": ""},
    "bernoulli": {
        "key": "key",
        "logits": f"{COMPUTED}, no tuple, numpy array",
        "values": "list",
        "name": "None, text",
        "given": "None",
    },
    "categorical": {
        "key": "key",
        "logits": "numpy array",
        "name": "None, text",
        "given": "None, int, minus, zero, numpy int, whole scalar",
    },
    "direct_credits": {"network": "network", "objective": "", "trace": "", "weights": "None"},
    "entropy": {"logits": f"{COMPUTED}, no tuple, numpy array", "categorical": FLAG},
    "estimate": {
        "estimator": "estimator",
        "network": "network",
        "objective": "",
        "inputs": "",
        "key": "key",
        "state": "None, dict",
        "batch_shape": "None",
    },
    "log_prob": {"logits": "", "value": f"{COUNT}, zero, whole scalar", "values": "list", "categorical": "None"},
    "log_weight": {"log_p": COMPUTED, "log_q": f"{COMPUTED}, None"},
    "message": {"network": "", "trace": "", "child": "", "parent": ""},
    "surrogate": {"network": "network", "objective": "", "trace": "", "credits": ""},
}
"""Of every argument the odd values that are none for it."""

GIVEN = {
    "Apply": {"function": squared, "parents": "x", "out_features": 2},
    "Bernoulli": {"conditional": Free(2)},
    "Categorical": {"conditional": Free(4), "categories": 2},
    "Conv": {"parent": "x", "in_shape": (5, 5, 1), "out_channels": 2, "kernel_size": 2, "key": KEY},
    "Dense": {"parents": "x", "in_features": 2, "out_features": 2, "key": KEY},
    "ELBO": {"encoder": NETWORK, "decoder": decoder()},
    "Entropy": {"network": NETWORK, "layer": "h"},
    "SampledEntropy": {"network": NETWORK, "layer": "h"},
    "Free": {"out_features": 2},
    "Function": {"function": squared, "of": "h"},
    "Linear": {"of": "h", "weight": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "LogProb": {"layer": Bernoulli(Free(2)), "value": "x"},
    "Network": {"layers": {"h": Bernoulli(Free(2))}},
    "Reward": {"arguments": "h", "observed": jnp.ones(3)},
    "Weighted": {"component": Function(squared, of="h"), "weight": 1.0},
    "Network.sample": {"key": KEY, "inputs": INPUTS},
    "Network.evaluate": {"values": TRACE.values, "batch_shape": (3,)},
    "bernoulli": {"key": KEY, "logits": LOGITS},
    "categorical": {"key": KEY, "logits": LOGITS},
    "direct_credits": {"network": NETWORK, "objective": OBJECTIVE, "trace": TRACE},
    "entropy": {"logits": LOGITS},
    "estimate": {
        "estimator": hnca.HNCA(),
        "network": NETWORK,
        "objective": OBJECTIVE,
        "inputs": INPUTS,
        "key": KEY,
    },
    "log_prob": {"logits": LOGITS, "value": jnp.ones(5)},
    "log_weight": {"log_p": jnp.ones(()), "log_q": jnp.ones(())},
    "message": {"network": TWO, "trace": TWO.sample(KEY, {}, ()), "child": "h", "parent": "g"},
    "surrogate": {
        "network": NETWORK,
        "objective": OBJECTIVE,
        "trace": TRACE,
        "credits": hnca.HNCA()(NETWORK, OBJECTIVE, TRACE),
    },
}
CALLS = {"Network.sample": NETWORK.sample, "Network.evaluate": NETWORK.evaluate}


def found(name, argument, odd):
    """Returns what a call comes to: nothing, or what is told of the value."""
    call = CALLS.get(name) or getattr(hnca, name)
    try:
        call(**{**GIVEN.get(name, {}), argument: ODD[odd]})
    except ValueError as error:
        told = str(error)
        return "refused" if re.search(rf"{argument}|batch|parent", told) else f"without its name: {told}"
    except Exception as error:  # what a user would see raw
        return f"{type(error).__name__}: {error}"
    return "accepted"


def others():
    """Yields what is not as it should be, a line each."""
    for name, arguments in ACCEPTED.items():
        taken = inspect.signature(CALLS.get(name) or getattr(hnca, name)).parameters
        untried = sorted(set(taken) - set(arguments) - {"entropy", "component"})
        if untried:
            yield f"{name}: {untried} not tried"
        for argument, kinds in arguments.items():
            accepted = set(kinds.split(", ")) if kinds else set()
            for odd in ODD:
                came_to = found(name, argument, odd)
                if came_to != ("accepted" if odd in accepted else "refused"):
                    yield f"{name}({argument}={odd}) {came_to[:200]}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    classes = {name for name in dir(hnca) if inspect.isclass(getattr(hnca, name))}
    with_arguments = {n for n in classes if inspect.signature(getattr(hnca, n)).parameters}
    made_elsewhere = {"Estimate", "Trace", "TrainedModel", "Sequential", "Objective"}
    for name in sorted(with_arguments - set(ACCEPTED) - made_elsewhere):
        print(f"{name} not tried")
    for line in others():
        print(line)
