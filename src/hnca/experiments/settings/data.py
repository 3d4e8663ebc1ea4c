"""The settings of what experiments train on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hnca.experiments.data import DataError, Facts, facts_of
from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.places import require
from hnca.experiments.settings._checks import SettingsError

_WHICH = f"The images: {', '.join(CATALOGUE)}, or a .npz file of your own (see hnca data)."


@dataclass(frozen=True)
class DataSettings:
    """Which images, and where they are."""

    dataset: Annotated[str, tyro.conf.arg(metavar="NAME|PATH.npz", help=_WHICH)] = "mnist"
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where data sets are looked for first, before $HNCA_DATA and the user's cache."""

    def __post_init__(self):
        if self.dataset not in CATALOGUE and not self.dataset.endswith(".npz"):
            raise SettingsError(f"--dataset {self.dataset}: expected {', '.join(CATALOGUE)}, or a file PATH.npz")

    def facts(self, batch_size: int) -> Facts:
        """Returns what has to be known before the images are loaded.

        Raises:
            SettingsError: if there are fewer than a batch of them.
            DataError: if a file of the user's own is not there, or damaged.
        """
        facts = facts_of(self.dataset)
        if batch_size > facts.train_images:
            expected = f"expected at most {facts.train_images}, the number of images in {facts.name}"
            raise SettingsError(f"--batch-size {batch_size}: {expected}")
        return facts

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
