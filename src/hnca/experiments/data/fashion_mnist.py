"""Fashion-MNIST: Xiao, Rasul and Vollgraf 2017."""

from hnca.experiments.data._collection import Collection, like_mnist, read_idx_files
from hnca.experiments.data._dataset import Facts

FASHION_MNIST = Collection(
    Facts("fashion-mnist", "fashion-mnist", 60_000, (28, 28), 10),
    "photographs of clothes, by Zalando Research",
    "MIT",
    like_mnist(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        {
            "train-images-idx3-ubyte.gz": (
                26_421_880,
                "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            "train-labels-idx1-ubyte.gz": (
                29_515,
                "md5:25c81989df183df01b3e8a0aad5dffbe",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            "t10k-images-idx3-ubyte.gz": (
                4_422_102,
                "md5:bef4ecab320f06d8554ea6380940ec79",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                5_148,
                "md5:bb300cfdad3c16e7a12a480ee83cd310",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        },
    ),
    ("fashion-mnist", "FashionMNIST/raw"),
    read_idx_files,
)
