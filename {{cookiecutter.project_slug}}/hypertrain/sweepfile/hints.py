"""What was probably meant: the nearest known word, and values as they are typed in YAML."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import yaml


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` probably stands for."""
    words = list(known)
    plain = word.strip(" :").lower().replace("-", "_")
    if plain in words:
        return plain
    part = [w for w in words if min(len(w), len(plain)) > 2]
    longer = [w for w in part if w.startswith(plain) or plain.startswith(w)]
    near = difflib.get_close_matches(plain, words, n=1, cutoff=0.7)
    return near[0] if near else longer[0] if len(longer) == 1 else None


def typed(value: Any) -> str:
    """The value in one line of YAML, ready to paste."""
    line = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**20
    )
    return str(line).removesuffix("...\n").strip()


def shown(value: Any) -> str:
    """The value as it is quoted in a message: not longer than a line bears."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def joined(items: Any) -> dict[str, Any] | None:
    """The mapping that was meant by a list of mappings; None if it is something else."""
    if not isinstance(items, Sequence) or not items or not all(isinstance(i, dict) for i in items):
        return None
    return {key: value for item in items for key, value in item.items()}
