"""Writes the images of a data set, every pixel drawn once for all, as a file for `--dataset`.

Published comparisons of REBAR and RELAX train on 50,000 images of MNIST that were binarised once, where `hnca vae`
draws every pixel anew whenever it is seen. Their file is not at hand; this one is drawn by a seed of its own.

    python benchmarks/binarise_once.py --out runs/mnist-once.npz
    hnca vae --dataset runs/mnist-once.npz ...
"""

import argparse
from pathlib import Path

import numpy as np

from hnca.experiments.data import load_dataset

INK = np.uint8(255)


def binarised(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns images of 0 and 255, each pixel 255 with the probability that its gray stands for."""
    return np.where(generator.random(images.shape) * INK < images, INK, np.uint8(0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Binarises a data set once for all.")
    parser.add_argument("--dataset", default="mnist", help="The images, by a name that hnca data knows.")
    parser.add_argument("--training-images", type=int, default=50_000, help="How many of the first are kept.")
    parser.add_argument("--seed", type=int, default=0, help="Of the generator of NumPy's.")
    parser.add_argument("--out", type=Path, required=True, help="The .npz file to write.")
    arguments = parser.parse_args()

    data = load_dataset(arguments.dataset, directory=None)
    generator = np.random.default_rng(arguments.seed)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.out,
        train_images=binarised(data.train_images[: arguments.training_images], generator),
        test_images=binarised(data.test_images, generator),
    )


if __name__ == "__main__":
    main()
