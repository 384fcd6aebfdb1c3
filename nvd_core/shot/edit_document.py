"""What the JSON files in edits/ have in common: a schema, a version, and errors in words."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from nvd_core.runtime.declared import JSON, Fault, read, text_like, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES

LONGEST_FOUND = 80
"""characters that are shown of a text which is not valid"""
_NAMED = "1 to 60 letters, digits, spaces, _, - and ., no space or dot at either end"

EditName = Annotated[str, text_like(r"(?![ .])(?:[^\W_]|[ _.\-]){1,60}(?<![ .])", _NAMED)]
"""of a pin, or an entry of the stack"""
Frame = Annotated[int, within(0, MOST_FRAMES - 1)]
"""of the clip, from 0"""
Fade = Annotated[int, within(0, MOST_FRAMES)]
"""frames in which something comes or goes"""
Share = Annotated[float, within(0, 1)]


@dataclass(frozen=True)
class EditDocument:
    """A kind of file in edits/."""

    schema: str
    version: int
    """the newest that is known"""
    holds: str
    """in words"""
    again: str
    """what to do about a damaged one"""

    def load(self, path: Path) -> dict:
        """The JSON of `path`; NvdError where it is damaged, or of a version that is not known."""
        try:
            value = read_json(path)
        except Unreadable as error:
            raise NvdError(f"cannot read {path}", found=str(error), remedy=self.again) from error
        if not isinstance(value, dict) or value.get("schema") != self.schema:
            found = shown(value.get("schema")) if isinstance(value, dict) else "something else"
            raise NvdError(
                f"{path} does not hold {self.holds}",
                expected=f"the schema {self.schema}",
                found=found,
                remedy=self.again,
            )
        version = value.get("version")
        if type(version) is not int or version < 1:
            whole = f"a whole number from 1 to {self.version}"
            raise self.not_valid(str(path), "version", whole, version)
        if version > self.version:
            raise NvdError(
                f"{path} was written by a newer program",
                expected=f"{self.schema} of version {self.version} or older",
                found=f"version {shown(version, 20)}",
                remedy="update this program, or remove the file",
            )
        return value

    def read(self, kind: type, value: dict, source: str, complete: bool = False) -> Any:
        """`value` as the record `kind`; NvdError, which names `source` and the key."""
        try:
            return read(kind, value, JSON, complete=complete)
        except Fault as fault:
            key = fault.key or "the whole"
            if fault.what in ("missing", "unknown"):
                raise self.keys(source, fault.what, key) from fault
            raise self.not_valid(source, key, fault.expected, fault.found) from fault

    def read_file(self, path: Path, kind: type, needed: str, complete: bool = False) -> Any:
        """What `path` says as the record `kind`; NvdError where it is damaged, or misses the key
        `needed`, which the record itself can do without.
        """
        value = self.load(path)
        if needed not in value:
            raise self.keys(str(path), "missing", needed)
        return self.read(kind, value, str(path), complete)

    def keys(self, source: str, what: str, key: str) -> NvdError:
        """The error that a `key` is missing or unknown."""
        words = "misses keys" if what == "missing" else "has unknown keys"
        return NvdError(f"{source} {words}", found=key, remedy=self.again)

    def not_valid(self, source: str, key: str, expected: str, found: object) -> NvdError:
        """The error that a key's value cannot be."""
        plain = isinstance(found, str) and len(found) <= LONGEST_FOUND
        return NvdError(
            f"{source}: {key} is not valid",
            expected=expected,
            found=found if plain else shown(found),
            remedy=self.again,
        )


def write_edit(path: Path, said: dict) -> Path:
    """Write what a file in edits/ says, beside and renamed; the file. Its folder is made."""
    path.parent.mkdir(exist_ok=True)
    write_json(path, said, durable=True)
    return path


def said_of(record: Any) -> dict[str, Any]:
    """What a file says of a record: what goes without saying is left out."""
    said = {field.name: getattr(record, field.name) for field in fields(record)}
    defaults = {field.name: field.default for field in fields(record)}
    plain = {key: value for key, value in said.items() if value != defaults[key]}
    return {key: as_lists(value) for key, value in plain.items()}


def as_lists(value: Any) -> Any:
    """Tuples, and those within them, as JSON has them."""
    return [as_lists(part) for part in value] if isinstance(value, tuple) else value
