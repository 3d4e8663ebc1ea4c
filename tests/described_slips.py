"""As `slips.py`: options of another type in described networks, objectives and estimators of them."""

import jax
import jax.numpy as jnp
import numpy as np
from slips import KEY, missed

import hnca
from hnca import Bernoulli, Categorical, Dense, Free, Function, Network, Objective, Reward, Weighted


def squared(h):
    return jnp.sum(h) ** 2


def network():
    return Network({"h": Bernoulli(Dense("x", 2, 2, key=KEY))}, inputs={"x": 2})


def generative():
    return Network({"h": Bernoulli(Free(2)), "x": Bernoulli(Dense("h", 2, 2, key=KEY))})


def trace(*batch):
    return network().sample(KEY, {"x": jnp.ones((*batch, 2))})


F = Function(squared, of="h")
SLIPS = [
    (lambda: Reward("h", 1j * jnp.ones(3)), "Reward: observed is of complex64; expected real"),
    (lambda: Reward("h", "x"), "Reward: observed='x'; expected real numbers"),
    (lambda: Reward("h", None), "Reward: observed=None; expected real numbers"),
    (lambda: Reward(3, jnp.ones(3)), "Reward: arguments=3; expected a name or several"),
    (lambda: Weighted(F, 1j * jnp.ones(3)), "Weighted: weight is of complex64; expected real"),
    (lambda: Weighted(F, 1j), "Weighted: weight is of complex64; expected real"),
    (lambda: Weighted(F, "a"), "Weighted: weight='a'; expected real numbers"),
    (lambda: Weighted(F, None), "Weighted: weight=None; expected real numbers"),
    (lambda: Function(3, of="h"), "Function: function=3; expected a function"),
    (lambda: Function(squared, of=3), "Function: of=3; expected a name or several"),
    (lambda: Function(squared, of=["h", "h"]), "expected every name once"),
    (lambda: Function(squared, of="h", inputs=[1]), r"Function: inputs=\[1\]; expected a name"),
    (lambda: Objective(1.0), r"Objective: components\[0\] is a float; expected a component"),
    (lambda: Objective([F]), r"Objective: components\[0\] is a list; expected a component"),
    (lambda: Categorical(Free(3), categories=3.0), "categories=3.0; expected a whole"),
    (lambda: Categorical(Free(3), categories="3"), "categories='3'; expected a whole"),
    (lambda: hnca.NVIL(learning_rate=float("inf")), "NVIL: learning_rate=inf; expected"),
    (lambda: hnca.NVIL(normalise="no"), "NVIL: normalise='no'; expected True or False"),
    (lambda: hnca.HNCA(prune_children="no"), "HNCA: prune_children='no'; expected True or False"),
    (lambda: hnca.HNCA(prune_upstream=None), "HNCA: prune_upstream=None; expected True or False"),
    (lambda: hnca.RunningMean(debias="no"), "RunningMean: debias='no'; expected True or False"),
    (lambda: Dense("x", 2, 2, key=KEY, use_bias="no"), "Dense: use_bias='no'; expected True or False"),
    (lambda: hnca.RODEO(seed="a"), "RODEO: seed='a'; expected a whole number"),
    (lambda: hnca.RELAX(seed=1.5), "RELAX: seed=1.5; expected a whole number"),
    (lambda: Dense(3, 3, 2, key=KEY), "Dense: parents=3; expected a name or several"),
    (lambda: hnca.Sequential(jnp.tanh), "Sequential: first=.*; expected a conditional"),
    (lambda: hnca.Sequential(Free(2), [jnp.tanh]), r"Sequential: stage 2 is \[.*; expected a function of a vector"),
    (lambda: hnca.Linear("h", jnp.ones((2, 3)), jnp.ones(2)), r"Linear: bias of shape \(2,\); expected \(3,\)"),
    (lambda: hnca.Linear(("g", "h"), jnp.ones((2, 3)), jnp.ones(3)), "Linear: of=.*; expected one layer"),
    (
        lambda: hnca.ELBO(network(), generative(), entropy=lambda *_: 0.0),
        "ELBO: entropy returned a float; expected a component",
    ),
    (lambda: hnca.HNCA()(F, network(), trace(3)), "HNCA: network is a Function; expected an hnca.Network"),
    (lambda: hnca.HNCA()(network(), trace(3), F), "HNCA: trace is a Function; expected what Network.sample"),
    (lambda: hnca.HNCA()(network(), network(), trace(3)), "objective is a Network; expected an hnca.Objective"),
    (lambda: Network(None), "Network: layers=None; expected layers by name"),
    (
        lambda: Network({"h": Bernoulli(Free(2))}, inputs=["x"]),
        r"Network: inputs=\['x'\]; expected",
    ),
    (lambda: Network({"h": Bernoulli(Free(2))}, inputs={"x": 2.0}), r"inputs\['x'\]=2.0"),
    (lambda: Network({"h": Bernoulli(Free(2))}, inputs={"x": -1}), r"inputs\['x'\]=-1; expected"),
    (lambda: Network({3: Bernoulli(Free(2))}), "Network: 3 as the name .* expected text"),
    (lambda: hnca.GumbelSoftmax(temperature=True), "GumbelSoftmax: temperature=True"),
    (
        lambda: hnca.GumbelRao(temperature=jnp.ones(1)),
        "GumbelRao: temperature=.*expected a fin",
    ),
    (lambda: network().sample(3, {"x": jnp.ones(2)}), "Network.sample: key of dtype int"),
    (
        lambda: hnca.DisARM()(network(), F, trace(3), key=jax.random.split(KEY, 3)),
        r"DisARM: key of dtype key<fry> and shape \(3,\); expected one key",
    ),
    (lambda: hnca.DisARM()(network(), F, trace(3), key=3), "DisARM: key of dtype int"),
    (
        lambda: hnca.HNCA()(network(), Weighted(F, jnp.ones(3)), trace(2, 3)),
        r"weight has shape \(3,\); expected \(\), one for all, or \(2, 3\)",
    ),
]

if __name__ == "__main__":
    for told in missed(SLIPS):
        print(told)
    assert Network({"h": Bernoulli(Free(2))}, inputs={"x": np.int64(3)}).inputs == (("x", (3,)),)
