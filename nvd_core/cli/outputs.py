"""Commands that make pictures of a shot beside `nvd render`: another camera, other programs."""

import argparse
from pathlib import Path

from nvd_core.cli.arguments import (
    add_edits,
    add_frames,
    add_image_numbers,
    add_output_format,
    add_values,
    size,
    start_number,
)
from nvd_core.cli.values import changed_values
from nvd_core.runtime.progress import Progress


def add_camera(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd camera`."""
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
        "--hold",
        type=int,
        metavar="FRAME",
        help="keep the background where it is in that frame of the clip, counted from 0",
    )
    camera.add_argument("--size", type=size, metavar="WxH", help="of the picture, in pixels")
    add_edits(camera)
    add_values(camera)
    add_frames(camera)
    add_image_numbers(camera)
    add_output_format(camera)
    camera.set_defaults(command=_camera)
    return camera


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


def add_export(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd export`."""
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
    return export


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
