"""A movie of images that were rendered before, by many machines perhaps: `nvd encode`."""

import time
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from nvd_core.editing.output_numbers import checked_range, output_numbers
from nvd_core.editing.output_time import timing_of
from nvd_core.editing.own_files import check_output
from nvd_core.editing.plate import frame_tags
from nvd_core.media.codecs import Quality
from nvd_core.media.images import image_size, read_image
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import remove_temporaries_of
from nvd_core.runtime.folder_lock import writing_if_inside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot

_AGAIN = "render the frames again, with the same pattern"


def encode(
    shot: Shot,
    images: Path | str,
    out: Path | str,
    *,
    frames: tuple[int, int] | None = None,
    start: int | str | None = None,
    codec: str | None = None,
    quality: Quality = None,
    audio: bool = True,
    progress: Progress | None = None,
) -> dict:
    """The movie `out` of the pattern `images`, which `render` wrote of this `shot`.

    Rate, time code, colour tags and sound are the shot's, as in a movie that is rendered at once;
    `start` is that of the rendering. Returns how many `frames`, in how many `seconds`, and `out`.
    NvdError where an image is missing or of another size, before anything is written.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    if not is_pattern(images) or is_pattern(out):
        raise NvdError(
            "a movie is made of numbered images",
            expected="a pattern such as out/%05d.png, and a movie such as out.mov",
            found=f"{images} and {out}",
            remedy="name both",
        )
    clip = shot.manifest.clip
    first, last = checked_range(shot, frames, start)
    numbers = range(first, last + 1)
    named = output_numbers(shot, images, start)
    paths = [frame_path(images, named[t]) for t in numbers]
    channels, dtype = _checked(shot, paths)
    linear = dtype.kind == "f"
    alpha = ("premultiplied" if linear else "straight") if channels == 4 else "none"
    timing, lost = timing_of(shot, out, numbers, named, audio)
    writer = open_writer(
        out,
        clip.width,
        clip.height,
        Fraction(*clip.rate),
        bit_depth={"uint8": 8, "uint16": 16, "float16": "half"}.get(dtype.name, "float"),
        encoding="linear" if linear else "display",
        picture=replace(clip.picture, alpha=alpha),
        tags=frame_tags(shot),
        codec=codec,
        quality=quality,
        timing=timing,
    )
    for caution in (*writer.cautions, *lost):
        progress.caution(caution)
    check_output(shot, [Path(out)], {f"the image {path.name}": path for path in paths})
    remove_temporaries_of([Path(out)])

    def read(path: Path) -> np.ndarray:
        image = read_image(path)
        if image.shape != (clip.height, clip.width, channels) or image.dtype != dtype:
            raise NvdError(
                f"{path} is not like the first image",
                expected=f"{(clip.height, clip.width, channels)} {dtype}",
                found=f"{image.shape} {image.dtype}",
                remedy=_AGAIN,
            )
        return image

    with writing_if_inside(out, shot.folder, "nvd encode", progress):
        progress.stage("encode", len(paths))
        with closing(in_order(read, paths)) as pictures, writer:
            for done, picture in enumerate(pictures):
                writer.write(done, picture)
                progress.update(done + 1)
    seconds = round(time.perf_counter() - started, 3)
    return {"frames": len(paths), "seconds": seconds, "out": str(out)}


def _checked(shot: Shot, paths: list[Path]) -> tuple[int, np.dtype]:
    """Channels and type of the first image; NvdError where one is missing or of another size."""
    clip = shot.manifest.clip
    for path in paths:
        if not path.is_file():
            raise NvdError(f"{path} is missing", remedy=_AGAIN)
        height, width = image_size(path)
        if (height, width) != (clip.height, clip.width):
            raise NvdError(
                f"{path} is no rendered frame of {shot.folder}",
                expected=f"{clip.width} x {clip.height} pixels",
                found=f"{width} x {height}",
                remedy=_AGAIN,
            )
    first = read_image(paths[0])
    if first.shape[2] not in (3, 4):
        raise NvdError(
            f"{paths[0]} is no rendered frame",
            expected="RGB or RGBA",
            found=f"{first.shape[2]} channels",
            remedy=_AGAIN,
        )
    return first.shape[2], first.dtype
