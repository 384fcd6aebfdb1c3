"""Make the pictures of README.md and docs/ that come straight from the engine.

    .envs/engine/bin/python tools/docs_pictures.py               all of them, into docs/pictures/
    .envs/engine/bin/python tools/docs_pictures.py paint-once    the animated one of the README

paint-once   the sample clip as shot, paint put on its two textures, and the clip with it
camera       the sample clip beside `nvd camera --hold`
mask-margin  a scene of samples/truth from masks that are too wide, without and with a margin
edges        paint on a scene of samples/truth with edges of every kind
passes       matte, place, light and paint of a layer
motion-blur  the board of tools/scenes/make_blur_scene.py in WORK/blur: rendered, without and with

Decompositions go to --work and are used again: a few minutes each on two cores. The pictures of
the Blender extension are made by tools/gui_tour.py; demo.jpg is the contact sheet of tools/demo.py.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from bench.measure_blur import decomposition
from bench.truth_shot import shot_of_truth
from demo_pictures import frame, over_grey, paint, row_of

from nvd_core.editing.passes import Passes
from nvd_core.editing.render import render_frames
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import encode_srgb, read_image, to_float, to_integers, write_image
from nvd_core.shot.finish import PLAIN_FINISH, Finish, LayerEdges, MotionBlur
from nvd_core.shot.finish_words import PASSES
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "samples" / "tumbler"
SCENE = ROOT / "samples" / "truth" / "handheld"
RATE = 20  # pictures a second of the animation
STROKES = 14  # pictures in which a word is painted
PAUSE = 12  # pictures before, between and after
HELD, WIDE = 24, "560x240"  # the frame and the size of the held camera
TOO_WIDE, MARGIN = 6, 8  # px


def main() -> int:
    parts = {"paint-once": paint_once, "camera": camera, "mask-margin": mask_margin}
    parts |= {"edges": edges, "passes": passes, "motion-blur": motion_blur}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(parts)}")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--work", type=Path, default=ROOT / "demo_out" / "pictures")
    given = parser.parse_args()
    unknown = set(given.names) - set(parts)
    if unknown:
        parser.error(f"no picture is named {', '.join(sorted(unknown))}")
    for name in given.names or parts:
        print(parts[name](given.work.resolve(), given.out), flush=True)
    return 0


def painted_truth(work: Path) -> Shot:
    """The truth of a scene as a decomposition, its object's texture painted all over."""
    folder = work / "turning.nvd"
    if not (folder / "manifest.json").is_file():
        shot_of_truth(folder, Truth.open(ROOT / "samples" / "truth" / "turning"))
    shot = Shot.open(folder)
    texture = read_image(shot.texture_path(shot.names[0])).copy()
    height, width = texture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    stripes = (x * 24 // width + y * 12 // height) % 2 == 0
    texture[..., :3] = np.where(stripes[..., None], (240, 190, 40), (40, 110, 190))
    write_image(shot.edit_path(shot.names[0]), texture)
    return shot


def edges(work: Path, out: Path) -> Path:
    """One frame with each kind of edge, and a holdout in front."""
    shot = painted_truth(work)
    name, clip = shot.names[0], shot.manifest.clip
    matte = np.zeros((clip.height, clip.width, 1), np.uint8)
    matte[:, clip.width // 2 : clip.width // 2 + 12] = 255
    write_image(shot.folder / f"edits/holdout/{name}.png", matte)
    kinds = [
        LayerEdges(),
        LayerEdges(choke=4),
        LayerEdges(choke=-4),
        LayerEdges(feather=8),
        LayerEdges(holdout=f"edits/holdout/{name}.png"),
    ]
    return close_ups(shot, [Finish({name: kind}) for kind in kinds], out / "edges.jpg")


def close_ups(shot: Shot, finishes: list[Finish], out: Path) -> Path:
    """The middle frame with each of these, cropped around the first layer, twice as large."""
    t = shot.frames // 2
    alpha = read_frame_maps(shot, t).uva[0, ..., 2]
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    box = np.s_[max(rows[0] - 6, 0) : rows[-1] + 7, max(columns[0] - 8, 0) : columns[-1] + 9]
    tiles = [next(render_frames(shot, finish=f, frames=(t, t)))[box] for f in finishes]
    return write_tiles(tiles, out)


def write_tiles(tiles: list[np.ndarray], out: Path, scale: int = 3) -> Path:
    """Pictures beside each other, with a white line between, each pixel `scale` wide."""
    large = [np.kron(tile, np.ones((scale, scale, 1), tile.dtype)) for tile in tiles]
    line = np.full((large[0].shape[0], 6, 3), 255, np.uint8)
    row = [part for tile in large for part in (tile, line)][:-1]
    write_image(out, np.hstack(row))
    return out


def passes(work: Path, out: Path) -> Path:
    """The passes of the painted object in one frame."""
    shot = painted_truth(work)
    t, name = shot.frames // 2, shot.names[0]
    made = Passes(shot, PASSES, [name], work, None, PLAIN, PLAIN_FINISH)
    images = {kind: image.astype(np.float32) for (_, kind), image in next(made.images([t])).items()}
    paint = encode_srgb(images["paint"][..., :3]) + 0.25 * (1 - images["paint"][..., 3:])
    shown = [np.repeat(images["matte"], 3, 2), images["uv"], images["light"] / 2, paint]
    tiles = [to_integers(picture.clip(0, 1), np.dtype(np.uint8)) for picture in shown]
    return write_tiles(tiles, out / "passes.jpg", 2)


def motion_blur(work: Path, out: Path) -> Path:
    """A frame of the rendered board with paint: as rendered, without blur, and with it."""
    board = work / "blur"
    known = json.loads((board / "scene.json").read_text())
    shot, t = decomposition(board, known), known["frames"] // 2
    tiles = [read_image(board / f"edited/{t:05d}.png")[..., :3]]
    for shutter in (0, known["shutter"]):
        finish = Finish(motion_blur=MotionBlur(shutter, 32))
        tiles.append(next(render_frames(shot, finish=finish, frames=(t, t))))
    tiles = [to_integers(to_float(tile), np.dtype(np.uint8)) for tile in tiles]
    alpha = read_frame_maps(shot, t, ["board"]).uva[0, ..., 2]
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    box = np.s_[max(rows[0] - 6, 0) : rows[-1] + 7, max(columns[0] - 8, 0) : columns[-1] + 9]
    return write_tiles([tile[box] for tile in tiles], out / "motion-blur.jpg", 3)


def paint_once(work: Path, out: Path) -> Path:
    """The animation: forward as shot, a word painted on each texture, and back with the paint."""
    shot = sample_shot(work)
    if not (work / "edits").is_dir():
        paint(shot, work)
    painted = {name: read_image(work / "edits" / f"{name}.png") for name in shot.names}
    textures = {name: read_image(shot.texture_path(name)) for name in shot.names}
    last = shot.frames - 1
    pictures = [sheet(frame(shot, t), textures) for t in range(shot.frames)]
    pictures += [pictures[-1]] * PAUSE
    edits: dict[str, Path] = {}
    now = dict(textures)
    for name in shot.names:
        for partly in strokes(textures[name], painted[name]):
            now[name], edits[name] = partly, work / "strokes" / f"{name}.png"
            write_image(edits[name], partly)
            (edited,) = render_frames(shot, edits, frames=(last, last))
            pictures.append(sheet(to_float(edited), now))
        pictures += [pictures[-1]] * PAUSE
    back = [sheet(to_float(edited), now) for edited in render_frames(shot, edits)]
    pictures += [*back[::-1], *[back[0]] * PAUSE]
    return write_animation(out / "paint-once.webp", pictures)


def strokes(texture: np.ndarray, painted: np.ndarray) -> Iterator[np.ndarray]:
    """The texture with more and more of its paint, from left to right; at last with all of it."""
    columns = np.flatnonzero((texture != painted).any((0, 2)))
    for limit in np.linspace(columns[0], columns[-1] + 1, STROKES + 1)[1:]:
        partly = texture.copy()
        partly[:, : round(limit)] = painted[:, : round(limit)]
        yield partly


def sheet(picture: np.ndarray, textures: dict[str, np.ndarray]) -> np.ndarray:
    """A frame above the textures as they are just then, uint8 [h, w, 3] of even sides."""
    below = row_of([over_grey(texture) for texture in textures.values()], picture.shape[1])
    both = np.concatenate([picture, below])
    return to_bytes(both[: both.shape[0] // 2 * 2, : both.shape[1] // 2 * 2])


def write_animation(path: Path, pictures: list[np.ndarray]) -> Path:
    """An animated WebP of the pictures, each uint8 [h, w, 3], repeated for ever."""
    with av.open(str(path), "w", format="webp", options={"loop": "0"}) as file:
        stream = file.add_stream("libwebp_anim", rate=RATE)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"quality": "60", "compression_level": "6"}
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
    return path


def camera(work: Path, out: Path) -> Path:
    """Three frames of the sample clip, and the same with the background held still."""
    shot = sample_shot(work)
    pattern = work / "held" / "%05d.png"
    options = "--hold", HELD, "--size", WIDE, "--out", pattern
    rows = []
    for t in (0, shot.frames // 2, shot.frames - 1):
        nvd("camera", shot.folder, *options, "--frames", f"{t}-{t}")
        held = to_float(read_image(str(pattern) % t))
        rows.append(row_of([frame(shot, t), held], 960))
    return write_jpeg(out / "camera.jpg", np.concatenate(rows))


def mask_margin(work: Path, out: Path) -> Path:
    """The object's alpha and texture from masks that are too wide, without and with a margin."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOO_WIDE + 1,) * 2)
    (given,) = (SCENE / "masks").iterdir()
    for path in sorted(given.glob("*.png")):
        wide = cv2.dilate(read_image(path)[..., 0], disc)
        write_image(work / "wide" / path.name, wide[..., None])
    alphas, textures = [], []
    for margin in (0, MARGIN):
        folder = work / f"margin-{margin}.nvd"
        mask = f"--mask={given.name}={work / 'wide'}"
        shot = decomposed(folder, SCENE / "frames", mask, f"--mask-margin={margin}")
        alpha = read_frame_maps(shot, shot.frames // 2).uva[0][..., 2:]
        alphas.append(alpha * frame(shot, shot.frames // 2))
        textures.append(over_grey(read_image(shot.texture_path(given.name))))
    return write_jpeg(out / "mask-margin.jpg", row_of([*alphas, *textures], 1200))


def sample_shot(work: Path) -> Shot:
    """The sample clip, decomposed with the masks that lie beside it."""
    mask = f"--mask=tumbler={SAMPLE / 'masks'}"
    return decomposed(work / "tumbler.nvd", SAMPLE / "frames", mask)


def decomposed(folder: Path, clip: Path, *options: str) -> Shot:
    """The decomposition in `folder`, made if it is not there."""
    if not (folder / "manifest.json").is_file():
        nvd("decompose", clip, "--out", folder, *options)
    return Shot.open(folder)


def nvd(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "nvd_core", *map(str, words)], check=True, cwd=ROOT)


def write_jpeg(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coded = cv2.imencode(".jpg", to_bytes(image)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    path.write_bytes(coded.tobytes())
    return path


def to_bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
