"""The data sets that are known by name."""

from hnca.experiments.data._collection import Collection
from hnca.experiments.data.fashion_mnist import FASHION_MNIST
from hnca.experiments.data.kmnist import KMNIST
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.data.omniglot import OMNIGLOT

CATALOGUE: dict[str, Collection] = {each.facts.name: each for each in (MNIST, FASHION_MNIST, KMNIST, OMNIGLOT)}
"""By name."""
