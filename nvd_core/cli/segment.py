"""The command `nvd segment`: clicks on an object in one frame become its mask."""

import argparse
import os
import re
from pathlib import Path

from nvd_core.cli.arguments import frame_rate, start_number, whole
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.shown import shown

_NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,9})?"


def click(text: str) -> tuple[bool, float, float]:
    """X,Y of a point on the object, -X,Y of one that is not: whether it is on it, x, y."""
    match = re.fullmatch(rf"(-?)({_NUMBER}),({_NUMBER})", text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"expected X,Y, or -X,Y of what is not the object, found {shown(text)}"
        )
    return not match[1], float(match[2]), float(match[3])


def box(text: str) -> tuple[float, ...]:
    """Left, top, right and bottom."""
    number = f"-?{_NUMBER}"
    if not re.fullmatch(",".join([number] * 4), text):
        raise argparse.ArgumentTypeError(f"expected X0,Y0,X1,Y1, found {shown(text)}")
    return tuple(map(float, text.split(",")))


def add_segment(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add its parser."""
    segment = commands.add_parser(
        "segment", help="make the mask of an object in one frame, from clicks on it"
    )
    # A click of what is not the object begins with a minus, as a negative number would
    segment._negative_number_matcher = re.compile(r"-[0-9.]+(,[0-9.]+)+$")
    segment.add_argument("source", help="the clip, as `nvd decompose` takes it")
    segment.add_argument(
        "--frame",
        type=whole(-(2**31) + 1, 2**31 - 1),
        required=True,
        metavar="N",
        help="the frame that is clicked, counted as --frames of `nvd decompose` are",
    )
    segment.add_argument(
        "--click",
        type=click,
        action="append",
        default=[],
        metavar="X,Y",
        help="a point of the object, in pixels from the upper left; with a minus before it one "
        "that is not; may be given again",
    )
    segment.add_argument(
        "--box", type=box, metavar="X0,Y0,X1,Y1", help="a box around the object, which it fills"
    )
    segment.add_argument(
        "--out", type=Path, required=True, metavar="MASK.png", help="the image to write"
    )
    segment.add_argument(
        "--outline", type=Path, metavar="FILE.json", help="also write the mask's outline, as lines"
    )
    segment.add_argument(
        "--still", action="store_true", help="go by this frame alone, not by what moves around it"
    )
    segment.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="count --frame by the source's own numbers, or from N",
    )
    segment.add_argument(
        "--missing",
        choices=("error", "hold", "skip"),
        default="error",
        help="as `nvd decompose` has it, and so the next two",
    )
    segment.add_argument("--count-at", type=frame_rate, metavar="FPS")
    segment.add_argument("--deinterlace", action="store_true")
    segment.set_defaults(command=_segment)
    return segment


def _segment(parsed: argparse.Namespace, progress: Progress) -> dict:
    if parsed.out.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise NvdError(
            f"{parsed.out} is no image that keeps a mask as it is",
            expected="a name that ends with .png or .tif",
            remedy="choose another --out",
        )
    from nvd_core.job import Job
    from nvd_core.priors.click_mask import Clicks
    from nvd_core.segment import segment

    job = Job(
        source=os.path.abspath(parsed.source),
        start=parsed.start,
        missing=parsed.missing,
        count_at=parsed.count_at.as_integer_ratio() if parsed.count_at else None,
        deinterlace=parsed.deinterlace,
    )
    inside, outside = (
        tuple((x, y) for on, x, y in parsed.click if on == side) for side in (True, False)
    )
    clicks = Clicks(inside, outside, parsed.box)
    return segment(
        job,
        parsed.frame,
        clicks,
        parsed.out,
        progress,
        outline=parsed.outline,
        still=parsed.still,
    )
