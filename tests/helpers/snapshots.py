"""Texts pinned byte for byte: a file of blocks under tests/snapshots/.

A block is a case's name in brackets on a line of its own, then the lines; blocks are parted by an
empty line. Set NVD_RENEW_SNAPSHOTS=1 to write what is found, and read the difference before it is
committed.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "snapshots"


class Snapshot:
    """The blocks of one file, compared as a whole."""

    def __init__(self, name: str) -> None:
        self.path = FOLDER / f"{name}.txt"

    def check(self, found: dict[str, str]) -> None:
        """`found` holds the text of each case, in the order of the file."""
        text = "\n".join(f"[{case}]\n{lines.rstrip()}\n" for case, lines in found.items())
        if os.environ.get("NVD_RENEW_SNAPSHOTS", "") not in ("", "0"):
            self.path.write_text(text, "utf-8", newline="\n")
        assert self.path.is_file(), f"no {self.path}: renew it with NVD_RENEW_SNAPSHOTS=1"
        assert text.splitlines() == self.path.read_text("utf-8").splitlines()
