"""JSON that others may have written: read with limits, each value checked before it is believed.

A file may be cut short, hold a number where a text was, NaN, half of a letter, or a thousand
brackets. Standard library only.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..blender.inside import open_file
from ..errors import visible

TEXT_LIMIT = 4000  # letters of a text for people
TRIES = 20
LARGEST = 1e15  # a number; hours and decibels are far from it


class Odd(ValueError):
    """A value that is not what it should be; the text says what was expected and found."""


def parse(text: str) -> dict:
    """The JSON object in `text`, NaN and infinities read as None; `Odd` where there is none."""
    try:
        values = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):  # half a file, or brackets without end
        raise Odd("expected JSON, found something else") from None
    if not isinstance(values, dict):
        raise Odd(f"expected an object, found {shown(values)}")
    return values


def read(path: Path, limit: int) -> dict | None:
    """The object in the file at `path`, None where there is none; `Odd` for over `limit` bytes."""
    try:
        with open_file(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Odd(f"it cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise Odd(f"expected at most {limit} bytes, found more")
    return parse(data.decode("utf-8", "replace"))


def write(path: Path, values: dict) -> None:
    """Write `values` beside `path` and rename; OSError where that fails, with nothing left."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.write_text(json.dumps(values, indent=1), "utf-8")
        patiently(lambda: beside.replace(path))
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def patiently(change: Callable[[], object]) -> None:
    """Call `change` of a file, again where Windows refuses: another may just be reading it."""
    for left in reversed(range(TRIES)):
        try:
            change()
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(0.002)


def shown(value: Any) -> str:
    """`value` for a message; long ones are cut before they are turned into text."""
    if isinstance(value, str):
        return repr(clean(value[:80]))
    if isinstance(value, bool | float) or value is None:
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge number"
    return f"a {type(value).__name__}"


def clean(text: str) -> str:
    """`text` as Blender can show it: without halves of letters and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def text(values: dict, name: str, default: str | None = None) -> str:
    """A text for people, all of it visible."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise Odd(f"{name}: expected a text, found {shown(value)}")
    return visible(clean(value[:TEXT_LIMIT]))


def path(values: dict, name: str, default: str | None = None) -> str:
    """A path or a word of a command line: what the system can be given."""
    return word(values.get(name, default), name)


def word(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Odd(f"{name}: expected a text, found {shown(value)}")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Odd(f"{name}: expected a text, found half a letter in it") from None
    if "\0" in value:
        raise Odd(f"{name}: expected a text, found NUL in it")
    return value


def whole(values: dict, name: str, least: int = 0, most: int = 2**53) -> int:
    """A whole number from `least` to `most`; True and 3.0 are none."""
    value = values.get(name)
    if type(value) is not int or not least <= value <= most:
        raise Odd(f"{name}: expected a whole number from {least} to {most}, found {shown(value)}")
    return value


def number(values: dict, name: str) -> float | None:
    """A finite number, None where there is none."""
    value = values.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not -LARGEST <= value <= LARGEST:  # nor NaN
        raise Odd(f"{name}: expected a number, found {shown(value)}")
    return float(value)


def listed(values: dict, name: str, default: list | None = None) -> list:
    value = values.get(name, default)
    if not isinstance(value, list):
        raise Odd(f"{name}: expected a list, found {shown(value)}")
    return value
