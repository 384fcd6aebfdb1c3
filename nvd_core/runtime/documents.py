"""Reading YAML and JSON that somebody else may have written: safely, in bounded time and memory.

YAML is read for settings, run lists and camera keys; JSON for what the program itself keeps. Both
give nothing but dictionaries with text for keys where the file has them, lists, text, numbers,
booleans and None. What goes wrong is `Unreadable`, with one line of why; whoever asked knows what
the file is for and says so in an NvdError.
"""

import json
import math
import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

MOST_YAML_BYTES = 1 << 20
MOST_JSON_BYTES = 1 << 26
"""rendered.json has a line for each frame of the longest of clips"""
MOST_JSON_VALUES = 4_000_000
"""values of a JSON file, counted by the marks that begin or part them"""
MOST_DEPTH = 40
"""lists and dictionaries within each other"""
MOST_NODES = 50_000
"""keys and values of a YAML file, those that aliases stand for counted each time"""
MOST_CHARACTERS = 32_767
"""of one text in a YAML file: the longest path that Windows knows"""
MOST_DIGITS = 400
"""characters of a number; the largest that a computer counts in has 309"""


class Unreadable(Exception):
    """A file or a text is not what it should be; one line says why."""


def read_yaml(path: Path | str) -> Any:
    """What the YAML file `path` holds; Unreadable."""
    return parse_yaml(_text(Path(path), MOST_YAML_BYTES))


def read_json(path: Path | str) -> Any:
    """What the JSON file `path` holds; Unreadable, also where a number is not finite."""
    return parse_json(_text(Path(path), MOST_JSON_BYTES))


def _text(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)  # not by its size: a pipe has none, /dev/zero no end
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if os.path.isdir(path):  # systems say this in different words
            raise Unreadable("it is a folder") from error
        if isinstance(error, FileNotFoundError):
            raise Unreadable("there is no such file") from error
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from error
    if len(content) > most:
        raise Unreadable(f"it is larger than {most >> 20} MiB")
    try:
        return content.decode("utf-8-sig")  # Windows' editor puts a mark at the beginning
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not UTF-8 text: byte {error.start} is none") from error


def parse_yaml(text: str) -> Any:
    """What `text` holds, by YAML 1.1's rules but that dates and 1:30 stay text; Unreadable.

    Refused are keys given twice, tags other than the plain ones, and what passes the limits above.
    """
    if len(text) > MOST_YAML_BYTES:
        raise Unreadable(f"it is longer than {MOST_YAML_BYTES} characters")
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_described(error)) from error
    except yaml.YAMLError as error:
        raise Unreadable(str(error).splitlines()[0][:200]) from error
    except (ValueError, OverflowError, RecursionError) as error:  # PyYAML's own slips
        raise Unreadable("an escape in it, or its %YAML line, has a number too large") from error


def _described(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + (error.problem or error.context or "it is not YAML")[:200]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, held while the file is read and before anything is made.

    It counts what aliases stand for: `a: &a [..]`, `b: &b [*a, *a, ..]` and so on is short as a
    file and without end as a value.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._count = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node, index: object) -> yaml.Node | None:
        event = self.peek_event()
        self._depth += 1
        if self._depth > MOST_DEPTH:
            self._refuse(f"more than {MOST_DEPTH} lists and dictionaries within each other")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self._sizes:
                self._refuse(f"*{event.anchor[:40]} stands within itself")
            self._add(self._sizes.get(event.anchor, 0))
        before = self._count
        self._add(1)
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MOST_CHARACTERS:
            self._refuse(f"a text of more than {MOST_CHARACTERS} characters")
        node = super().compose_node(parent, index)
        if not isinstance(event, yaml.AliasEvent) and event.anchor:
            self._sizes[event.anchor] = self._count - before
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value[:40]} is given twice", problem_mark=key.start_mark
                )
            seen.add(name or id(key))
        return node

    def _add(self, nodes: int) -> None:
        self._count += nodes
        if self._count > MOST_NODES:
            self._refuse(f"more than {MOST_NODES} keys and values, with what aliases stand for")

    def _refuse(self, problem: str) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)

    def construct_plain(self, node: yaml.Node) -> Any:
        """A scalar as its tag says, whether it was tagged or looks so; text without surrogates."""
        kind = node.tag.rpartition(":")[2]
        if not isinstance(node, yaml.ScalarNode):
            raise _unlike(node, kind)
        if kind in ("int", "float") and len(node.value) > MOST_DIGITS:
            raise _unlike(node, kind, f"of more than {MOST_DIGITS} digits")
        if kind in ("int", "float") and ":" in node.value:
            kind = "str"  # YAML 1.1 takes 1:30 for 90; nobody here means that
        try:
            value = getattr(yaml.SafeLoader, f"construct_yaml_{kind}")(self, node)
        except (ValueError, LookupError, ArithmeticError) as error:
            raise _unlike(node, kind) from error
        if kind == "str" and not sound(value):
            raise _unlike(node, "str", "with half a surrogate pair")
        return value


def _unlike(node: yaml.Node, kind: str, why: str = "") -> yaml.MarkedYAMLError:
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    scalar = isinstance(node, yaml.ScalarNode)
    given = ascii(node.value[:40]) if scalar else "a list or a dictionary"
    problem = f"{names[kind]} {why}" if why else f"{given} is not {names.get(kind, kind)}"
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _refuse_tag(loader: yaml.SafeLoader, node: yaml.Node) -> None:
    tag = node.tag.replace(_PREFIX, "!!")[:60]
    raise yaml.MarkedYAMLError(
        problem=f"the tag {tag} is not taken here", problem_mark=node.start_mark
    )


_PLAIN = ("null", "bool", "int", "float", "str")
_PREFIX = "tag:yaml.org,2002:"
_Loader.yaml_constructors = {
    **{f"{_PREFIX}{kind}": _Loader.construct_plain for kind in _PLAIN},
    **{tag: yaml.SafeLoader.yaml_constructors[tag] for tag in (f"{_PREFIX}seq", f"{_PREFIX}map")},
    None: _refuse_tag,  # any other
}
# 2001-12-14 is text here: nothing that is read from YAML is a date, and PyYAML stumbles over some.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != f"{_PREFIX}timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
"""what YAML 1.2 and everybody's eyes take for a number: YAML 1.1 reads 1e-2 as text"""


def parse_json(text: str) -> Any:
    """What `text` holds; Unreadable where it is not JSON, and where a number is not finite."""
    if sum(map(text.count, "[{,")) > MOST_JSON_VALUES:
        raise Unreadable(f"more than {MOST_JSON_VALUES} values in it")
    try:
        value = json.loads(
            text,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
            object_pairs_hook=_once,
        )
    except RecursionError as error:
        raise Unreadable("its lists lie too deep within each other") from error
    except ValueError as error:
        raise Unreadable(str(error)[:200]) from error
    _check_depth(value)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value


def _check_depth(value: Any) -> None:
    """Unreadable where lists lie deeper than MOST_DEPTH, or text holds half a surrogate pair."""
    rest: list[Iterator[Any]] = [iter([value])]
    while rest:
        if len(rest) > MOST_DEPTH + 1:
            raise Unreadable("its lists lie too deep within each other")
        for part in rest[-1]:
            if isinstance(part, dict):
                rest.append(chain(part.keys(), part.values()))
                break
            if isinstance(part, list):
                rest.append(iter(part))
                break
            if isinstance(part, str) and not sound(part):
                raise Unreadable("a text with half a surrogate pair")
        else:
            rest.pop()


def sound(text: str) -> bool:
    """Whether a text can be written: no half of a surrogate pair is in it."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
