"""Kuzushiji-MNIST: Clanuwat and others, *Deep learning for classical Japanese literature*, 2018."""

from hnca.experiments.data._collection import Collection, like_mnist, read_idx_files
from hnca.experiments.data._dataset import Facts

KMNIST = Collection(
    Facts("kmnist", "kmnist", 60_000, (28, 28), 10),
    "cursive Japanese characters, by the ROIS-DS Center for Open Data in the Humanities",
    "CC BY-SA 4.0",
    like_mnist(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist",
        {
            "train-images-idx3-ubyte.gz": (
                18_165_135,
                "sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                None,
            ),
            "train-labels-idx1-ubyte.gz": (
                29_497,
                "sha256:e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                None,
            ),
            "t10k-images-idx3-ubyte.gz": (
                3_041_136,
                "sha256:edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                None,
            ),
            "t10k-labels-idx1-ubyte.gz": (
                5_120,
                "sha256:20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                None,
            ),
        },
    ),
    ("kmnist", "KMNIST/raw"),
    read_idx_files,
)
