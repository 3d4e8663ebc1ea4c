"""The settings of what experiments train on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hnca.experiments.data import DataError, Dataset, Facts, facts_of, load_dataset
from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.places import require
from hnca.experiments.settings._checks import SettingsError, check_count

_WHICH = f"The images: {', '.join(CATALOGUE)}, or a .npz file of your own (see hnca data)."


@dataclass(frozen=True)
class DataSettings:
    """Which images, and where they are."""

    dataset: Annotated[str, tyro.conf.arg(metavar="NAME|PATH.npz", help=_WHICH)] = "mnist"
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where data sets are looked for first, before $HNCA_DATA and the user's cache."""
    training_images: int | None = None
    """Learn from the first so many of the training images; by default from all."""

    def __post_init__(self):
        if self.training_images is not None:
            check_count("training_images", self.training_images)
        if self.dataset not in CATALOGUE and not self.dataset.endswith(".npz"):
            raise SettingsError(f"--dataset {self.dataset}: expected {', '.join(CATALOGUE)}, or a file PATH.npz")

    def facts(self, batch_size: int) -> Facts:
        """Returns what has to be known before the images are loaded.

        Raises:
            SettingsError: if there are fewer than a batch of them, or than are asked for.
            DataError: if a file of the user's own is not there, or damaged.
        """
        facts = facts_of(self.dataset)
        if self.training_images is not None:
            if self.training_images > facts.train_images:
                expected = f"expected at most {facts.train_images}, the number of images in {facts.name}"
                raise SettingsError(f"--training-images {self.training_images}: {expected}")
            facts = facts._replace(train_images=self.training_images)
        if batch_size > facts.train_images:
            expected = f"expected at most {facts.train_images}, the number of images in {facts.name}"
            raise SettingsError(f"--batch-size {batch_size}: {expected}")
        return facts

    def load(self) -> Dataset:
        """Returns the images that are learned from, and those for testing."""
        whole, first = load_dataset(self.dataset, self.data_dir), self.training_images
        labels = None if whole.train_labels is None else whole.train_labels[:first]
        return whole._replace(train_images=whole.train_images[:first], train_labels=labels)

    def require(self) -> None:
        """Makes sure that the images are there, without reading them.

        Raises:
            SettingsError: saying where they were looked for, if they are not.
        """
        if self.dataset in CATALOGUE:
            try:
                require(CATALOGUE[self.dataset], self.data_dir)
            except DataError as error:
                raise SettingsError(str(error)) from None
