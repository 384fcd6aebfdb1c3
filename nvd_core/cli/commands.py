"""Commands of `nvd` beyond a clip's own way: their arguments and what they call."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.cli.arguments import (
    absolute_mask,
    add_edits,
    add_frames,
    add_image_numbers,
    add_output_format,
    add_values,
    add_yes,
    given_values,
    mask_sources,
    named_path,
    size,
    start_number,
    whole,
)
from nvd_core.cli.edits import add_edits_commands, add_entry_range, said_range
from nvd_core.cli.farm_commands import add_farm
from nvd_core.cli.finish import add_finish_command
from nvd_core.cli.pins import add_pins_commands
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.sizes import MOST_FRAMES

if TYPE_CHECKING:
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.values import Values


def add_commands(commands: argparse._SubParsersAction) -> list[argparse.ArgumentParser]:
    """Add the parsers of this module."""
    camera = commands.add_parser("camera", help="render the clip with another camera motion")
    camera.add_argument("shot", type=Path)
    camera.add_argument(
        "--out",
        required=True,
        help="movie (.mp4 .mov .mkv .webm .mxf) or pattern such as %%05d.png",
    )
    camera.add_argument(
        "--keys", type=Path, help="YAML file: keys: [{frame, scale, x, y, rotation}, ...]"
    )
    camera.add_argument(
        "--hold", type=int, metavar="FRAME", help="keep the background where it is in that frame"
    )
    camera.add_argument("--size", type=size, metavar="WxH", help="of the picture, in pixels")
    add_edits(camera)
    add_values(camera)
    add_frames(camera)
    add_image_numbers(camera)
    add_output_format(camera)
    camera.set_defaults(command=_camera)

    textures = commands.add_parser("textures", help="give a folder textures of another size")
    textures.add_argument("shot", type=Path)
    how = textures.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--size",
        type=int,
        choices=(1, 2, 4),
        help="times as wide and high as the size that was looked at asks for",
    )
    how.add_argument(
        "--back", action="store_true", help="the textures and edits of before; again, those of now"
    )
    textures.set_defaults(command=_textures)

    paint = commands.add_parser("paint", help="take paint on a frame onto the layers' edits")
    paint.add_argument("shot", type=Path)
    paint.add_argument("--frame", type=int, required=True, metavar="N", help="counted from 0")
    paint.add_argument(
        "--image",
        type=Path,
        required=True,
        metavar="PAINT",
        help="of the clip's size: paint alone, with alpha, or a painted copy of the frame",
    )
    paint.add_argument(
        "--base",
        type=Path,
        metavar="IMAGE",
        help="what PAINT is a painted copy of; by itself the frame with the present edits",
    )
    paint.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="take the paint to this layer only; may be given again",
    )
    paint.add_argument(
        "--lit", action="store_true", help="the paint is the surface's colour, to be lit"
    )
    paint.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the painted edits there, and leave those of the folder as they are",
    )
    paint.add_argument(
        "--as",
        dest="entry",
        metavar="NAME",
        help="make the paint an edit of its own, which shows in --frames: see `nvd edits`",
    )
    add_entry_range(paint)
    paint.set_defaults(command=_paint)

    across = commands.add_parser(
        "across", help="take paint on one view's part of a texture into the other views"
    )
    across.add_argument("shot", type=Path)
    across.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="the paint of this layer only; may be given again",
    )
    across.add_argument("--back", action="store_true", help="take away what came so")
    across.set_defaults(command=_across)

    export = commands.add_parser("export", help="hand the decomposition over to other programs")
    export.add_argument("shot", type=Path)
    export.add_argument(
        "--to",
        action="append",
        required=True,
        metavar="PROGRAM",
        help="nuke, fusion, natron, blender, otio or all; may be given again",
    )
    export.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of images and node scripts"
    )
    add_edits(export)
    add_frames(export)
    export.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="numbers of the frames: the source's own (default) or from N",
    )
    export.add_argument(
        "--no-inverse", action="store_true", help="no maps from the textures to the frames"
    )
    export.add_argument(
        "--no-clean-plate", action="store_true", help="no pictures of the background alone"
    )
    export.set_defaults(command=_export)

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

    carry = commands.add_parser("carry", help="bring paint from one decomposition to another")
    carry.add_argument("shot", type=Path, help="the folder that was painted on")
    carry.add_argument(
        "to",
        type=Path,
        nargs="+",
        help="another decomposition of the same clip; of several the paint goes on from each to "
        "the next",
    )
    carry.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="the paint of this layer only; may be given again",
    )
    carry.add_argument("--over", action="store_true", help="replace paint that is there already")
    carry.set_defaults(command=_carry)

    reproduce = commands.add_parser("reproduce", help="run a list of clips and settings, report")
    reproduce.add_argument("list", type=Path, help="YAML file: clips and variants")
    reproduce.add_argument("--out", type=Path, required=True, help="folder of runs and report")
    reproduce.set_defaults(command=_reproduce)

    values = commands.add_parser(
        "values", help="show or set how much of each layer shows, and how it is lit"
    )
    values.add_argument("shot", type=Path)
    add_values(values)
    values.add_argument(
        "--key",
        type=whole(0, MOST_FRAMES - 1),
        metavar="FRAME",
        help="set the values in this frame of the clip, counted from 0, as keys",
    )
    values.add_argument(
        "--interpolation",
        choices=("linear", "constant"),
        help="between the keys; default: as it is, and linear for the first key",
    )
    values.add_argument(
        "--reset", action="append", default=[], metavar="LAYER", help="back to 1, without keys"
    )
    values.set_defaults(command=_values)

    bake = commands.add_parser("bake", help="bake some frames of a trained shot, for many machines")
    bake.add_argument("shot", type=Path)
    add_frames(bake)
    bake.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="count --frames by the source's own numbers, or from N",
    )
    bake.add_argument(
        "--finish", action="store_true", help="once all frames are baked: textures and manifest"
    )
    bake.set_defaults(command=_bake)
    farm = add_farm(commands)
    more = [*farm, *add_edits_commands(commands), *add_pins_commands(commands)]
    of_shot = [camera, textures, paint, across, export, refine, former, carry, reproduce, values]
    return [*of_shot, add_finish_command(commands), bake, *more]


def _bake(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.farm.bake import bake_frames, finish_bake
    from nvd_core.runtime.errors import NvdError

    if not parsed.finish:
        return bake_frames(parsed.shot, parsed.frames, parsed.start, progress)
    if parsed.frames or parsed.start is not None:
        raise NvdError("--finish is of all frames", remedy="leave out --frames and --start")
    return finish_bake(parsed.shot, progress)


def _textures(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.texture_size import resize_textures, take_back
    from nvd_core.shot.shot import Shot

    if parsed.back:
        return take_back(Shot.open(parsed.shot), progress)
    return resize_textures(Shot.open(parsed.shot), parsed.size, progress)


def _camera(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.camera import render_camera
    from nvd_core.editing.camera_path import load_keys
    from nvd_core.runtime.errors import NvdError
    from nvd_core.shot.shot import Shot

    if parsed.keys is None and parsed.hold is None:
        raise NvdError(
            "neither --keys nor --hold says how the camera moves",
            remedy="give a file of keys, or a frame to hold, or both",
        )
    shot = Shot.open(parsed.shot)
    return render_camera(
        shot,
        parsed.out,
        load_keys(parsed.keys, shot.frames) if parsed.keys else [],
        hold=parsed.hold,
        size=parsed.size,
        edits=dict(parsed.edit),
        frames=parsed.frames,
        bit_depth=parsed.bits,
        codec=parsed.codec,
        quality=parsed.quality,
        audio=parsed.audio,
        values=changed_values(shot, parsed),
        start=parsed.start,
        progress=progress,
    )


def _paint(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.paint_frame import paint_frame
    from nvd_core.runtime.errors import NvdError
    from nvd_core.shot.shot import Shot

    said = said_range(parsed)
    if said and not parsed.entry:
        raise NvdError(
            "--frames and --fade are of an edit of its own",
            expected="--as NAME with them",
            remedy="name it, or leave them out",
        )
    return paint_frame(
        Shot.open(parsed.shot),
        parsed.frame,
        parsed.image,
        base=parsed.base,
        layers=parsed.layer,
        lit=parsed.lit,
        out=parsed.out,
        entry={"name": parsed.entry} | said if parsed.entry else None,
        progress=progress,
    )


def _across(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.paint_views import paint_across
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    return paint_across(shot, parsed.layer, back=parsed.back, progress=progress)


def changed_values(shot: "Shot", parsed: argparse.Namespace) -> "Values":
    """The folder's values with the constants given on the command line."""
    from nvd_core.shot.values import read_values

    values = read_values(shot)
    for name, what, value in given_values(parsed):
        values = values.with_value(shot.layer(name).name, what, value)
    return values


def _values(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.values import read_values, said_by_layer, write_values

    shot = Shot.open(parsed.shot)
    given = given_values(parsed)
    if given or parsed.reset:
        with writing(shot.folder, "nvd values", progress):
            values = read_values(shot)
            for name in parsed.reset:
                values = values.without(shot.layer(name).name)
            for name, what, value in given:
                layer = shot.layer(name).name
                values = values.with_value(layer, what, value, parsed.key, parsed.interpolation)
            write_values(shot, values)
    return {"layers": said_by_layer(read_values(shot))}


def _export(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.hand_over import hand_over
    from nvd_core.shot.shot import Shot

    return hand_over(
        Shot.open(parsed.shot),
        parsed.out,
        parsed.to,
        dict(parsed.edit),
        frames=parsed.frames,
        start=parsed.start,
        inverse=not parsed.no_inverse,
        clean_plate=not parsed.no_clean_plate,
        progress=progress,
    )


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


def _carry(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.carry import carry, carry_along
    from nvd_core.shot.shot import Shot

    shots = [Shot.open(folder) for folder in (parsed.shot, *parsed.to)]
    how = {"over": parsed.over, "progress": progress}
    if len(shots) == 2:
        return carry(*shots, parsed.layer, **how)
    return carry_along(shots, parsed.layer, **how)


def _reproduce(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.evaluation.reproduce.run import reproduce

    return reproduce(parsed.list, parsed.out, progress)
