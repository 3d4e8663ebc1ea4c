"""MNIST, shipped with the package."""

from pathlib import Path

from hnca.experiments.data._collection import Collection, like_mnist, read_idx_files
from hnca.experiments.data._dataset import Dataset, Facts
from hnca.experiments.data._files import verified_content

MNIST = Collection(
    Facts("mnist", "mnist", 60_000, (28, 28), 10),
    "handwritten digits",
    "CC BY-SA 3.0",
    like_mnist(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "train-images-idx3-ubyte.gz": (
                9_912_422,
                "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            "train-labels-idx1-ubyte.gz": (
                28_881,
                "md5:d53e105ee54ea40749a09fcbcd1e9432",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            "t10k-images-idx3-ubyte.gz": (
                1_648_877,
                "md5:9fb629c4189551a2d022fa330f9573f3",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                4_542,
                "md5:ec29112dd5afa0611ce80d1b7f02629c",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        },
    ),
    ("mnist", "MNIST/raw"),
    read_idx_files,
    Path(__file__).parent / "files" / "mnist",
)


def load_mnist(directory: Path | str | None = None) -> Dataset:
    """Returns MNIST: 60,000 and 10,000 images of 28 by 28, every file checked against its SHA-256.

    Args:
        directory: where the four original IDX files are; by default the package's own.

    Raises:
        DataError: naming the file that is missing or damaged and what was expected.
    """
    folder = MNIST.embedded if directory is None else Path(directory)
    assert folder is not None
    return MNIST.read({file.name: verified_content(folder / file.name, file) for file in MNIST.files}, folder)
