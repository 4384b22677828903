"""The data: images and labels for training, validation and test, three different sets.

Both data sets fit into memory, so a set is two tensors and a batch is an index into them. `digits`
(1,797 images of 1x8x8) comes with scikit-learn, `cifar10` (60,000 of 3x32x32) from its authors.
"""

import gzip
import hashlib
import http.client
import shutil
import tarfile
import urllib.request
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CLASSES = 10
DATASETS = ("digits", "cifar10")

Bytes = NDArray[np.uint8]


class DataError(Exception):
    """The data cannot be had; the message is one line for the user."""


class Split(NamedTuple):
    images: Tensor  # bytes, N x C x H x W
    labels: Tensor  # int64, N

    def to(self, device: torch.device) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))


def load(dataset: str, root: Path) -> tuple[Split, Split]:
    """The training and the validation set."""
    if dataset == "digits":
        images, labels = read_digits()
        fold = folds(labels, 5)
        return split(images, labels, fold < 3), split(images, labels, fold == 3)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)]
    images, labels = read_cifar(fetch(CIFAR10, root), names, CIFAR10)
    fold = folds(labels, 10)
    return split(images, labels, fold < 9), split(images, labels, fold == 9)


def load_test(dataset: str, root: Path) -> Split:
    """The test set: look at it once, when the hyperparameters are chosen."""
    if dataset == "digits":
        images, labels = read_digits()
        return split(images, labels, folds(labels, 5) == 4)
    images, labels = read_cifar(fetch(CIFAR10, root), ["test_batch.bin"], CIFAR10)
    return split(images, labels, np.ones(len(labels), dtype=bool))


def folds(labels: Bytes, count: int) -> NDArray[np.intp]:
    """Deal the samples of each class to `count` folds in turn: stratified, and always the same."""
    fold = np.empty(len(labels), dtype=np.intp)
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        fold[members] = np.arange(len(members)) % count
    return fold


def split(images: Bytes, labels: Bytes, chosen: NDArray[np.bool_]) -> Split:
    return Split(torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]).long())


# --- digits ---------------------------------------------------------------------------------------


def read_digits() -> tuple[Bytes, Bytes]:
    # Only the file that scikit-learn ships: importing the package itself takes about a second.
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    shades, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1]
    return (shades.astype(np.uint16) * 255 // 16).astype(np.uint8), labels  # shades are 0..16


# --- CIFAR-10 -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Archive:
    """A .tar.gz that holds one folder of files with `records` images each."""

    url: str
    sha256: str
    folder: str
    records: int


CIFAR10 = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    records=10_000,
)


def read_cifar(folder: Path, names: list[str], archive: Archive) -> tuple[Bytes, Bytes]:
    """A record is a byte with the label and 3 x 32 x 32 bytes of image."""
    size = 1 + 3 * 32 * 32
    records = np.empty((len(names), archive.records, size), dtype=np.uint8)
    for part, path in zip(records, (folder / name for name in names), strict=True):
        found = path.stat().st_size if path.is_file() else 0
        if found != part.size:
            raise DataError(
                f"{path} has {found:,} bytes, not {part.size:,}: "
                f"delete the folder {folder} and run again to fetch it anew"
            )
        part[:] = np.fromfile(path, dtype=np.uint8).reshape(part.shape)
    table = records.reshape(-1, size)
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0]


def fetch(archive: Archive, root: Path) -> Path:
    """The unpacked archive below `root`: whole or not there at all, whoever else wants it now."""
    folder = root / archive.folder
    if folder.is_dir():
        return folder
    from filelock import FileLock  # here, because only a download needs it

    root.mkdir(parents=True, exist_ok=True)
    part = root / f"{archive.folder}.part"
    with FileLock(root / f"{archive.folder}.lock"):
        if folder.is_dir():  # another worker was faster
            return folder
        shutil.rmtree(part, ignore_errors=True)  # of a download that was killed
        part.mkdir()
        try:
            packed = part / "archive.tar.gz"
            download(archive, packed)
            with tarfile.open(packed, "r:gz") as tar:
                tar.extractall(part, filter="data")
            (part / archive.folder).rename(folder)
        except (OSError, http.client.HTTPException, tarfile.TarError) as error:
            raise DataError(f"cannot fetch {archive.url}: {error}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def download(archive: Archive, target: Path) -> None:
    from rich.console import Console
    from rich.progress import wrap_file

    digest = hashlib.sha256()
    screen = Console(stderr=True)
    with urllib.request.urlopen(archive.url, timeout=60) as response, target.open("wb") as file:
        size = int(response.headers.get("Content-Length", 0))
        screen.print(f"Fetching {archive.url} ({size:,} bytes)", soft_wrap=True, highlight=False)
        bar = wrap_file(response, size, console=screen, disable=not screen.is_terminal)
        with bar as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
    if digest.hexdigest() != archive.sha256:
        raise DataError(
            f"{archive.url}: the {target.stat().st_size:,} bytes that came are not the file "
            f"with SHA-256 {archive.sha256} (cut short or altered): run again"
        )
