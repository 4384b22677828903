"""What tells the runs of this results folder from those of any other, on W&B."""

import secrets
from pathlib import Path

FILE = "run-prefix"


def prefix(folder: Path) -> str:
    """How ids of this folder's runs begin; the same two sweeps elsewhere have another.

    Raises: OSError.
    """
    file = folder / FILE
    if not file.exists() or not file.stat().st_size:  # emptied by a power cut
        part = file.with_suffix(".part")
        part.write_text(secrets.token_hex(4))
        part.replace(file)
    return file.read_text()
