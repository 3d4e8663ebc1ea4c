"""The data sets that are known by name."""

from hnca.experiments.data._collection import Collection
from hnca.experiments.data.fashion_mnist import FASHION_MNIST
from hnca.experiments.data.kmnist import KMNIST
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.data.omniglot import OMNIGLOT

CATALOGUE: dict[str, Collection] = {each.facts.name: each for each in (MNIST, FASHION_MNIST, KMNIST, OMNIGLOT)}
"""By name."""


def titled(name: str, train_images: int, validation_images: int) -> str:
    """Returns what a figure's caption says of the data: how many there are of them only where it is not all.

    Args:
        name: of the data set, or a file of the user's, of which it is not known how many there are.
        train_images: how many are learned from.
        validation_images: how many others are kept back.
    """
    there = CATALOGUE[name].facts.train_images if name in CATALOGUE else train_images + validation_images
    learned = f"learned from {train_images} of {there} images" if train_images + validation_images < there else ""
    kept_back = f"measured on {validation_images} validation images" if validation_images else ""
    return ", ".join(filter(None, (name, learned, kept_back)))
