"""Eyes and a hand for the tour: what is written on the screen, and the mouse.

ImageMagick takes the picture of the screen (Blender's own screenshot is black without a real
one), tesseract reads it, xdotool moves the mouse.
"""

import csv
import io
import itertools
import subprocess
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the screen
ENLARGED = 4  # Blender's letters are too small for tesseract
ALIKE = 0.8  # tesseract takes an l for a t now and then
CLOSE = 0.05  # as much less alike may be the same words, read less well
FROM_RIGHT = 59  # pixels from a sidebar's edge to the last icon in a list, the tabs between
CLEARER = ["-level", "38%,80%", "-negate"]  # buttons become paper as well, their letters ink


class Screen:
    """The whole screen. Pictures go to `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def shoot(self, name: str) -> subprocess.Popen:
        """Begin to take a picture of the screen, NAME.jpg."""
        path = self.folder / f"{name}.jpg"
        return subprocess.Popen(["import", "-window", "root", "-quality", "88", path])

    def pixels(self, box: Box) -> np.ndarray:
        """uint8 [h, w, 3] of a part of the screen."""
        command = [*_picture(box), "-depth", "8", "rgb:-"]
        done = subprocess.run(command, check=True, capture_output=True)
        return np.frombuffer(done.stdout, np.uint8).reshape(box[3], box[2], 3)

    def words(self, box: Box) -> list[tuple[str, Box]]:
        """What is written in a part of the screen, and where, as tesseract reads it."""
        picture = self.folder / "read.png"
        subprocess.run([*_picture(box), picture], check=True)
        changes = ["-colorspace", "Gray", "-resize", f"{ENLARGED * 100}%", *CLEARER]
        subprocess.run(["mogrify", *changes, picture], check=True)
        done = subprocess.run(
            ["tesseract", picture, "-", "--psm", "11", "tsv"],
            check=True,
            capture_output=True,
            text=True,
        )
        rows = csv.DictReader(io.StringIO(done.stdout), delimiter="\t", quoting=csv.QUOTE_NONE)
        found = []
        for row in rows:
            if row["text"].strip():
                at = [int(row[key]) // ENLARGED for key in ("left", "top", "width", "height")]
                found.append((row["text"].strip(), (box[0] + at[0], box[1] + at[1], *at[2:])))
        return found

    def find(
        self, text: str, box: Box, *, last: bool = False, right: bool = False
    ) -> tuple[int, int] | None:
        """The middle of `text` where it is written in `box`; None where it is not.

        last: the lowest of several, not the topmost. right: the icon at the right end of its line.
        """
        words, wanted = self.words(box), text.lower().split()
        places, likeness = [], []
        for start in range(len(words)):
            part = words[start : start + len(wanted)]
            read = " ".join(word.lower() for word, _ in part)
            alike = SequenceMatcher(None, read, " ".join(wanted)).ratio()
            if alike >= ALIKE:
                first, final = part[0][1], part[-1][1]
                middle = (first[0] + final[0] + final[2]) // 2, first[1] + first[3] // 2
                places.append(middle)
                likeness.append(alike)
        if not places:
            print("read:", " ".join(word for word, _ in words), flush=True)
            return None
        # Render to Strip is much like Remove to Strip: what is most like it is meant
        best = max(likeness) - CLOSE
        places = [p for p, alike in zip(places, likeness, strict=True) if alike >= best]
        x, y = sorted(places, key=lambda place: place[1])[-1 if last else 0]
        return (box[0] + box[2] - FROM_RIGHT, y) if right else (x, y)

    def click(self, place: tuple[int, int]) -> subprocess.Popen:
        return self._mouse([place], press_at_end=True)

    def point_at(self, place: tuple[float, float]) -> subprocess.Popen:
        """Move the pointer there; where it rests on a button, a tooltip hides what is beside it."""
        return subprocess.Popen(["xdotool", "mousemove", *_numbers(place)])

    def press_key(self, key: str) -> subprocess.Popen:
        return subprocess.Popen(["xdotool", "key", key])

    def click_along(self, places: list[tuple[float, float]], key: str) -> subprocess.Popen:
        """Click at each of the places while `key` is held."""
        words = ["keydown", key]
        for place in places:
            words += ["mousemove", *_numbers(place), "sleep", "0.1", "click", "1", "sleep", "0.1"]
        return subprocess.Popen(["xdotool", *words, "keyup", key])

    def turn_wheel(
        self, place: tuple[float, float], clicks: int, key: str = ""
    ) -> subprocess.Popen:
        """Turn the mouse's wheel up, or with less than 0 down, while `key` is held."""
        words = ["mousemove", *_numbers(place), "sleep", "0.1"]
        words += ["keydown", key] if key else []
        button = "4" if clicks > 0 else "5"
        words += ["click", "--repeat", str(abs(clicks)), "--delay", "30", button, "sleep", "0.1"]
        return subprocess.Popen(["xdotool", *words, *(["keyup", key] if key else [])])

    def drag(self, places: list[tuple[float, float]]) -> subprocess.Popen:
        """Press at the first place, move along all, and let go."""
        return self._mouse(places, press_at_end=False)

    def carry(self, start: tuple[float, float], end: tuple[float, float]) -> subprocess.Popen:
        """Drag a file and let it go: Blender takes it up, and knows where it is, a moment later."""
        words = ["mousemove", *_numbers(start), "sleep", "1", "mousedown", "1", "sleep", "0.6"]
        for step in range(1, 21):
            between = (a + (b - a) * step / 20 for a, b in zip(start, end, strict=True))
            words += ["mousemove", *_numbers(between), "sleep", "0.1"]
        for aside in (2, 0):  # Blender may have come after the last move only now
            words += ["sleep", "2", "mousemove", *_numbers((end[0] + aside, end[1]))]
        return subprocess.Popen(["xdotool", *words, "sleep", "2", "mouseup", "1"])

    def _mouse(self, places, press_at_end: bool) -> subprocess.Popen:
        words = ["mousemove", *_numbers(places[0]), "sleep", "0.4", "mousedown", "1"]
        for (x0, y0), (x1, y1) in itertools.pairwise(places):
            for step in range(1, 13):
                between = x0 + (x1 - x0) * step / 12, y0 + (y1 - y0) * step / 12
                words += ["mousemove", *_numbers(between), "sleep", "0.05"]
        words += ["sleep", "0.15", "mouseup", "1"]
        return subprocess.Popen(["xdotool", *words])


def _picture(box: Box) -> list[str]:
    """The command that takes a picture of a part of the screen."""
    left, top, width, height = box
    return ["import", "-window", "root", "-crop", f"{width}x{height}+{left}+{top}", "+repage"]


def _numbers(place) -> list[str]:
    return [str(round(value)) for value in place]
