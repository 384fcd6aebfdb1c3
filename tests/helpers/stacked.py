"""Entries of the stack of edits with their files, for a shot made by formula."""

from fractions import Fraction

import numpy as np

from nvd_core.media.images import write_image
from nvd_core.media.writer import open_writer
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, write_stack

QUAD = ((0.2, 0.25), (0.8, 0.2), (0.9, 0.75), (0.1, 0.7))
RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def picture(colour=RED, alpha: float = 1.0, width: int = 40, height: int = 30) -> np.ndarray:
    """A picture of one colour, RGBA uint16 [h, w, 4]."""
    image = np.empty((height, width, 4), np.float64)
    image[..., :3], image[..., 3] = colour, alpha
    return np.rint(image * 65535).astype(np.uint16)


def add_file(shot: Shot, name: str, image: np.ndarray) -> str:
    """Write an image into the stack's folder; its path in the shot's."""
    relative = f"edits/stack/{name}"
    write_image(shot.folder / relative, image)
    return relative


def add_movie(shot: Shot, name: str, colours: list) -> str:
    """A movie of one colour a picture, or where `name` is a pattern the images."""
    relative = f"edits/stack/{name}"
    (shot.folder / relative).parent.mkdir(parents=True, exist_ok=True)
    with open_writer(shot.folder / relative, 64, 48, Fraction(25)) as writer:
        for t, colour in enumerate(colours):
            frame = np.empty((48, 64, 3), np.uint8)
            frame[:] = np.rint(np.array(colour) * 255)
            writer.write(t, frame)
    return relative


def put(shot: Shot, *entries: Entry) -> None:
    """Make these the shot's stack."""
    write_stack(shot, Stack(tuple(entries)))
