"""The data sets that are known by name."""

from hnca.data._collection import Collection
from hnca.data.fashion_mnist import FASHION_MNIST
from hnca.data.kmnist import KMNIST
from hnca.data.mnist import MNIST
from hnca.data.omniglot import OMNIGLOT

CATALOGUE: dict[str, Collection] = {each.facts.name: each for each in (MNIST, FASHION_MNIST, KMNIST, OMNIGLOT)}
"""By name."""
