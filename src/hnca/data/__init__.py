"""Data sets and their loaders. Importing this imports no JAX."""

from hnca.data._idx import DataError as DataError
from hnca.data.mnist import Dataset as Dataset
from hnca.data.mnist import load_mnist as load_mnist
