"""The command `nvd segment`: the mask of one object in one frame, from clicks or a box.

Writes a grey image of the frame's size, and where it is asked for the mask's outline as lines that
can be corrected by hand. The frames around the clicked one tell what moves (`priors.click_motion`);
the cut itself is `priors.click_mask`.
"""

import dataclasses
import math
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.job import Job
from nvd_core.job_clip import reading_of
from nvd_core.media.clip import Clip, open_clip
from nvd_core.media.images import write_image
from nvd_core.media.numbering import counted_from, range_of
from nvd_core.priors.click_mask import Clicks, Motion, cut_out
from nvd_core.priors.click_motion import AROUND, motion_around
from nvd_core.priors.cuts import find_cuts
from nvd_core.priors.flow import compute_flow
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES

SMALL = 480
"""Pixels along the longer side at which the frames around are looked at."""
OUTLINE = "nvd.outline", 1
"""schema and version of an outline's file"""
OFF = 0.75
"""Pixels that an outline may be off the mask's edge, at the least."""
SMALLEST = 12
"""Pixels of area below which a line of an outline is noise."""


def segment(
    job: Job,
    frame: int,
    clicks: Clicks,
    out: Path,
    progress: Progress,
    *,
    outline: Path | None = None,
    still: bool = False,
) -> dict:
    """Write the mask of what was clicked in a frame of the clip of `job` to the image `out`; facts.

    `frame` is counted as --frames of `nvd decompose` are, clicks are pixels of the clip's own size.
    `outline` names a JSON file for its outline. `still`: the frames around are not looked at.
    NvdError where the clip cannot be read, a click lies beside the picture, or nothing is found.
    """
    started = time.monotonic()
    reading = reading_of(job)
    clip = open_clip(job.source, None, None, reading)
    counted = counted_from(reading.start, clip.source_numbers, clip.info.source_frames)
    index, _ = range_of((frame, frame), counted, job.source, "", reading.start is not None)
    _check_results(job, clip, out, outline)
    check_clicks(clicks, clip.info.width, clip.info.height)
    picture, motion = _looked_at(job, clip, index, clicks, still, progress)
    mask = cut_out(picture, clicks, motion)
    if not (mask > 0.5).any():
        raise NvdError(
            "nothing can be told apart there",
            found="an empty mask",
            remedy="click on another point of the object, or give a --box around it",
        )
    write_image(out, np.rint(255 * mask).astype(np.uint8)[..., None])
    lines = outlines(mask)
    if outline is not None:
        height, width = mask.shape
        schema, version = OUTLINE
        size = {"schema": schema, "version": version, "width": width, "height": height}
        write_json(outline, size | {"lines": [line.tolist() for line in lines]})
    return {
        "mask": str(out),
        "frame": frame,
        "area": round(float(mask.mean()), 5),
        "moves": motion is not None,
        "lines": len(lines),
        "seconds": round(time.monotonic() - started, 1),
    }


def _check_results(job: Job, clip: Clip, out: Path, outline: Path | None) -> None:
    """NvdError where a result would replace the clip, or come to lie among its frames."""
    source = Path(job.source)
    results = [out] if outline is None else [out, outline]
    files = [file for file in (source, *clip.files) if file.exists()]
    for path in results:
        among = source.is_dir() and path.parent.exists() and path.parent.samefile(source)
        if among or (path.exists() and any(path.samefile(file) for file in files)):
            raise NvdError(
                f"{path} lies where the clip does, which it would change",
                remedy="choose another place for the result",
            )
    if outline is not None and os.path.abspath(out) == os.path.abspath(outline):
        raise NvdError("mask and outline are one file", remedy="choose another --outline")


def check_clicks(clicks: Clicks, width: int, height: int) -> None:
    """NvdError where nothing is pointed at, or a point lies beside the picture."""
    if not clicks.inside and clicks.box is None:
        raise NvdError(
            "nothing says where the object is",
            expected="--click X,Y on it, or --box X0,Y0,X1,Y1 around it",
            remedy="a click with a minus before it only takes away",
        )
    for x, y in (*clicks.inside, *clicks.outside):
        if not (-0.5 <= x < width and -0.5 <= y < height):
            raise NvdError(
                "a click lies beside the picture",
                expected=f"pixels of {width} x {height}, counted from the upper left",
                found=f"{x:g},{y:g}",
                remedy="give the place in pixels of the clip's own size",
            )
    if clicks.box is not None:
        left, top, right, bottom = clicks.box
        whole = left < right and top < bottom and all(map(math.isfinite, clicks.box))
        if not whole or right < 0 or bottom < 0 or left >= width or top >= height:
            raise NvdError(
                "the box has nothing of the picture in it",
                expected=f"X0 < X1 and Y0 < Y1 within {width} x {height}",
                found=f"{left:g},{top:g},{right:g},{bottom:g}",
                remedy="give left, top, right and bottom of a box around the object",
            )


def outlines(mask: np.ndarray) -> list[np.ndarray]:  # float32 [H, W] -> float [n, 2] each
    """The lines where a mask is one half, (x, y) in pixels, closed, the largest first.

    Those of holes are among them and run the other way round. With as few points as keep them
    within about a pixel.
    """
    # At twice the size lines run between pixels, and what is one pixel wide has two sides
    large = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    found, _ = cv2.findContours(
        (large > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    off = max(OFF, 0.0008 * max(mask.shape))
    lines = []
    for line in found:
        fewer = cv2.approxPolyDP(line, 2 * off, True)[:, 0]
        if len(fewer) > 2 and cv2.contourArea(fewer) >= 4 * SMALLEST:
            lines.append(np.round((fewer - 0.5) / 2, 2))
    return sorted(lines, key=lambda line: -cv2.contourArea(line.astype(np.float32)))


def _looked_at(
    job: Job, clip: Clip, index: int, clicks: Clicks, still: bool, progress: Progress
) -> tuple[np.ndarray, Motion | None]:
    """Frame `index` of the source as bytes, and what moves in it where that was clicked."""
    reading = dataclasses.replace(reading_of(job), start=None)
    last = clip.info.source_frames - 1
    first, stop = max(index - AROUND, 0), min(index + AROUND, last) + 1
    if still or stop - first < 3:
        first = min(index, last - 1)
        stop = first + 2
    near = open_clip(job.source, (first, stop - 1), None, reading)
    progress.stage("frames", stop - first)
    small = []
    factor = min(1.0, SMALL / max(near.info.width, near.info.height))
    size = max(round(near.info.width * factor), 16), max(round(near.info.height * factor), 16)
    for t, stored in enumerate(near.stored()):
        whole = near.looked_at(stored)
        if first + t == index:
            picture = whole
        small.append(cv2.resize(whole, size, interpolation=cv2.INTER_AREA))
        progress.update(t + 1)
    if still or len(small) < 3:
        return picture, None
    t = index - first
    cuts = [cut.frame for cut in find_cuts(iter(small))]
    begin = max((cut for cut in cuts if cut <= t), default=0)
    end = min((cut for cut in cuts if cut > t), default=len(small))
    if end - begin < 3:
        return picture, None
    return picture, _motion(small[begin:end], t - begin, clicks, factor, picture, progress)


def _motion(
    frames: list[np.ndarray],
    t: int,
    clicks: Clicks,
    factor: float,
    picture: np.ndarray,
    progress: Progress,
) -> Motion | None:
    """What moves in frame t of some small frames, at the size of the `picture`."""

    def moved(*places: float) -> tuple:
        return tuple((place + 0.5) * factor - 0.5 for place in places)

    box = moved(*clicks.box) if clicks.box is not None else None
    small = Clicks(
        tuple(moved(*p) for p in clicks.inside), tuple(moved(*p) for p in clicks.outside), box
    )
    with tempfile.TemporaryDirectory(prefix="nvd-segment-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        np.save(work / FRAMES, np.stack(frames))
        compute_flow(work, progress)
        found = motion_around(work, t, small, progress)
    if found is None:
        return None
    size = picture.shape[1::-1]
    mask, odds = (cv2.resize(image, size) for image in (found.mask, found.odds))
    return Motion(mask, odds)
