"""Where examples come from: Shapeset, digits, the original files of MNIST and CIFAR-10, streams of batches."""

from vgexp.data.datasets import DATASETS, HELD_OUT, MONITORED, Dataset, Loader, dataset, finite
from vgexp.data.originals import Unavailable
from vgexp.data.shapeset import PRIORS
from vgexp.data.streams import Stream

__all__ = [
    "DATASETS",
    "HELD_OUT",
    "MONITORED",
    "PRIORS",
    "Dataset",
    "Loader",
    "Stream",
    "Unavailable",
    "dataset",
    "finite",
]
