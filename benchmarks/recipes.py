"""Trains the one-layer nonlinear auto-encoder by many recipes side by side, in the protocol of Shi et al. 2022.

All recipes of one estimator, and all seeds, are one compiled program (`jax.vmap` over rates, weights and seeds), which
is what an accelerator is good at; update, estimators and objective are those of `hnca vae`. The estimators take turns,
a block of epochs each, so that whenever it is stopped all have been trained for about as long. A row for a recipe and
seed is written every ten epochs, as soon as its block ends.

    python benchmarks/recipes.py --out recipes.jsonl --minutes 8
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import hnca
from hnca._optax import step
from hnca.experiments.auto_encoder.bounds import test_measures
from hnca.experiments.auto_encoder.learned import labelled
from hnca.experiments.data import load_dataset
from hnca.experiments.data.images import Images, binarise, on_device
from hnca.experiments.methods import estimator_of
from hnca.experiments.settings.recipe import RecipeSettings
from hnca.experiments.training.minibatches import train_epoch
from hnca.experiments.vae import VAE

BATCH, WIDTH = 100, 200


class Recipe(NamedTuple):
    """What an estimator is trained with.

    Attributes:
        encoder_rate: of Adam.
        decoder_rate: likewise.
        kl_warm_up: over how many epochs the divergence's weight rises from `kl_weight` to 1; 0 for not at all.
        kl_weight: the first weight of the divergence.
        kl_hold: for how many epochs it stays.
        rate_decay: over how many epochs both rates fall to 0 along a cosine; 0 for not at all.
        epsilon: Adam's.
        noise: the deviation of pure noise added to every credit.
    """

    encoder_rate: float
    decoder_rate: float
    kl_warm_up: float = 0.0
    kl_weight: float = 1.0
    kl_hold: float = 0.0
    rate_decay: float = 0.0
    epsilon: float = 1e-8
    noise: float = 0.0


class Program(NamedTuple):
    """What is compiled together.

    Attributes:
        estimator: its name.
        recipes: by name.
        settings: what all of them have alike.
    """

    estimator: str
    recipes: dict[str, Recipe]
    settings: RecipeSettings = RecipeSettings(prior="fixed")


RATES = {
    "1e-3": Recipe(1e-3, 1e-3),
    "3e-4": Recipe(3e-4, 3e-4),
    "1e-4": Recipe(1e-4, 1e-4),
    "encoder 1e-4, decoder 1e-3": Recipe(1e-4, 1e-3),
}
ABLATION = {
    **RATES,
    "encoder 3e-4, decoder 1e-3": Recipe(3e-4, 1e-3),
    "encoder 3e-5, decoder 1e-3": Recipe(3e-5, 1e-3),
    "1e-3, KL warm-up 20": Recipe(1e-3, 1e-3, kl_warm_up=20.0, kl_weight=0.0),
    "1e-3, KL warm-up 100": Recipe(1e-3, 1e-3, kl_warm_up=100.0, kl_weight=0.0),
    "3e-4, KL warm-up 100": Recipe(3e-4, 3e-4, kl_warm_up=100.0, kl_weight=0.0),
    "encoder 1e-4, decoder 1e-3, KL warm-up 100": Recipe(1e-4, 1e-3, kl_warm_up=100.0, kl_weight=0.0),
    "encoder 1e-4, decoder 1e-3, KL 0.8 for 100": Recipe(1e-4, 1e-3, kl_weight=0.8, kl_hold=100.0, kl_warm_up=20.0),
    "encoder 1e-4, decoder 1e-3, KL 0.9": Recipe(1e-4, 1e-3, kl_weight=0.9),
    "encoder 1e-4, decoder 1e-3, cosine": Recipe(1e-4, 1e-3, rate_decay=168.0),
    "1e-3, cosine": Recipe(1e-3, 1e-3, rate_decay=168.0),
    "1e-3, eps 1e-3": Recipe(1e-3, 1e-3, epsilon=1e-3),
    "1e-3, noise 3": Recipe(1e-3, 1e-3, noise=3.0),
}
DECAYED = {
    "1e-3, cosine": Recipe(1e-3, 1e-3, rate_decay=168.0),
    "3e-4, cosine": Recipe(3e-4, 3e-4, rate_decay=168.0),
    "encoder 3e-4, decoder 1e-3, cosine": Recipe(3e-4, 1e-3, rate_decay=168.0),
}
ONE_DECAYED = {"1e-3, cosine": DECAYED["1e-3, cosine"]}
FREE = RecipeSettings(prior="fixed", free_bits=0.05)
BIASED = RecipeSettings(prior="fixed", output_bias="data", encoder_scale=0.5)
RIVALS = ("disarm", "double-cv", "straight-through", "reinmax", "loo-4", "hnca-1")
PROGRAMS = {
    "hnca-4": Program("hnca-4", ABLATION),
    "hnca-4, free bits 0.05": Program("hnca-4", {k: RATES[k] for k in ("1e-3", "encoder 1e-4, decoder 1e-3")}, FREE),
    "hnca-4, output bias, scale 0.5": Program("hnca-4", {"encoder 1e-4, decoder 1e-3": Recipe(1e-4, 1e-3)}, BIASED),
    **{name: Program(name, RATES) for name in RIVALS},
    "hnca-4, decayed": Program("hnca-4", {**DECAYED, "2e-3, cosine": Recipe(2e-3, 2e-3, rate_decay=168.0)}),
    "disarm, decayed": Program("disarm", DECAYED),
    "double-cv, decayed": Program("double-cv", ONE_DECAYED),
    "reinmax, decayed": Program("reinmax", ONE_DECAYED),
}


class State(NamedTuple):
    """Of one recipe and seed."""

    parameters: object
    optimiser: object
    estimator: object


class Laboratory:
    """One program: its states, every array with a leading axis of lanes (recipe by recipe, seed by seed)."""

    def __init__(self, name: str, program: Program, seeds: int, images: Images, tests: Images):
        self.name, self.program, self.seeds = name, program, seeds
        self.images, self.tests = images, tests
        joints = "nonlinear", "nonlinear"
        self.experiment = VAE(WIDTH, 1, *joints, recipe=program.settings)
        self.estimator = estimator_of(program.estimator)
        self.noisy = any(recipe.noise for recipe in program.recipes.values())
        lanes = [recipe for recipe in program.recipes.values() for _ in range(seeds)]
        self.recipes = Recipe(*(jnp.asarray(column, jnp.float32) for column in zip(*lanes, strict=True)))
        keys = jax.vmap(jax.random.key)(jnp.tile(jnp.arange(seeds), len(program.recipes)))
        modules = jax.vmap(lambda key: self.experiment.build(1, jax.random.fold_in(key, 0)))(keys)
        modules = jax.vmap(lambda m: self.experiment.started(m, images))(modules)
        self.static = eqx.filter(modules, eqx.is_inexact_array, inverse=True)
        parameters = eqx.filter(modules, eqx.is_inexact_array)
        states = jax.vmap(lambda m: self.experiment.estimator_state(m, self.estimator))(modules)
        optimiser = jax.vmap(optax.scale_by_adam().init)(parameters)
        self.state, self.keys, self.epochs = State(parameters, optimiser, states), keys, 0
        epoch = jax.jit(jax.vmap(self._one_epoch, in_axes=(0, 0, 0, None, None)), donate_argnums=0)
        test = jax.jit(jax.vmap(self._one_test, in_axes=(0, 0, None)))
        self._lowered = epoch.lower(self.state, self.recipes, keys, jnp.zeros(()), images)
        self._lowered_test = test.lower(parameters, keys, tests)
        self.seconds = 0.0

    def compile(self) -> None:
        """Compiles, which several can do at once."""
        self._epoch, self._test = self._lowered.compile(), self._lowered_test.compile()

    def _one_epoch(self, state: State, recipe: Recipe, key: jax.Array, past: jax.Array, images: Images):
        decayed = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(past / jnp.maximum(recipe.rate_decay, 1), 0, 1)))
        factor = jnp.where(recipe.rate_decay > 0, decayed, 1)
        experiment = copy.copy(self.experiment)
        experiment._kl_weight = _weight(recipe, past)

        def update(state: State, batch: jax.Array, key: jax.Array):
            binarise_key, *keys = jax.random.split(key, 3)
            trained = eqx.combine(state.parameters, self.static)
            binary = Images(binarise(binarise_key, images.pixels[batch]), images.labels[batch])
            estimator = Noisy(self.estimator, recipe.noise) if self.noisy else self.estimator
            found = experiment.estimate(trained, estimator, binary, tuple(keys), state.estimator)
            gradient = eqx.filter(found.gradient, eqx.is_inexact_array)
            rates = {"encoder": factor * recipe.encoder_rate, "decoder": factor * recipe.decoder_rate, "prior": 0.0}
            optimiser = optax.chain(optax.scale_by_adam(eps=recipe.epsilon), _scaled(rates))
            empty = (state.optimiser, optax.EmptyState())
            parameters, (adam, _) = step(optimiser, gradient, empty, state.parameters)
            return State(parameters, adam, found.estimate.state), found.measures

        return train_epoch(update, state, key, len(images.labels), BATCH)

    def _one_test(self, parameters, key: jax.Array, images: Images):
        return test_measures(eqx.combine(parameters, self.static), images, 1, key)

    def block(self, epochs: int, write: Callable[[dict], None]) -> None:
        """Trains for so many epochs, tests after the last one, and writes the rows."""
        started = time.perf_counter()
        measured = []
        for number in range(self.epochs, self.epochs + epochs):
            keys = jax.vmap(lambda key, number=number: jax.random.fold_in(key, number + 1))(self.keys)
            past = jnp.asarray(number, jnp.float32)
            self.state, measures = self._epoch(self.state, self.recipes, keys, past, self.images)
            measured.append(measures)
        tested = jax.device_get(self._test(self.state.parameters, self.keys, self.tests))
        measured = jax.device_get(measured)
        self.seconds += time.perf_counter() - started
        self.epochs += epochs
        names = [(recipe, seed) for recipe in self.program.recipes for seed in range(self.seeds)]
        for place, measures in enumerate(measured, start=self.epochs - epochs + 1):
            if place % 10 and place != self.epochs:
                continue
            last = {f"test_{k}": v for k, v in tested.items()} if place == self.epochs else {}
            for lane, (recipe, seed) in enumerate(names):
                found = {name: round(float(value[lane]), 4) for name, value in {**measures, **last}.items()}
                write({"program": self.name, "recipe": recipe, "seed": seed, "epoch": place, **found})
        ms = 1e3 * self.seconds / self.epochs / (len(self.images.labels) // BATCH)
        elbo = np.asarray(measured[-1]["train_elbo"]).reshape(-1, self.seeds).mean(1)
        print(f"{self.name}: epoch {self.epochs}, {ms:.3f} ms an update of all, ELBO {np.round(elbo, 1)}", flush=True)


def _weight(recipe: Recipe, past: jax.Array) -> jax.Array:
    """Returns the divergence's weight, of numbers of which every lane has its own; with no warm-up it stays."""
    held = past - recipe.kl_hold
    risen = recipe.kl_weight + (1 - recipe.kl_weight) * jnp.clip(held / jnp.maximum(recipe.kl_warm_up, 1), 0, 1)
    return jnp.where(recipe.kl_warm_up > 0, risen, recipe.kl_weight)


def _scaled(rates: dict[str, object]) -> optax.GradientTransformation:
    """Multiplies each group's steps by its rate; uphill."""

    def update(steps, state, parameters=None):
        return jax.tree.map(lambda step, group: step * rates[group], steps, labelled(steps)), state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


class Noisy(hnca.Estimator):
    """An estimator, and pure noise on every credit."""

    inner: hnca.Estimator
    deviation: jax.Array

    def init(self, network, objective):
        return self.inner.init(network, objective)

    def credit(self, network, objective, trace, key, state):
        inner_key, noise_key = jax.random.split(key)
        credits, state = self.inner.credit(network, objective, trace, inner_key, state)
        names = sorted(credits)
        keys = dict(zip(names, jax.random.split(noise_key, len(names)), strict=True))
        noise = {name: jax.random.normal(keys[name], credits[name].shape) for name in names}
        return {name: credits[name] + self.deviation * noise[name] for name in names}, state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--epochs", type=int, default=167, help="at most; 167 are 100,200 updates")
    parser.add_argument("--block", type=int, default=10, help="epochs between turns")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS))
    parser.add_argument("--precision", default="highest", help="of matrix products")
    parser.add_argument("--images", type=int, default=60_000, help="fewer, to try it out")
    chosen = parser.parse_args()
    begun = time.perf_counter()
    deadline = begun + 60 * chosen.minutes
    jax.config.update("jax_default_matmul_precision", chosen.precision)
    data = on_device(load_dataset("mnist"))
    images = jax.tree.map(lambda leaf: leaf[: chosen.images], data[0])
    with chosen.out.open("a") as file:

        def write(row: dict) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        every = [Laboratory(name, PROGRAMS[name], chosen.seeds, images, data[1]) for name in chosen.programs]
        with ThreadPoolExecutor() as pool:
            list(pool.map(Laboratory.compile, every))
        print(f"{len(every)} programs compiled, {time.perf_counter() - begun:.0f} s", flush=True)
        longest = 0.0
        while any(each.epochs < chosen.epochs for each in every):
            started = time.perf_counter()
            for each in every:
                if each.epochs < chosen.epochs:
                    each.block(min(chosen.block, chosen.epochs - each.epochs), write)
            now = time.perf_counter()
            longest = now - started if longest == 0 else max(0.8 * longest, now - started)
            if now + longest > deadline:
                print("no time for another round", flush=True)
                break


if __name__ == "__main__":
    main()
