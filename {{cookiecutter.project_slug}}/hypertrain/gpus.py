"""The GPUs that trials may use, found and looked at through NVML: nothing here touches CUDA."""

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a slice (MIG) of one.

    name: as CUDA_VISIBLE_DEVICES has it. model: empty where NVML is not to be asked.
    """

    name: str
    model: str = ""
    handle: Any = None

    @property
    def is_slice(self) -> bool:
        return self.name.startswith("MIG")

    def memory(self) -> tuple[int, int] | None:
        """Bytes in use, by whomever, and bytes in all; None when nobody can tell."""
        if self.handle is None:
            return None
        nvml = _nvml()
        try:
            found = nvml.nvmlDeviceGetMemoryInfo(self.handle)
        except nvml.NVMLError:
            return None
        return int(found.used), int(found.total)


def visible() -> list[Gpu]:
    """Those of the machine, or those among them that the user allows, in the user's words."""
    boards = _boards()
    allowed = os.environ.get(VISIBLE)
    if allowed is None:
        every = [gpu for _, parts in boards for gpu in parts]
        if any(gpu.is_slice for gpu in every):
            return every
        return [replace(gpu, name=str(number)) for number, gpu in enumerate(every)]
    found: list[Gpu] = []
    for name in map(str.strip, allowed.split(",")):
        gpu = _named(name, boards) if boards else Gpu(name)
        if gpu is None or name in ("", "-1"):
            break  # as CUDA does: what follows a name that means nothing is hidden too
        found.append(gpu)
    return found


def environ(names: str) -> dict[str, str]:
    """Variables of a process that is to see these GPUs alone; none where there are none.

    Whole GPUs have numbers, as much software takes nothing else; NVML counts by the bus.
    """
    if not names:
        return {}
    order = {} if VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {VISIBLE: names, **order}


def memory(groups: Sequence[Sequence[Gpu]]) -> list[tuple[int, int]]:
    """Bytes in use and in all of each of these GPUs; nothing if one of them cannot be asked."""
    found = [gpu.memory() for group in groups for gpu in group]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else []


def _named(name: str, boards: list[tuple[str, list[Gpu]]]) -> Gpu | None:
    """The GPU that CUDA takes the name for: a number, or how a UUID begins."""
    if name.isdigit():
        fits = [parts[0] for _, parts in boards[int(name) : int(name) + 1]]
    else:
        fits = [gpu for _, parts in boards for gpu in parts if gpu.name.startswith(name)]
        fits = fits or [parts[0] for uuid, parts in boards if uuid.startswith(name)]
    return Gpu(name, fits[0].model, fits[0].handle) if name and fits else None


def _boards() -> list[tuple[str, list[Gpu]]]:
    """Each GPU of the machine with its UUID, and what there is to use of it: its slices or itself.

    None without a driver, or without NVML's package.
    """
    try:
        nvml = _nvml()
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
        return [(nvml.nvmlDeviceGetUUID(handle), _parts(nvml, handle)) for handle in handles]
    except (nvml.NVMLError, OSError):
        return []


def _nvml() -> Any:
    """The package nvidia-ml-py; it has no types."""
    return importlib.import_module("pynvml")


def _parts(nvml: Any, board: Any) -> list[Gpu]:
    try:
        sliced = nvml.nvmlDeviceGetMigMode(board)[0]
    except nvml.NVMLError:  # it cannot be sliced
        sliced = False
    handles = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(board) if sliced else 0):
        try:
            handles.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(board, number))
        except nvml.NVMLError:  # a place without a slice
            continue
    return [
        Gpu(nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle), handle)
        for handle in handles or [board]
    ]
