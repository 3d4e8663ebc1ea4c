"""Data sets and their loaders. Importing this imports no JAX."""

from hnca.experiments.data._dataset import DataError as DataError
from hnca.experiments.data._dataset import Dataset as Dataset
from hnca.experiments.data._dataset import Facts as Facts
from hnca.experiments.data.catalogue import titled as titled
from hnca.experiments.data.loading import facts_of as facts_of
from hnca.experiments.data.loading import load_dataset as load_dataset
from hnca.experiments.data.mnist import load_mnist as load_mnist
