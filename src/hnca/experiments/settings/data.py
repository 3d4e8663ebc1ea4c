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
    validation_images: int | None = None
    """Keep the last so many of the training images back, and measure on them in place of the test images: what
    settings are chosen by should not be what results are told of."""

    def __post_init__(self):
        for name in ("training_images", "validation_images"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.dataset not in CATALOGUE and not self.dataset.endswith(".npz"):
            raise SettingsError(f"--dataset {self.dataset}: expected {', '.join(CATALOGUE)}, or a file PATH.npz")

    def facts(self, batch_size: int) -> Facts:
        """Returns what has to be known before the images are loaded.

        Raises:
            SettingsError: if there are fewer than a batch of them, or than are asked for.
            DataError: if a file of the user's own is not there, or damaged.
        """
        facts = facts_of(self.dataset)
        there, kept_back = facts.train_images, self.validation_images or 0
        if kept_back >= there:
            expected = f"expected fewer than {there}, the number of images in {facts.name}"
            raise SettingsError(f"--validation-images {kept_back}: {expected}")
        left = there - kept_back
        images = left if self.training_images is None else self.training_images
        others = f" but --validation-images {kept_back}" if kept_back else ""
        if images > left:
            expected = f"expected at most {left}, the number of images in {facts.name}{others}"
            raise SettingsError(f"--training-images {images}: {expected}")
        if batch_size > images:
            expected = f"expected at most {images}, the number of images of {facts.name} that are learned from"
            raise SettingsError(f"--batch-size {batch_size}: {expected}")
        return facts._replace(train_images=images, validation_images=kept_back)

    def load(self) -> Dataset:
        """Returns the images that are learned from, and those that are measured on."""
        whole = load_dataset(self.dataset, self.data_dir)
        there, kept_back = len(whole.train_images), self.validation_images or 0
        first = there - kept_back if self.training_images is None else self.training_images
        images, labels = whole.train_images, whole.train_labels
        if kept_back:
            tested = None if labels is None else labels[-kept_back:]
            whole = whole._replace(test_images=images[-kept_back:], test_labels=tested)
        return whole._replace(train_images=images[:first], train_labels=None if labels is None else labels[:first])

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
