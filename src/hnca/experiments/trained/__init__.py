"""Trained networks: found in a run, exported to a file, loaded to be used."""

from hnca.experiments.trained.exporting import export as export
from hnca.experiments.trained.loading import load as load
from hnca.experiments.trained.model import TrainedModel as TrainedModel
