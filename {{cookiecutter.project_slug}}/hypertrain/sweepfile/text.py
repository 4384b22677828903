"""A sweep file's text: YAML as far as JSON goes, which W&B sends, with the line of every key.

What YAML would lose or turn into something else, such as a key given twice or a date, is a problem
of the line where it stands.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from hypertrain import UserError
from hypertrain.sweepfile.hints import joined, typed
from hypertrain.sweepfile.notes import Key, Notes

TAG = "tag:yaml.org,2002:"
TEXT, MERGE = TAG + "str", TAG + "merge"
JSON = {TAG + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
"""The kinds that mean the same in YAML and in JSON."""
EXPANDED = 10**6
"""So many values at most, each counted as often as an alias repeats it."""


def read(path: Path) -> tuple[dict[str, Any], Notes]:
    """The file's mapping, and its notes with the problems found so far.

    Raises: UserError where nothing can be read at all.
    """
    text = _text(path)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        walk = _Walk(path)
        walk.visit(node, ())
        raw = loader.construct_document(node) if node else None
    except UserError:
        raise
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {_broken(error, text)}") from None
    except Exception as error:  # noqa: BLE001
        # PyYAML lets many kinds through, such as RecursionError
        raise UserError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else "is a list" if joined(raw) else "holds no keys"
        remedy = "leave out the dashes" if joined(raw) else "give it program, method and parameters"
        raise UserError(f"{path}: {found}; {remedy}")
    return raw, walk.notes


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name the sweep file with --sweep FILE") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line}: is not UTF-8 text; save the file as UTF-8") from None
    if found := re.search(r"^[ -]*\u00a0", text, re.MULTILINE):
        number = text[: found.end()].count("\n") + 1
        what = "is indented by no-break spaces (U+00A0), as web pages have them; use blanks"
        raise UserError(f"{path}: line {number}: {what}")
    return text


class _Walk:
    """Visits every node once: notes its line, and turns what is no JSON into text."""

    def __init__(self, path: Path) -> None:
        self._lines: dict[Key, int] = {}
        self._spelled: dict[Key, str] = {}
        self._sizes: dict[int, int] = {}
        self.notes = Notes(path, self._lines, self._spelled)

    def visit(self, node: yaml.Node | None, key: Key) -> int:
        """Returns: how many values the node holds."""
        if node is None:
            return 0
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        self._sizes[id(node)] = EXPANDED + 1  # a node within itself never ends
        if isinstance(node, yaml.ScalarNode):
            self._spelled[key] = node.value
            self._scalar(node)
            size = 1
        elif isinstance(node, yaml.MappingNode):
            self._kind(node, "map")
            size = self._mapping(node, key)
        else:
            assert isinstance(node, yaml.SequenceNode)
            self._kind(node, "seq")
            size = sum(self._item(item, (*key, i)) for i, item in enumerate(node.value))
        self._sizes[id(node)] = size
        if size > EXPANDED:
            raise UserError(
                f"{self.notes.path}: line {_line(node)}: holds itself, or more than {EXPANDED} "
                "values by its aliases (*); write it without them"
            )
        return size

    def _item(self, node: yaml.Node, key: Key) -> int:
        self._lines[key] = _line(node)
        return self.visit(node, key)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> int:
        size, pairs, seen = 1, [], set()
        for name, value in node.value:
            if name.tag == MERGE:
                items = value.value if isinstance(value, yaml.SequenceNode) else [value]
                size += sum(self.visit(item, key) for item in items)
                pairs.append((name, value))
                continue
            text = self._name(name)
            if text in seen:
                self.notes.problem((), f"{text} is given twice; keep one", _line(name))
            seen.add(text)
            self._lines.setdefault((*key, text), _line(name))
            size += self.visit(value, (*key, text))
            pairs.append((yaml.ScalarNode(TEXT, text, name.start_mark, name.end_mark), value))
        node.value = pairs
        return size

    def _name(self, node: yaml.Node) -> str:
        """A key's text."""
        if not isinstance(node, yaml.ScalarNode):
            self.notes.problem((), "this key is not text to YAML; quote it", _line(node))
            return "?"
        if node.tag != TEXT:
            self._no_text(node, f"the key {node.value}")
        self._utf8(node)
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> None:
        if node.tag == TEXT:
            self._utf8(node)
        elif node.tag in JSON or node.tag not in yaml.SafeLoader.yaml_constructors:
            try:
                str(yaml.SafeLoader("").construct_object(node))
            except yaml.YAMLError:
                raise
            except Exception:  # noqa: BLE001 - KeyError for `!!bool x`, ValueError for 5000 digits
                self._no_text(node, node.value)
        else:
            self._no_text(node, node.value)

    def _no_text(self, node: yaml.ScalarNode, what: str) -> None:
        kind = node.tag.rpartition(":")[2]
        kind = {"timestamp": "date", "bool": "boolean", "int": "number", "float": "number"}.get(
            kind, kind
        )
        what = what if len(what) < 60 else f"{what[:57]}..."
        quoted = f": {typed(node.value)}" if len(node.value) < 60 else ""
        quoted = quoted if node.tag != TAG + "value" else ': "="'
        self.notes.problem((), f"{what} is a {kind} to YAML; quote it{quoted}", _line(node))
        node.tag = TEXT

    def _utf8(self, node: yaml.ScalarNode) -> None:
        """No command line, no file takes what is left out here."""
        text = node.value.encode("utf-8", "ignore").decode().replace("\0", "")
        if text != node.value:
            problem = "holds a character that no command line takes; leave it out"
            self.notes.problem((), f"{text!r} {problem}", _line(node))
            node.value = text

    def _kind(self, node: yaml.CollectionNode, kind: str) -> None:
        if node.tag in JSON or node.tag not in yaml.SafeLoader.yaml_constructors:
            return
        found = node.tag.rpartition(":")[2]
        self.notes.problem((), f"this is a {found} to YAML; leave !!{found} out", _line(node))
        node.tag = TAG + kind


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _broken(error: yaml.YAMLError, text: str) -> str:
    """Which line is no YAML, and what to do about it."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return f"line {line}: holds the character #x{error.character:04x}; leave it out"
    assert isinstance(error, yaml.MarkedYAMLError)
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    opened = ("while scanning a simple key", "while scanning a quoted", "while parsing a flow")
    if context.startswith(opened) and error.context_mark:
        mark = error.context_mark
    number, column = (mark.line + 1, mark.column) if mark else (1, 0)
    lines = [*text.splitlines(), ""]
    shown = lines[min(number, len(lines)) - 1]
    above = next((line for line in reversed(lines[: number - 1]) if line.strip()), "")
    return f"line {number}: {_remedy(shown, above, column, problem, context)}"


def _remedy(line: str, above: str, column: int, problem: str, context: str) -> str:
    if "another document" in problem:
        return "---: a second document begins here; keep one and remove the other with its ---"
    if re.match(r" *\t", line):
        return "is indented by a tab, which YAML does not allow; use blanks"
    if re.search(r"[\[,{]\s*\$\{", line):
        return 'a macro within brackets needs quotes, as "${env}"'
    if found := re.match(r"\s*(?:- +)?([\w.-]+):(?=[^\s:/\\])", line):
        return f"a blank is missing after {found[1]}:"
    if "mapping values are not allowed" in problem:
        if ": " in line[:column]:
            return "has two colons; put the text after the first into quotes, or into lines below"
        if re.fullmatch(r"\s*[\w.-]+\s*", above):
            return f"the line above it lacks its colon; write `{above.strip()}:`"
        return "is indented below a line that has its value already; indent it like that line"
    if "undefined alias" in problem:
        return f"{problem}; text that begins with * needs quotes"
    if r"found character '\t'" in problem:
        return "holds a tab, which YAML does not allow there; use blanks"
    if found := re.search(r"found character '(.)' that cannot start", problem):
        return f"text that begins with {found[1]} needs quotes"
    if context == "while scanning an alias":
        return "text that begins with * needs quotes"
    if "found unknown escape character" in problem:
        return r"within double quotes a \ begins a code; use single quotes"
    if "sequence entries are not allowed" in problem:
        return "a list on its key's line needs brackets, as `[1, 2]`; or begin it a line below"
    if "expected the node content, but found ','" in problem:
        return "a comma too many; remove it"
    if found := re.search(r"<block end>, but found '([]}])'", problem):
        return f"a {found[1]} too many; remove it"
    if found := re.search(f"constructor for the tag '{TAG}([^']*)'", problem):
        return f"!!{found[1]} is no JSON; leave it out and write plain values"
    if "could not determine a constructor" in problem:
        return f"{problem}; text that begins with ! needs quotes"
    if context.startswith("while scanning a quoted"):
        return "the quote that opens here is never closed"
    found = re.search(r"but got '([]}])'", problem)
    if found and line.count(found[1]) > line.count("[{"["]}".index(found[1])]):
        return f"a {found[1]} too many; remove it"
    if context.startswith("while parsing a flow"):
        return "the bracket that opens here is never closed, or a comma is missing behind it"
    if "could not find expected ':'" in problem:
        return (
            "is no `key: value`; add the colon and a blank, or indent it as part of what is above"
        )
    if "expected <block end>" in problem:
        return "begins in another column than the lines above it; indent it like one of them"
    return f"is not valid YAML: {problem or context}"
