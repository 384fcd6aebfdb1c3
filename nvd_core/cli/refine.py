"""`nvd refine`, and what a folder was before it."""

import argparse
from pathlib import Path

from nvd_core.cli.arguments import (
    absolute_mask,
    add_frames,
    add_yes,
    mask_sources,
    named_path,
    whole,
)
from nvd_core.runtime.progress import Progress


def add_refine(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd refine`."""
    refine = commands.add_parser(
        "refine", help="go on from a finished decomposition, keep the paint"
    )
    refine.add_argument("shot", type=Path)
    refine.add_argument(
        "--out", type=Path, help="folder to make; by itself the next version: SHOT_v2.nvd"
    )
    refine.add_argument(
        "--mask",
        type=named_path,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a corrected mask of an object, as decompose takes it; may be given again",
    )
    refine.add_argument(
        "--part",
        type=named_path,
        action="append",
        default=[],
        metavar="LAYER.PART=PATH",
        help="a corrected mask of a part, or a new part, as decompose takes it: training begins "
        "anew; may be given again",
    )
    refine.add_argument(
        "--steps",
        type=whole(1, 10_000_000),
        metavar="N",
        help="to train; by itself half as many as the clip had",
    )
    add_frames(refine)
    refine.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_yes(refine)
    refine.set_defaults(command=_refine)
    return refine


def _refine(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.refine import refine

    return refine(
        parsed.shot,
        parsed.out,
        masks=dict(mask_sources(parsed.mask)),
        parts={name: absolute_mask(path) for name, path in parsed.part},
        steps=parsed.steps,
        frames=parsed.frames,
        device=parsed.device,
        yes=parsed.yes,
        progress=progress,
    )


def add_former(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd former`."""
    former = commands.add_parser(
        "former", help="what a folder was before it was refined in place: look, or go back"
    )
    former.add_argument("shot", type=Path)
    what = former.add_mutually_exclusive_group()
    what.add_argument(
        "--back", action="store_true", help="return to it; once more brings the refinement back"
    )
    what.add_argument(
        "--take-paint", action="store_true", help="bring over what was painted on it since"
    )
    what.add_argument("--remove", action="store_true", help="forget it, for the room it takes")
    former.set_defaults(command=_former)
    return former


def _former(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.exchange import go_back, read_former, remove_former, take_paint
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    if parsed.back:
        shot = go_back(parsed.shot, progress)
    if parsed.take_paint:
        return take_paint(parsed.shot, progress)
    manifest = read_former(shot).manifest
    if parsed.remove:
        remove_former(shot, progress)
        return {"shown": shot.manifest.maps, "former": "removed"}
    return {"shown": shot.manifest.maps, "former": manifest.maps}
