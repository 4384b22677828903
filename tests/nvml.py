"""A stand-in for NVML, NVIDIA's library, as its package `nvidia-ml-py` (module `pynvml`) shows it.

Names, arguments, kinds of answers and which error comes when are those of the package and of
NVIDIA's reference of NVML; a function that is not here raises AttributeError.
"""

# ruff: noqa: N802
from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace


class NVMLError(Exception):
    """What every function raises; the real one has a subclass for each code."""


@dataclass
class Device:
    """A board, or a slice of one: slices are at their places, None where there is none.

    used, total: bytes. sliceable: whether the board knows of slices at all.
    """

    uuid: str
    name: str = "NVIDIA H200"
    used: int = 0
    total: int = 80
    slices: list[Device | None] = field(default_factory=list)
    sliceable: bool = True


class Nvml:
    """The module. boards: None when there is no driver."""

    NVMLError = NVMLError

    def __init__(self, boards: list[Device] | None) -> None:
        self.boards = boards
        self.ready = False

    def nvmlInit(self) -> None:
        if self.boards is None:
            raise NVMLError("NVML Shared Library Not Found")
        self.ready = True

    def nvmlDeviceGetCount(self) -> int:
        return len(self._known())

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:
        try:
            return self._known()[index]
        except IndexError:
            raise NVMLError("Invalid Argument") from None

    def nvmlDeviceGetUUID(self, handle: Device) -> str:
        self._known()
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Device) -> str:
        self._known()
        return handle.name

    def nvmlDeviceGetMigMode(self, handle: Device) -> list[int]:
        if not handle.sliceable:
            raise NVMLError("Not Supported")
        return [int(bool(handle.slices)), int(bool(handle.slices))]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Device) -> int:
        return len(handle.slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Device, index: int) -> Device:
        found = handle.slices[index]
        if found is None:
            raise NVMLError("Not Found")
        return found

    def nvmlDeviceGetMemoryInfo(self, handle: Device) -> SimpleNamespace:
        if handle.used < 0:
            raise NVMLError("GPU is lost")
        return SimpleNamespace(
            used=handle.used, total=handle.total, free=handle.total - handle.used
        )

    def _known(self) -> list[Device]:
        if not self.ready or self.boards is None:
            raise NVMLError("Uninitialized")
        return self.boards
