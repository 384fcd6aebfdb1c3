"""What becomes of trained networks: how they are baked, and what the manifest says of them."""

from pathlib import Path

import numpy as np

from nvd_core import __version__
from nvd_core.baking.bake import Baking
from nvd_core.baking.plate import plate_of
from nvd_core.fields.model import LayeredVideo
from nvd_core.media.clip_import import frames_pattern
from nvd_core.media.clip_info import ClipInfo
from nvd_core.priors.garbage import manifest_path
from nvd_core.settings import Settings
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest


def baking_of(
    folder: Path,
    info: ClipInfo,
    settings: Settings,
    model: LayeredVideo,
    frames: np.ndarray,
    garbage: np.ndarray | None,
    into: Path | None = None,
) -> Baking:
    """What bakes the trained networks of `folder`, `into` another folder where it is given.

    frames, garbage: of work/, uint8 [T, H, W, 3] and [1 or T, H, W].
    """
    plate = plate_of(folder, info, manifest_path(garbage)) if info.analysis else None
    depth = 8 if info.bit_depth == 8 else 16
    clip = frames if settings.fit_textures else None
    return Baking(model, into or folder, settings, depth, clip, garbage, plate)


def manifest_of(
    info: ClipInfo, layers: list[LayerRecord], cautions: list[str], baking: Baking
) -> Manifest:
    """The manifest of a folder with these layers, baked into the folder itself."""
    clip = ClipRecord(
        source=info.source,
        first_frame=info.first_frame,
        frames=info.frames,
        width=info.width,
        height=info.height,
        rate=(info.rate.numerator, info.rate.denominator),
        bit_depth=info.bit_depth,
        encoding=info.encoding,
        picture=info.picture,
        numbers=info.numbers,
        timeline=info.timeline,
        analysis=info.analysis,
    )
    return Manifest(
        program=__version__,
        clip=clip,
        frames=frames_pattern(info.encoding),
        maps="maps/%05d.exr",
        layers=tuple(layers),
        cautions=tuple(cautions),
        garbage=manifest_path(baking.garbage),
        texture_size=baking.settings.texture_size,
    )
