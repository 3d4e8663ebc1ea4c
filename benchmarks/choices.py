"""How the credits of a trained auto-encoder's first layer vary, and how heavy the tails are, by estimator.

    python benchmarks/choices.py runs/vae/1-hnca-4 hnca-4 hnca-4-uniform double-cv disarm

Of a batch of 50 MNIST images: the total variance (summed over units, mean over images) of 400 credits an image, the
state settled by 60 calls; their kurtosis over all units; and the share of the variance that is made by credits further
than five standard deviations of their unit from their mean.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import hnca
from hnca.experiments.data import load_dataset
from hnca.experiments.data.images import binarise
from hnca.experiments.methods import estimator_of

UNIFORM = {f"hnca-{m}-uniform": hnca.HNCA(counterfactuals=m, choice="uniform") for m in (1, 4)}
SETTLING, DRAWS = 60, 400


def credits_of(model: hnca.TrainedModel, estimator: hnca.Estimator, images: jax.Array) -> np.ndarray:
    """Returns `[draws, images, units]`, the mean over passes where there are several."""

    @jax.jit
    def step(state, key):
        sample_key, estimator_key = jax.random.split(key)
        trace = model.network.sample(sample_key, {"image": images})
        found = estimator(model.network, model.objective, trace, key=estimator_key, state=state)
        return found.state, found.credits["latent1"]

    state, drawn = estimator.init(model.network, model.objective), []
    for place, key in enumerate(jax.random.split(jax.random.key(1), SETTLING + DRAWS)):
        state, credit = step(state, key)
        if place >= SETTLING:
            drawn.append(np.asarray(credit, np.float64))
    credits = np.stack(drawn)
    return credits.mean(axis=1) if credits.ndim == 4 else credits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("estimators", nargs="+")
    chosen = parser.parse_args()
    model = hnca.load(chosen.run)
    images = jnp.asarray(load_dataset("mnist").train_images[:50].reshape(50, -1))
    images = binarise(jax.random.key(0), images)
    print("| estimator | total variance | kurtosis | beyond 5 deviations |\n|---|---|---|---|")
    for name in chosen.estimators:
        credits = credits_of(model, UNIFORM.get(name) or estimator_of(name), images)
        off = credits - credits.mean(axis=0)
        square = off**2
        unit = np.sqrt(square.mean(axis=(0, 1)))
        total = square.mean(axis=0).sum(axis=-1).mean()
        kurtosis = (square**2).mean() / square.mean() ** 2
        beyond = square[np.abs(off) > 5 * unit].sum() / square.sum()
        print(f"| {name} | {total:.1f} | {kurtosis:.0f} | {100 * beyond:.0f}% |", flush=True)


if __name__ == "__main__":
    main()
