"""The library is light: all of it works without the packages that only the experiments need."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
EXTRA = [re.split(r"[>=<\[]", each)[0] for each in PROJECT["optional-dependencies"]["experiments"]]
BLOCKED = [name for name in EXTRA if name != "scipy"]
"""JAX itself needs SciPy."""

BLOCK = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""

USE = """
import pathlib, tempfile
import jax, jax.numpy as jnp
import hnca

used = set()

class Used:
    def __getattr__(self, name):
        used.add(name)
        return getattr(hnca, name)

h, k = Used(), jax.random.key(0)
layers = {"a": h.Bernoulli(h.Dense("x", 3, 2, key=k)), "b": h.Bernoulli(h.Dense("a", 2, 2, key=k))}
encoder = h.Network(layers, {"x": 3})
decoder = h.Network({
    "b": h.Bernoulli(h.Free(2)),
    "a": h.Bernoulli(h.Sequential(h.Dense("b", 2, 2, key=k), jnp.tanh)),
    "x": h.Bernoulli(h.Dense("a", 2, 3, key=k)),
})
bound, sampled = h.ELBO(encoder, decoder), h.ELBO(encoder, decoder, h.SampledEntropy)
inputs = {"x": jnp.ones((2, 3))}

def estimated(estimator, objective=bound):
    assert isinstance(estimator, h.Estimator)
    state = estimator.init(encoder, objective)
    return h.estimate(estimator, encoder, objective, inputs, key=k, state=state)[1]

for estimator in (
    h.HNCA(h.RunningMean(), control=h.FirstOrder()), h.REINFORCE(h.LearnedBaseline()), h.NVIL(), h.LeaveOneOut(),
    h.IndependentLeaveOneOut(), h.MultiSampleLeaveOneOut(3), h.DoubleControlVariates(3),
    h.LeaveOneOutHNCA(2), h.UnorderedSet(2), h.LocalExpectation(), h.DisARM(), h.ARMS(3), h.ARM(), h.MuProp(),
    h.REBAR(), h.RELAX(), h.RODEO(), h.StraightThrough(), h.ReinMax(), h.GumbelSoftmax(),
    h.StraightThroughGumbelSoftmax(), h.GumbelRao(draws=2), h.GappedStraightThrough(),
    h.CoupledAlternatives(), h.Exact(),
):
    assert isinstance(jax.eval_shape(lambda: estimated(estimator)), h.Estimate), estimator
for estimator in (h.VIMCO(2), h.LocalDisARM(2), h.ReweightedWakeSleep(2)):
    jax.eval_shape(lambda: estimated(estimator, sampled))
assert issubclass(h.RunningMean, h.Baseline) and issubclass(h.Dense, h.Conditional) and issubclass(h.Bernoulli, h.Layer)

trace = encoder.sample(k, inputs)
assert isinstance(trace, h.Trace)
terms = [
    h.Reward("b", jnp.ones(2)), h.Entropy(encoder, "a"), h.Function(lambda a: a.sum(), of="a"),
    h.Linear("a", jnp.ones((2, 1)), jnp.ones(1)), h.LogProb(decoder.layers["x"], "x", inputs=("x",)),
]
assert all(isinstance(term, h.Component) for term in terms)
objective = h.Objective(terms[0], h.Weighted(terms[1], 0.5))
estimate = h.HNCA()(encoder, objective, trace)
h.surrogate(encoder, objective, trace, estimate.credits)
h.direct_credits(encoder, bound, trace)
h.message(encoder, trace, "b", "a")
h.variance.mean_gradient_variance(encoder, trace, estimate.credits, estimate.gradient)
h.exact.value(encoder, h.Entropy(encoder, "a"), {"x": jnp.ones(3)})
h.Categorical(h.Apply(jnp.tanh, "x", 4))
h.Conv("x", (4, 4, 1), 2, 3, key=k)

def program(logits, key):
    keys = jax.random.split(key)
    a = h.bernoulli(keys[0], logits)
    b = h.categorical(keys[1], a[:2])
    log_q = h.log_prob(logits, a).sum() + h.log_prob(a[:2], b)
    return h.log_weight(h.observed(b.astype(float)) - a.sum(), log_q) + h.entropy(logits).sum()

arguments = jnp.zeros(3), k
for transformed in (h.value_and_grad(program), h.grad(program), jax.grad(h.credited(program))):
    jax.eval_shape(transformed, *arguments)
assert "bernoulli_0" in h.explain(program)(*arguments)
h.check_unbiased(program, arguments)

# What a run leaves behind, and what is made of it.
from hnca.experiments.bandit import Bandit
from hnca.experiments.store import MetricsFile, Row, write_checkpoint, write_configuration
from hnca.experiments.store.serialisation import described, to_bytes
from hnca.experiments.training.minibatches import TrainingState, initial_state

directory = pathlib.Path(sys.argv[1])
settings = {"width": 2, "torso": "none", "seeds": 1}
data = {"image_shape": [2, 2], "classes": 3}
run = {"experiment": "bandit", "layers": 1, "estimator": "hnca", "epochs": 1, "data": data, "settings": settings}
write_configuration(directory, {**run, "environment": {}, "continued": []})
experiment = Bandit(2, "none", (2, 2), 3)
import optax

agents = jax.vmap(lambda key: experiment.build(1, key))(jax.random.split(k, 1))
state = initial_state(agents, (), optax.chain(optax.scale(-1.0), optax.adam(1e-3)))
with MetricsFile(directory, 0) as metrics:
    metrics.write([Row("bandit", "hnca", {}, 1, 0, 1, {}, 0.1)])
write_checkpoint(directory, 1, to_bytes(state), {"arrays": described(state)})
model = h.load(directory)
assert isinstance(model, h.TrainedModel)
weights = [agent.layers["action"].conditional.weights[0] for agent in (agents, model.network)]
assert jnp.array_equal(weights[0][0], weights[1])

missing = set(hnca.__all__) - used
assert not missing, f"to be used in tests/test_light.py too: {sorted(missing)}"
"""


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", BLOCK + script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_line_says_what_to_install():
    result = run("from hnca.__main__ import command\nsys.argv[1:] = ['bandit']\ncommand()")
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(r"hnca: \w+ is not installed; pip install 'hnca\[experiments\]'\n", result.stderr)


def test_every_public_name_works(tmp_path):
    result = run(USE, tmp_path)
    assert result.returncode == 0, result.stderr
