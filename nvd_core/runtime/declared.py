"""Records declared once: type, range and choices of a field are its annotation, and the text below
the field is its help.

    @dataclass
    class Lamp(Declared):
        watts: Annotated[float, within(0, 500)] = 60.0
        colour: Literal["warm", "cold"] = "warm"

`read` makes such a record of what a YAML or JSON file holds; msgspec judges each value. What does
not fit is a `Fault`, and whoever reads the file words the NvdError, with `Fault.expected` and
`Fault.found`. A record that is `Declared` is checked whenever one of its fields is set.
"""

import dataclasses
import difflib
import math
import types
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from nvd_core.runtime.documents import MOST_DIGITS, NUMBER, sound
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import NAME
from nvd_core.runtime.shown import shown


def within(low: float, high: float) -> Meta:
    """The range of a number, both ends included."""
    return Meta(ge=low, le=high)


def text_like(pattern: str, expected: str) -> Meta:
    """Text that matches the regular expression, whole; `expected` says so in words."""
    return Meta(pattern=rf"^(?:{pattern})\Z", extra={"expected": expected})


OPTIONAL = {"optional": True}
"""metadata of a field that may be missing even where a record is to be complete"""
PathText = Annotated[str, text_like(r"[^\0]+", "a path")]
Name = Annotated[str, text_like(NAME, "letters, digits, _ and - only")]
"""what can be part of a file's name on any system, and nothing that leads out of a folder"""


@dataclass(frozen=True)
class Notation:
    """What a kind of file calls things, and whether it is written by hand."""

    whole: str
    text: str
    record: str
    by_hand: bool
    """whether 1e-2, which YAML 1.1 takes for text, is a number, 3.0 a whole one, and on a word"""


YAML = Notation("a whole number", "text", "name: value lines", True)
JSON = Notation("an integer", "a string", "an object", False)


class Fault(Exception):
    """What does not fit its declaration."""

    def __init__(self, key: str, what: str, expected: str, value: object = None):
        super().__init__(key)
        self.key = key
        """dotted path, such as layers[0].name"""
        self.what = what
        """type, range, unknown, missing or twice"""
        self.expected = expected
        """in words; for an unknown key the name that is nearest, if one is near"""
        self.found = shown(value)


class Declared:
    """A dataclass whose fields are checked whenever they are set, in its making too."""

    def __setattr__(self, name: str, value: object) -> None:
        kind = kinds_of(type(self)).get(name)
        if kind is None:
            raise AttributeError(f"{type(self).__name__} has no field {name}")
        try:
            value = read(kind, value, key=name)
        except Fault as fault:
            raise NvdError(
                f"bad value for {fault.key}",
                expected=fault.expected,
                found=fault.found,
                remedy=f"give {fault.key} a value in its range",
            ) from fault
        object.__setattr__(self, name, value)


@lru_cache
def kinds_of(record: type) -> dict[str, Any]:
    """The fields of a declared dataclass with their whole annotations, in order."""
    hints = get_type_hints(record, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


@lru_cache(maxsize=1024)
def parts_of(kind: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The alternatives of an annotation, and all that its Metas say."""
    said: dict[str, Any] = {}
    while get_origin(kind) is Annotated:
        kind, *metas = get_args(kind)
        for meta in metas:
            named = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "extra")
            said = {n: v for n in named if (v := getattr(meta, n)) is not None} | said
    union = get_origin(kind) in (Union, types.UnionType)
    arms = get_args(kind) if union else (kind,)
    if len(arms) > 1:  # a range may stand within: Width | None
        for arm in arms:
            said = parts_of(arm)[1] | said
        arms = tuple(part for arm in arms for part in parts_of(arm)[0])
    return arms, said


def read(
    kind: Any, value: object, notation: Notation = YAML, key: str = "", complete: bool = False
) -> Any:
    """`value` as the annotation `kind`: records, lists, numbers and text; Fault.

    `complete` demands every field of a record, those with a default too but for OPTIONAL ones.
    """
    arms, _ = parts_of(kind)
    if value is None and type(None) in arms:
        return None
    for arm in arms:
        origin = get_origin(arm)
        if is_dataclass(arm):
            if isinstance(value, arm):
                return value
            if isinstance(value, dict):
                return _record(arm, value, notation, key, complete)
        elif origin is dict and isinstance(value, dict):
            return _mapping(arm, value, notation, key, complete)
        elif origin in (list, tuple) and isinstance(value, list | tuple):
            return _list(arm, kind, value, notation, key, complete)
    if all(is_dataclass(arm) or get_origin(arm) in (dict, list, tuple) for arm in arms):
        raise Fault(key, "type", described(kind, notation), value)
    return _scalar(kind, value, notation, key)


def _record(kind: type, value: dict, notation: Notation, key: str, complete: bool) -> Any:
    kinds, prefix = kinds_of(kind), f"{key}." if key else ""
    for name in value:
        if name not in kinds:
            raise unknown(prefix, name, kinds)
    for field in dataclasses.fields(kind):
        default = field.default is not field.default_factory  # one of them is not MISSING
        needed = not default or (complete and "optional" not in field.metadata)
        if field.name not in value and needed:
            raise Fault(f"{prefix}{field.name}", "missing", described(kinds[field.name], notation))
    parts = {
        name: read(kinds[name], part, notation, f"{prefix}{name}", complete)
        for name, part in value.items()
    }
    return kind(**parts)


def unknown(prefix: str, name: object, known: Any) -> Fault:
    """The Fault of a name that is not among the `known`."""
    text = name if isinstance(name, str) and len(name) <= 60 and name.isprintable() else shown(name)
    near = difflib.get_close_matches(text[:60], list(known), 1)
    return Fault(f"{prefix}{text}", "unknown", f"{prefix}{near[0]}" if near else "", name)


def _mapping(kind: Any, value: dict, notation: Notation, key: str, complete: bool) -> dict:
    name_kind, part_kind = get_args(kind)
    made = {}
    for name, part in value.items():
        name = read(name_kind, name, notation, f"the names in {key}")
        made[name] = read(part_kind, part, notation, f"{key}.{name}", complete)
    return made


def _list(
    arm: Any, kind: Any, value: Any, notation: Notation, key: str, complete: bool
) -> list | tuple:
    origin, kinds = get_origin(arm), get_args(arm)
    said = parts_of(kind)[1]
    if origin is list or kinds[-1] is ...:
        least, most = said.get("min_length", 0), said.get("max_length", len(value))
        kinds = kinds[:1] * len(value)
    else:
        least = most = len(kinds)
    if not least <= len(value) <= most:
        raise Fault(key, "type", described(kind, notation), value)
    pairs = enumerate(zip(kinds, value, strict=True))
    return origin(read(k, v, notation, f"{key}[{n}]", complete) for n, (k, v) in pairs)


def _scalar(kind: Any, value: object, notation: Notation, key: str) -> Any:
    arms, _ = parts_of(kind)
    given = _as_meant(arms, value) if notation.by_hand else value
    try:
        if isinstance(given, str) and not sound(given):
            raise ValueError("half a surrogate pair")
        if isinstance(given, float) and not math.isfinite(given):
            raise ValueError("a range that is not named has no end, but no infinity in it either")
        return msgspec.convert(given, kind)
    except (msgspec.ValidationError, ValueError):
        types_ = {type(word) for arm in arms for word in get_args(arm)} | set(arms)
        fits = type(given) in types_ or (type(given) is int and float in types_)
        what = "range" if fits else "type"
        raise Fault(key, what, described(kind, notation), given) from None


def _as_meant(arms: tuple[Any, ...], value: object) -> object:
    """A value written by hand as its author meant it, where that is clear."""
    words = {word for arm in arms if get_origin(arm) is Literal for word in get_args(arm)}
    if isinstance(value, bool):  # YAML 1.1's reading of these words
        word = "on" if value else "off"
        return word if word in words else value
    if str in arms or not {int, float} & set(arms):
        return value
    if isinstance(value, str) and len(value) <= MOST_DIGITS and NUMBER.fullmatch(value):
        value = float(value) if set(value) & set(".eE") else int(value)
    if isinstance(value, float) and int in arms and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    return value


def described(kind: Any, notation: Notation = YAML) -> str:
    """What an annotation takes, in words: `a whole number from 1 to 32`."""
    arms, said = parts_of(kind)
    if "expected" in said.get("extra", {}):
        words = [said["extra"]["expected"]]
        return " or ".join(words + ["null"] * (type(None) in arms))
    return " or ".join(_described(arm, said, notation) for arm in arms)


def _described(arm: Any, said: dict[str, Any], notation: Notation) -> str:
    if arm in (int, float):
        word = notation.whole if arm is int else "a number"
        return f"{word}{_range(said)}"
    if arm is str:
        return notation.text
    if is_dataclass(arm) or arm is dict or get_origin(arm) is dict:
        return notation.record
    if get_origin(arm) is Literal:
        return " or ".join(map(str, get_args(arm)))
    if get_origin(arm) in (list, tuple):
        return _list_described(arm, said, notation)
    return {bool: "true or false", type(None): "null"}.get(arm, "a value")


def _list_described(arm: Any, said: dict[str, Any], notation: Notation) -> str:
    kinds = get_args(arm)
    if get_origin(arm) is tuple and kinds[-1] is not ...:
        count: int | None = len(kinds)
    else:
        count = said.get("max_length")
    if count is None:
        return "a list"
    plural = {int: ("integers", "whole numbers"), str: ("strings", "texts")}
    names = {of: words[notation.by_hand] for of, words in plural.items()}
    inner = names.get(parts_of(kinds[0])[0][0], "values")
    return f"a list of {count} {inner}"


def _range(said: dict[str, Any]) -> str:
    low, high = said.get("ge"), said.get("le")
    if low is None:
        return "" if high is None else f" of {number(high)} at the most"
    if high is None:
        return f" of {number(low)} or more"
    return f" from {number(low)} to {number(high)}"


def number(value: float) -> str:
    """A number as a person writes it: 1e+09 as 1e9, 0.5, 4096."""
    if not isinstance(value, float) or 1e-4 <= abs(value) < 1e6 or value == 0:
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    mantissa, _, exponent = f"{value:.15e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"
