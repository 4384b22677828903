"""README and the guide, read for the code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conftest import ROOT

README = ROOT / "README.md"
GUIDES = {language: ROOT / "docs" / f"guide.{language}.md" for language in ("en", "ru")}
# Why a block of commands may be left out; stands above it, unseen by readers.
EXCUSES = (
    "needs the platform",
    "needs the network",
    "needs a browser",
    "run by .ci/run",
    "for maintainers",
)
BLOCK = re.compile(
    r"(?:^<!-- (?P<excuse>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A block of code in a page; excuse: why nobody runs it here, or empty."""

    language: str
    text: str
    excuse: str


def blocks(page: str) -> list[Block]:
    assert page.count("```") % 2 == 0
    found = [
        Block(match["language"], match["text"], match["excuse"] or "")
        for match in BLOCK.finditer(page)
    ]
    assert 2 * len(found) == page.count("```"), "each block says its language"
    return found
