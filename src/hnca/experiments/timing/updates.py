"""Times one update of each estimator beside one of backpropagation, for one shape."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.estimators import REINFORCE
from hnca.experiments.data.images import Images, binarise
from hnca.experiments.experiment import Experiment
from hnca.experiments.settings.optimiser import OptimiserSettings
from hnca.experiments.training.minibatches import (
    TrainingState,
    apply_gradient,
    initial_state,
    train_epoch,
    update,
)

YARDSTICK = "backpropagation"
"""What the estimators are timed against; none of them is called so."""


class Shape(NamedTuple):
    """What is timed.

    Attributes:
        layers: stochastic hidden layers.
        width: units in each.
        batch_size: images an update.
        seeds: networks trained together.
    """

    layers: int
    width: int
    batch_size: int
    seeds: int


class UpdateTime(NamedTuple):
    """A row of `hnca bench`.

    Attributes:
        experiment: its name.
        layers: as in `Shape`.
        width: likewise.
        batch_size: likewise.
        seeds: likewise.
        estimator: the name on the command line, or the yardstick's.
        measure_variance: whether the gradient's variance is measured too.
        milliseconds_per_update: the median.
        ratio_to_backprop: of that to the yardstick's.
        peak_bytes: what the compiler plans to hold; None where it does not say.
        device: what kind.
    """

    experiment: str
    layers: int
    width: int
    batch_size: int
    seeds: int
    estimator: str
    measure_variance: bool
    milliseconds_per_update: float
    ratio_to_backprop: float
    peak_bytes: int | None
    device: str


def time_updates(
    experiment: Experiment,
    shape: Shape,
    estimators: Sequence[str],
    images: Images,
    updates: int,
    repeats: int,
    measured: Sequence[bool] = (False, True),
) -> list[UpdateTime]:
    """Returns one row an estimator, without and with measuring the variance, all timed in turns.

    An update is: gather and binarise a batch, sample, credit, gradient, Adam.

    Args:
        experiment: with the width of the shape.
        shape: see there.
        estimators: names; backpropagation is timed always.
        images: the training images.
        updates: in one compiled call.
        repeats: of the call, of which the median is taken.
        measured: whether the variance is measured: without, with, or both.
    """
    variants: list[tuple[str, bool]] = [(YARDSTICK, False)]
    variants += [(name, measures) for name in estimators for measures in measured]
    calls, peaks = {}, {}
    for variant in variants:
        calls[str(variant)], peaks[str(variant)] = _compiled(experiment, shape, variant, images, updates)
    medians = interleaved_medians(calls, repeats)
    base = medians[str(variants[0])]
    device = jax.devices()[0]
    return [
        UpdateTime(
            experiment.name,
            *shape,
            name,
            measures,
            round(1e3 * medians[str((name, measures))] / updates, 4),
            round(medians[str((name, measures))] / base, 3),
            peaks[str((name, measures))],
            f"{device.device_kind} ({device.platform})",
        )
        for name, measures in variants
    ]


def _compiled(
    experiment: Experiment, shape: Shape, variant: tuple[str, bool], images: Images, updates: int
) -> tuple[Callable[[], PyTree], int | None]:
    """Returns a call that runs `updates` updates of fresh networks, and the bytes it holds at most."""
    name, measured = variant
    optimiser = experiment.optimiser(OptimiserSettings(), updates)
    keys = jax.random.split(jax.random.key(0), shape.seeds)
    modules = jax.vmap(partial(experiment.build, shape.layers))(keys)
    static = eqx.filter(modules, eqx.is_inexact_array, inverse=True)
    estimator = REINFORCE() if name == YARDSTICK else experiment.estimator(name)
    states = jax.vmap(lambda m: initial_state(m, experiment.estimator_state(m, estimator), optimiser))(modules)

    def many(state: TrainingState, key: jax.Array, pictures: Images) -> PyTree:
        def step(state: TrainingState, batch: jax.Array, update_key: jax.Array) -> tuple[TrainingState, PyTree]:
            if name == YARDSTICK:
                return _backpropagation_update(experiment, static, optimiser, pictures, state, batch, update_key)
            state, measures = update(experiment, static, estimator, optimiser, pictures, state, batch, update_key)
            # What is not returned is not computed.
            return state, {name: value for name, value in measures.items() if measured or name != "gradient_variance"}

        return train_epoch(step, state, key, shape.batch_size * updates, shape.batch_size)

    call = jax.jit(jax.vmap(many, in_axes=(0, 0, None))).lower(states, keys, images).compile()
    return partial(call, states, keys, images), _peak_bytes(call)


def _backpropagation_update(
    experiment: Experiment,
    static: PyTree,
    optimiser: optax.GradientTransformation,
    images: Images,
    state: TrainingState,
    batch: Int[Array, " batch"],
    key: Key[Array, ""],
) -> tuple[TrainingState, Float[Array, ""]]:
    """Learns from one batch and returns the new state and the objective's mean: what every estimator is timed against.

    It is one backpropagation through samples whose derivative is that of their mean.
    """
    binarise_key, sample_key = jax.random.split(key)
    pixels = binarise(binarise_key, images.pixels[batch])
    chosen = images._replace(pixels=pixels, labels=images.labels[batch])

    def mean_objective(parameters: PyTree) -> Float[Array, ""]:
        return experiment.differentiable(eqx.combine(parameters, static), chosen, sample_key)

    value, gradient = jax.value_and_grad(mean_objective)(state.parameters)
    return apply_gradient(state, gradient, state.estimator, optimiser), value


def _peak_bytes(call: jax.stages.Compiled) -> int | None:
    """Returns what the compiler plans to hold; None where it does not say."""
    memory = call.memory_analysis()
    if memory is None:
        return None
    return int(memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes)


def interleaved_medians(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each call, all called once to warm up and then `repeats` times in turns."""
    for call in calls.values():
        jax.block_until_ready(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}
