"""Trained networks, from a run or an exported file, loaded to be used."""

from hnca.experiments.trained.loading import load as load
from hnca.experiments.trained.model import TrainedModel as TrainedModel
