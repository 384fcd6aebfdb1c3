"""Textures of a finished folder at another size: larger ones hold more of a larger plate.

They are made anew from the networks and fitted to the plate, as baking does; the maps stay, since
they count in shares of a texture. New textures and new edits come under new names, and the
manifest, which is replaced last, names them: so a command that is killed has changed nothing, what
was painted before stays where it was, and no program that has an old edit open writes over a new
one.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from nvd_core.baking.bake import TextureFrame, made_textures
from nvd_core.baking.coverage import Coverage
from nvd_core.baking.fit_kernels import lookups
from nvd_core.baking.frame_maps import without_garbage
from nvd_core.baking.texture_fit import SeenFrames
from nvd_core.editing.camera import texture_frames, trained_model
from nvd_core.editing.edits import display_colours, edit_paths, load_edit, read_texture
from nvd_core.editing.former_textures import content_sum, read_former, write_former
from nvd_core.editing.plate import read_frame
from nvd_core.editing.uncovered import garbage_of
from nvd_core.media.images import image_size, read_image, to_integers, write_image
from nvd_core.media.working import as_display_bytes
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.manifest import LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_files import iter_maps, map_files
from nvd_core.shot.maps import MOST_TEXELS
from nvd_core.shot.shot import Shot

COMMAND = "nvd textures"
SIZES = (1, 2, 4)


def resize_textures(shot: Shot, size: int, progress: Progress | None = None) -> dict:
    """Give `shot` textures and edits `size` times (1, 2 or 4) those that its analysis asks for.

    Returns the `size`, and by layer the `textures`' sizes and the files of the `edits`. What was
    painted is carried over; nothing is removed. NvdError where the folder lacks its networks, a
    texture would be too large, an edit is painted on meanwhile, or another process writes there.
    """
    progress = progress or Progress()
    shot.check()
    with writing(shot.folder, COMMAND, progress):
        shot = Shot.open(shot.folder)  # nobody else changes it from here on
        if size != shot.manifest.texture_size:
            shot = _resized(shot, size, progress)
    return said_of(shot)


def _resized(shot: Shot, size: int, progress: Progress) -> Shot:
    """The folder with other textures, once its manifest says so."""
    before = {name: _stamp(shot.edit_path(name)) for name in shot.names}
    images = _new_textures(shot, _layout(shot, size), progress)
    records = _records(shot, size, images)
    painted = edit_paths(shot, {})
    with _gone_on_failure() as made:
        for record, image in zip(records, images, strict=True):
            texture, edit = inside(shot.folder, record.texture), inside(shot.folder, record.edit)
            made += [texture, edit]
            write_image(texture, image)
            if record.name in painted:
                write_image(edit, _carried(shot, record.name, painted[record.name], image))
            else:
                copy_file(texture, edit, durable=True)
        for name, stamp in before.items():
            if _stamp(shot.edit_path(name)) != stamp:
                raise NvdError(
                    f"{shot.edit_path(name)} was painted on meanwhile",
                    expected="an edit that stays as it is while textures get another size",
                    remedy="run the command again",
                )
        manifest = replace(shot.manifest, layers=tuple(records), texture_size=size)
        _put_in_place(shot, _newest(manifest))
    return Shot.open(shot.folder)


def take_back(shot: Shot, progress: Progress | None = None) -> dict:
    """Give `shot` the textures and edits that it had before their size was changed; once more gives
    it those again. Returns what `resize_textures` does.

    An edit that was not painted on since comes back bit for bit; of another the paint is carried
    over, into a file of its own. NvdError where nothing was changed, or textures were made anew.
    """
    progress = progress or Progress()
    shot.check()
    with writing(shot.folder, COMMAND, progress):
        shot = Shot.open(shot.folder)
        former = read_former(shot)
        painted, records = edit_paths(shot, {}), []
        with _gone_on_failure() as made:
            for record in shot.manifest.layers:
                old = former.of(record.name)
                edit = old.edit
                if content_sum(shot.edit_path(record.name)) != old.made and record.name in painted:
                    texture = read_image(inside(shot.folder, old.texture))
                    edit = _free_edit(shot, record.name, former.texture_size)
                    made.append(inside(shot.folder, edit))
                    image = _carried(shot, record.name, painted[record.name], texture)
                    write_image(made[-1], image)
                width, height = old.texture_width, old.texture_height
                now = replace(record, texture=old.texture, edit=edit)
                records.append(replace(now, texture_width=width, texture_height=height))
            size = former.texture_size
            manifest = replace(shot.manifest, layers=tuple(records), texture_size=size)
            _put_in_place(shot, _newest(manifest))
    return said_of(Shot.open(shot.folder))


@contextmanager
def _gone_on_failure() -> Iterator[list[Path]]:
    """A list for files that are made, which are removed where what makes them does not end well."""
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise


def _put_in_place(shot: Shot, manifest: Manifest) -> None:
    """Let the folder show what the manifest names, and note what it has shown until now."""
    write_former(shot, Shot(shot.folder, manifest))
    write_manifest(shot.folder, manifest)


def said_of(shot: Shot) -> dict:
    """The size of the textures, and by layer their sizes and the files of the edits."""
    records = shot.manifest.layers
    return {
        "size": shot.manifest.texture_size,
        "textures": {r.name: f"{r.texture_width}x{r.texture_height}" for r in records},
        "edits": {r.name: r.edit for r in records},
    }


def _newest(manifest: Manifest) -> Manifest:
    """The manifest as this program writes it, whatever version it had."""
    return replace(manifest, version=Manifest.version)


def _layout(shot: Shot, size: int) -> list[TextureFrame]:
    """Where the textures lie, with their new sizes."""
    share = size / shot.manifest.texture_size
    layout = []
    for name, frame in zip(shot.names, texture_frames(shot), strict=True):
        width, height = (max(round(side * share), 1) for side in (frame.width, frame.height))
        if max(width, height) > MOST_TEXELS:
            raise NvdError(
                f"the texture of {name} would be too large",
                expected=f"{MOST_TEXELS} texels along a side at the most",
                found=f"{width} x {height}",
                remedy="choose a smaller size",
            )
        layout.append(replace(frame, width=width, height=height))
    return layout


def _new_textures(shot: Shot, layout: list[TextureFrame], progress: Progress) -> list[np.ndarray]:
    """The textures [h, w, 4] of all layers, in the depth that they have."""
    coverage = Coverage([(frame.width, frame.height) for frame in layout])
    progress.stage("coverage", shot.frames)
    with closing(iter_maps(shot, range(shot.frames))) as all_maps:
        for t, maps in enumerate(all_maps):
            coverage.add(without_garbage(maps.uva, garbage_of(shot, t)))
            progress.update(t + 1)
    settings = load_settings(inside(shot.folder, "settings.yaml"))
    seen_by = _seen(shot) if settings.fit_textures else None
    depth = 16 if read_texture(shot, shot.names[0]).dtype == np.uint16 else 8
    model = trained_model(shot)
    return made_textures(model, layout, coverage, seen_by, depth, progress)


def _seen(shot: Shot) -> SeenFrames:
    """What the textures are fitted to."""
    files = map_files(shot)
    return SeenFrames(
        range(shot.frames),
        lambda t: as_display_bytes(read_frame(shot, t)),
        lambda t: lookups(files, t, garbage_of(shot, t)),
    )


def _records(shot: Shot, size: int, images: list[np.ndarray]) -> list[LayerRecord]:
    """The layers with the names of their new files, which nothing has yet."""
    number = 1
    while True:
        tail = f".x{size}" if number == 1 else f".x{size}-{number}"
        records = [
            replace(
                record,
                texture=f"textures/{record.name}{tail}.png",
                edit=f"edits/{record.name}{tail}.png",
                texture_width=image.shape[1],
                texture_height=image.shape[0],
            )
            for record, image in zip(shot.manifest.layers, images, strict=True)
        ]
        files = [inside(shot.folder, name) for r in records for name in (r.texture, r.edit)]
        if not any(file.exists() for file in files):
            return records
        number += 1


def _free_edit(shot: Shot, name: str, size: int) -> str:
    """A path for an edit that no file has."""
    number = 2
    while inside(shot.folder, f"edits/{name}.x{size}-{number}.png").exists():
        number += 1
    return f"edits/{name}.x{size}-{number}.png"


def _carried(shot: Shot, name: str, path: Path, texture: np.ndarray) -> np.ndarray:
    """The edit of the layer on its new texture [h, w, 4]: its paint, and that texture elsewhere."""
    edit = load_edit(shot, name, path)
    height, width = texture.shape[:2]
    painted = (edit.delta != 0).any(2).astype(np.float32)
    # What surrounds the paint must not be drawn into it: colours count by where they are painted
    share = _at_size(painted, width, height)
    weighted = _at_size(edit.full * painted[..., None], width, height)
    paint = weighted / np.maximum(share, 1e-6)[..., None]
    below = display_colours(texture)[0]
    mixed = below + share[..., None] * (paint - below)
    result = texture.copy()
    where = share > 0
    result[where, :3] = to_integers(mixed[where], texture.dtype)
    return result


def _at_size(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Area means along the axes that shrink, then bilinear."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _stamp(path: Path) -> tuple[int, int, tuple[int, int]] | None:
    """By which it is seen that an edit was changed."""
    if not path.is_file():
        return None
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size, image_size(path)
