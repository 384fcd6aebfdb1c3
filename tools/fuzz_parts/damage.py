"""Damaging a file: what a disk, a cut-off copy, a careless hand or a stranger makes of it.

`damage` chooses by the file's name among ways that fit its format and those that fit any.
"""

import json
import random
import re
import struct
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from fuzz_parts import arrays, claims

Way = Callable[[random.Random, Path], None]

RAW = "@raw:"
"""begins a text that is put into JSON as it stands behind it, without quotes"""
ODD = [
    None, True, -1, 0, 1, 1.5, 10**9, 2**31, 2**63, -(2**63), 1e308, 1e-320, "", "text", "1", "\0",
    "a" * 300, "../x", "/etc/passwd", "%0999d", "%05d%05d", "x/%0999999999999d.png", "\ud800",
    "\x1b[31m[/x]", [], {}, [1, 10**9], [1, 0], [[1, 2], [3]], [None], {"a": 1}, "maskrcnn:x",
    RAW + "NaN", RAW + "Infinity", RAW + "-1e999", RAW + "1" + "0" * 400, RAW + "1" + "0" * 5000,
    RAW + "[" * 3000 + "]" * 3000, RAW + '{"a":' * 3000 + "1" + "}" * 3000, RAW + '"\\ud800"',
    RAW + '"' + "x" * 100_000 + '"', RAW + "[" + "1," * 20_000 + "1]", [1, 10**9],
]  # fmt: skip
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, this in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = [
    "", "{", "null", "[]", "[" * 3000, "{" * 3000, "keys: *x", "a: &a [*a]", ALIASES,
    "!!python/object/apply:os.system [x]", "\ufeff{}", "%YAML 9.9\n---\n1",
    "- " * 3000, "? " * 2000, '"\\x', "\0",
    "'" + "x" * 40_000, "&a " * 500, "{a: 1, a: 2}", "1: 2\n[1]: 3", "a: 1e999999",
    "a: 0x" + "f" * 500, "#" * 2_000_000, "x: " + "9" * 6000, "--- a\n--- b", "? {a: b}\n: c",
    "!!binary x", "=: =", "<<: 3",
]  # fmt: skip


def damage(chosen: random.Random, path: Path, others: list[Path]) -> str:
    """Damage the file `path`, perhaps by one of the `others`; returns in a word how."""
    ways = [*_ANY, *_ANY]
    suffix = path.suffix.lower()
    ways += _OF_SUFFIX.get(suffix, [_number]) * 2 + claims.OF_SUFFIX.get(suffix, []) * 2
    way = chosen.choice([*ways, None])
    if way is None:
        other = chosen.choice(others)
        path.write_bytes(other.read_bytes())
        return f"is {other.name}"
    way(chosen, path)
    return way.__name__.strip("_")


def _flipped(chosen: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chosen.choice((1, 1, 3, 20))):
        if data:
            most = len(data) if chosen.random() < 0.5 else min(len(data), 600)
            data[chosen.randrange(most)] ^= 1 << chosen.randrange(8)
    path.write_bytes(data)


def _truncated(chosen: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chosen.choice((0, 1, 8, chosen.randrange(len(data) + 1)))])


def _overwritten(chosen: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = chosen.randrange(len(data) + 1)
    count = chosen.choice((1, 4, 64, 4096))
    data[start : start + count] = chosen.choice((bytes(count), chosen.randbytes(count)))
    path.write_bytes(data)


def _lengthened(chosen: random.Random, path: Path) -> None:
    with path.open("ab") as file:
        file.write(chosen.randbytes(chosen.choice((1, 100, 10_000))))


def _cut_out(chosen: random.Random, path: Path) -> None:
    data = path.read_bytes()
    start = chosen.randrange(len(data) + 1)
    path.write_bytes(data[:start] + data[start + chosen.choice((1, 2, 100)) :])


def _folder(chosen: random.Random, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _gone(chosen: random.Random, path: Path) -> None:
    path.unlink()


def _number(chosen: random.Random, path: Path) -> None:
    """A number somewhere near the beginning becomes one that no file can hold."""
    data = bytearray(path.read_bytes())
    value = chosen.choice((0, 1, 30_000, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1))
    layout = chosen.choice(("<I", ">I", "<H", ">H"))
    packed = struct.pack(layout, value & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF))
    if len(data) > 8:
        start = chosen.randrange(4, min(len(data), chosen.choice((40, 200, 2000))) - 3)
        data[start : start + len(packed)] = packed
    path.write_bytes(data)


def _node(chosen: random.Random, path: Path) -> None:
    """A value, key or record of a JSON or YAML file becomes another."""
    import yaml

    text = path.read_text("utf-8")
    value = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    for _ in range(chosen.choice((1, 1, 1, 2))):
        places = list(_places(value))
        if not places:
            break
        holder, key = chosen.choice(places)
        odd = deepcopy(chosen.choice(ODD))  # else what is done to it stays for the next case
        act = chosen.random()
        if act < 0.7:
            holder[key] = odd
        elif act < 0.8:
            del holder[key]
        elif isinstance(holder, dict):
            holder[odd if isinstance(odd, str) and not odd.startswith(RAW) else "more"] = 1
        else:
            holder += [holder[0]] * chosen.choice((1, 100)) if holder else [odd]
    written = json.dumps(value)
    written = re.sub(rf'"{RAW}((?:[^"\\]|\\.)*)"', lambda m: json.loads(f'"{m[1]}"'), written)
    path.write_bytes(written.encode("utf-8", "surrogatepass"))


def _places(value: object) -> list[tuple]:
    found: list[tuple] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            found.append((value, key))
            found += _places(value[key])
    return found


def _text(chosen: random.Random, path: Path) -> None:
    path.write_bytes(chosen.choice(TEXTS).encode("utf-8", "surrogatepass"))


def _twice(chosen: random.Random, path: Path) -> None:
    text = path.read_text("utf-8")
    path.write_text(re.sub(r'("\w+": )', r"\1 0, \1", text, count=1))


def _tag(chosen: random.Random, path: Path) -> None:
    """The four letters that name a codec or a box of a movie become others."""
    data = path.read_bytes()
    names = re.findall(rb"(?:avc1|ap4h|V_MPEG4/ISO/AVC|stsz|stts|stco|tkhd|stsd|mdhd|moov)", data)
    if names:
        name = chosen.choice(names)
        other = chosen.choice((b"xxxx", b"mp4a", b"free", b"\0\0\0\0", b"tmcd"))
        data = data.replace(name, other[: len(name)].ljust(len(name), b"x"))
    path.write_bytes(data)


def _of_box(chosen: random.Random, path: Path) -> None:
    """A number in one of a movie's tables becomes a huge one."""
    data = bytearray(path.read_bytes())
    names = [m.start() for m in re.finditer(rb"stsz|stts|stsc|stco|tkhd|mdhd|mvhd|avc1|ap4h", data)]
    if names:
        start = chosen.choice(names) + 4 * chosen.randrange(1, 12)
        value = chosen.choice((0, 1, 2**31 - 1, 2**32 - 1, 30_000 << 16, 10**9))
        data[start : start + 4] = struct.pack(">I", value)
    path.write_bytes(data)


_ANY: list[Way] = [
    _flipped,
    _truncated,
    _overwritten,
    _lengthened,
    _cut_out,
    _folder,
    _gone,
    _number,
]
_JSON: list[Way] = [*[_node] * 8, _text, _text, _twice]
_OF_SUFFIX: dict[str, list[Way]] = {
    ".json": _JSON,
    ".yaml": [*[_node] * 6, *[_text] * 4],
    ".npy": [arrays.npy] * 8,
    ".npz": [arrays.npz] * 8,
    ".safetensors": [arrays.safetensors] * 8,
    ".pth": [arrays.pth] * 8,
    ".exr": [arrays.exr] * 8,
    ".mp4": [_tag, _of_box, _of_box],
    ".mov": [_tag, _of_box, _of_box],
    ".mkv": [_tag, _number],
}
