"""The kinds of file that the engine reads: where they lie, and what reads them.

A reader is called in the folder that base.py filled, after one file was damaged. It may raise an
NvdError; what it returns is looked through for numbers that are not finite.
"""

import hashlib
import json
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from fuzz_parts.base import FRAMES, HEIGHT, WIDTH
from nvd_core.baking.chunks import is_baked, read_record, shared_layout
from nvd_core.cli.main import main
from nvd_core.editing.camera_path import key_at, load_keys
from nvd_core.editing.changed_frames import RenderedBefore
from nvd_core.editing.edits import edit_paths, load_edit, load_texture
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.editing.uncovered import garbage_of
from nvd_core.evaluation.lpips import Lpips
from nvd_core.evaluation.reproduce.run_list import load_run_list
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.evaluation.truth.tracks import read_tracks
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.job import Job
from nvd_core.media.audio import Sound
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.conversion import FROM_WORKING, TO_WORKING, load_conversion
from nvd_core.media.images import image_layout, image_rate, read_image
from nvd_core.media.movies import Movie
from nvd_core.media.svg import read_svg
from nvd_core.priors.cautions import find_cautions
from nvd_core.priors.flow_files import file_source
from nvd_core.priors.flow_size import flow_size
from nvd_core.priors.masks import frames_of, load_masks
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings, to_dict
from nvd_core.shot.map_chunks import MAGIC
from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex
from nvd_core.shot.values import read_values
from nvd_core.trained import trained
from nvd_core.training.checkpoint import checkpoint_step
from nvd_core.work import MOTION, ClipData, motion_facts, open_array

Reader = Callable[[Path, Path, random.Random], Any]
"""of the base, the damaged file and what chooses among ways to read it"""


class EscapeError(Exception):
    """Something was accepted, or told, in a way that it must not be."""


@dataclass(frozen=True)
class Kind:
    """What is damaged, as patterns in the base, and who reads it."""

    files: tuple[str, ...]
    read: Reader
    slow: bool = False


def _manifest(base: Path, path: Path, chosen: random.Random) -> Any:
    shot = Shot.open(base / "shot.nvd")
    shot.check()
    return None


def _job(base: Path, path: Path, chosen: random.Random) -> Any:
    job = Job.load(base / "work.nvd")
    return ClipInfo.from_json(job.clip) and None if job.clip else None


def _networks(base: Path, path: Path, chosen: random.Random) -> Any:
    checkpoint_step(base / "shot.nvd" / "checkpoint.safetensors")
    load_texture_boxes(base / "shot.nvd")
    return [value.numpy() for value in load_model(base / "shot.nvd").state_dict().values()]


def _maps(base: Path, path: Path, chosen: random.Random) -> Any:
    maps = read_maps(
        path, ["disc", "background"], (HEIGHT, WIDTH) if chosen.random() < 0.7 else None
    )
    return [maps.uva, maps.residual]


def _nodes(base: Path, path: Path, chosen: random.Random) -> Any:
    """Compact maps; half of the time the checksums are made right again, so that more is read."""
    names = ["disc", "background"]
    if chosen.random() < 0.5 and path.is_file():
        _check_again(path)
    files = MapFiles(base / "shot.nvd", names, (HEIGHT, WIDTH))
    maps = [files.read(t, names) for t in range(FRAMES)]
    return [array for frame in maps for array in (frame.uva, frame.residual)]


def _check_again(path: Path) -> None:
    """Put checksums that fit into a damaged file's header, as far as it can be read."""
    data = path.read_bytes()
    begin = len(MAGIC) + 4
    try:
        (size,) = struct.unpack_from("<I", data, len(MAGIC))
        header = json.loads(data[begin : begin + size])
        blocks = data[begin + size :]
        for block in header["blocks"]:
            part = blocks[block["offset"] : block["offset"] + block["size"]]
            block["checksum"] = zlib.crc32(part)
        text = json.dumps(header).encode()
    except (ValueError, LookupError, TypeError, AttributeError, struct.error):
        return
    path.write_bytes(MAGIC + struct.pack("<I", len(text)) + text + blocks)


def _tiles(base: Path, path: Path, chosen: random.Random) -> Any:
    index = TileIndex.load(path.parent, ["disc", "background"], FRAMES)
    if index and any(len(tiles) != FRAMES for tiles in index.tiles.values()):
        raise EscapeError("an index of other frames")


def _work(base: Path, path: Path, chosen: random.Random) -> Any:
    work = base / "work.nvd" / "work"
    motion = open_array(work, MOTION)
    data = ClipData(work)
    find_cautions(work, motion_facts(work))
    if any(array.shape[-3:-1] != (HEIGHT, WIDTH) for array in (data.frames, data.masks[..., None])):
        raise EscapeError("arrays of another size")
    return np.array(motion)


def _records(base: Path, path: Path, chosen: random.Random) -> Any:
    *_, baking = trained(base / "baked.nvd")
    layout = shared_layout(baking, Progress())
    for t in range(FRAMES):
        is_baked(baking.folder, t)
    return read_record(baking, layout, int(path.stem) if path.stem.isdigit() else 0).uva


def _flow(base: Path, path: Path, chosen: random.Random) -> Any:
    folder = base / ("flo" if "flo" in path.relative_to(base).parts else "flow")
    source = file_source((FRAMES, *flow_size(HEIGHT, WIDTH)), folder)
    return [part for t in range(FRAMES - 1) for part in source(t)]


def _tracks(base: Path, path: Path, chosen: random.Random) -> Any:
    return read_tracks(path, FRAMES, WIDTH, HEIGHT, 2).points


def _truth(base: Path, path: Path, chosen: random.Random) -> Any:
    truth = Truth.open(base / "truth")
    digits = path.stem if path.stem.isdigit() else "0"
    t = min(int(digits), truth.frames - 2)
    parts = [truth.frame(t), truth.edited(t), truth.alpha(t), truth.painted(t), truth.light(t)]
    flow = truth.flow(t)
    return [*parts, truth.tracks().points, *([flow[0]] if flow else [])]


def _keys(base: Path, path: Path, chosen: random.Random) -> Any:
    keys = [key_at(load_keys(path, FRAMES), t) for t in range(FRAMES)]
    return np.array([[key.scale, key.x, key.y, key.rotation] for key in keys])


def _runs(base: Path, path: Path, chosen: random.Random) -> Any:
    load_run_list(path)


def _settings(base: Path, path: Path, chosen: random.Random) -> Any:
    to_dict(load_settings(path))


def _masks(base: Path, path: Path, chosen: random.Random) -> Any:
    info = open_clip(base / "frames").info
    given = path if chosen.random() < 0.2 else base / "masks"
    (source,) = load_masks([("disc", given)], info)
    return [source.read(t) for t in frames_of(source, FRAMES)]


def _frames(base: Path, path: Path, chosen: random.Random) -> Any:
    return list(open_clip(base / "frames"))


def _images(base: Path, path: Path, chosen: random.Random) -> Any:
    image_layout(path)
    rate = image_rate(path)
    image = read_image(path)
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4 or (rate is not None and rate <= 0):
        raise EscapeError(f"an image {image.shape}, rate {rate}")


def _edits(base: Path, path: Path, chosen: random.Random) -> Any:
    shot = Shot.open(base / "shot.nvd")
    layer = path.stem if path.stem in shot.names else "disc"
    edit_paths(shot, {})
    return [load_texture(shot, layer), load_edit(shot, layer, path).delta]


def _movies(base: Path, path: Path, chosen: random.Random) -> Any:
    movie = Movie(path)
    if movie.rate <= 0 or movie.frames > 10_000:
        raise EscapeError(f"{movie.frames} frames, rate {movie.rate}")
    for _ in movie.read(0, min(movie.frames, 50)):
        pass


def _rendered(base: Path, path: Path, chosen: random.Random) -> Any:
    known = RenderedBefore(base / "out" / "%05d.png")
    for t in range(FRAMES):
        known.has(t, "x" * 32)
        known.add(t, "x" * 32)
    known.save()


def _weights(base: Path, path: Path, chosen: random.Random) -> Any:
    image = np.zeros((64, 64, 3), np.float32)
    return np.array([Lpips(path)(image, image + np.float32(0.5))])


def _colour(base: Path, path: Path, chosen: random.Random) -> Any:
    """As of a stranger, whose manifest has the digest of what is there."""
    places = [base / name for name in (TO_WORKING, FROM_WORKING)]
    content = b"\0".join(place.read_bytes() if place.is_file() else b"" for place in places)
    conversion = load_conversion(base, hashlib.sha256(content).hexdigest())
    colours = np.linspace(-0.5, 4, 30, dtype=np.float32).reshape(10, 3)
    return [conversion.to_linear(colours), conversion.from_linear(colours)]


def _sound(base: Path, path: Path, chosen: random.Random) -> Any:
    """Into a container that takes its codec, and into one that does not."""
    made = base / "made.tmp"
    for suffix, kind in ((".mkv", "matroska"), (".webm", "webm")):
        with av.open(str(made), "w", format=kind) as target:
            sound = Sound(path, Fraction(1), Fraction(3), suffix)
            for _, packets in sound.packets(target):
                sound.mux(target, packets)
    made.unlink(missing_ok=True)


def _values(base: Path, path: Path, chosen: random.Random) -> Any:
    values = read_values(Shot.open(base / "shot.nvd"))
    return np.array([values.at("disc", t) for t in range(FRAMES)])


def _stack(base: Path, path: Path, chosen: random.Random) -> Any:
    shot = Shot.open(base / "shot.nvd")
    sheets = Sheets(shot)
    sheets.check(range(FRAMES))
    return [sheets.at(name, t).full for name in shot.names for t in range(FRAMES)]


def _svg(base: Path, path: Path, chosen: random.Random) -> Any:
    drawing = read_svg(path)
    return [stroke.points for stroke in drawing.strokes] + [np.array(drawing.box)]


def _garbage(base: Path, path: Path, chosen: random.Random) -> Any:
    return [garbage_of(Shot.open(base / "shot.nvd"), t) for t in range(FRAMES)]


def _commands(base: Path, path: Path, chosen: random.Random) -> Any:
    """A whole command on a copy: exit code 0 or 2, and two lines where it is not 0."""
    out = base / "made"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    kept = shutil.copytree(base / "shot.nvd", out / "shot.nvd")
    begun = shutil.copytree(base / "work.nvd", out / "work.nvd")
    try:
        words = _words(base, path, kept, begun, out, chosen)
        code = main(words)
        if code not in (0, 2):
            raise EscapeError(f"exit code {code} of {' '.join(map(str, words))}")
        if code == 2:
            raise NvdError("refused by the command line", remedy=" ".join(words))
        report = kept / "report" / "report.json"
        if report.is_file():
            json.loads(report.read_text(), parse_constant=_not_finite)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _words(
    base: Path, path: Path, kept: Path, begun: Path, out: Path, chosen: random.Random
) -> list[str]:
    outputs = [out / "%05d.png", out / "a.mp4", out / "%05d.exr", out / ("n" * 300 + ".mp4")]
    odd = ["/dev/full", "/dev/full/%05d.png", str(base / "keys.yaml" / "a.mp4"), "%0999d.png"]
    output = str(chosen.choice(outputs)) if chosen.random() < 0.8 else chosen.choice(odd)
    camera = ["camera", kept, "--out", output, "--keys", base / "keys.yaml"]
    against = chosen.choice((["--tracks", base / "tracks.npz"], ["--truth", base / "truth"], []))
    if path.is_relative_to(base / "work.nvd"):
        ways = [["resume", begun]]
    elif path.name == "keys.yaml":
        ways = [camera]
    elif path.name == "tracks.npz":
        ways = [["evaluate", kept, "--tracks", path]]
    else:
        painted = ["paint", kept, "--frame", "1", "--image", base / "paint.png"]
        ways = [
            ["info", kept],
            ["render", kept, "--out", output],
            ["render", kept, "--out", output, "--mode", "full"],
            ["render", kept, "--out", output, "--edit", f"disc={path}"],
            [*camera, "--hold", "0"],
            ["evaluate", kept, *against],
            painted,
        ]
    words = [str(word) for word in chosen.choice(ways)]
    return [*words, "--json"] if chosen.random() < 0.5 else words


def _not_finite(text: str) -> None:
    raise EscapeError(f"{text} in a report")


STACK_FILES = ("shot.nvd/edits/stack/*.*", "shot.nvd/edits/stack/*/*.*")
KINDS = {
    "manifest": Kind(("shot.nvd/manifest.json",), _manifest),
    "job": Kind(("work.nvd/job.json",), _job),
    "settings": Kind(("settings.yaml",), _settings),
    "checkpoint": Kind(("shot.nvd/checkpoint.safetensors",), _networks),
    "networks": Kind(("shot.nvd/checkpoint.json", "shot.nvd/settings.yaml"), _networks),
    "maps": Kind(("shot.nvd/maps/*.exr",), _maps),
    "nodes": Kind(("shot.nvd/maps/*.nodes",), _nodes),
    "tiles": Kind(("shot.nvd/maps/tiles.npz",), _tiles),
    "work": Kind(("work.nvd/work/*.npy", "work.nvd/work/motion.json"), _work),
    "records": Kind(("baked.nvd/work/bake/*.npz",), _records),
    "flow": Kind(("flow/*.npy", "flo/forward/*.flo", "flo/backward/*.flo"), _flow),
    "tracks": Kind(("tracks.npz",), _tracks),
    "truth": Kind(("truth/truth.json", "truth/*.npz", "truth/*/*.*", "truth/*/*/*.*"), _truth),
    "keys": Kind(("keys.yaml",), _keys),
    "runs": Kind(("runs.yaml",), _runs),
    "frames": Kind(("frames/*.png",), _frames),
    "masks": Kind(("masks/*.png",), _masks),
    "images": Kind(("images/*",), _images),
    "edits": Kind(("shot.nvd/edits/*", "shot.nvd/textures/*", "images/*.*"), _edits),
    "movies": Kind(("movie.*",), _movies),
    "rendered": Kind(("out/.*.json",), _rendered),
    "weights": Kind(("alexnet.pth",), _weights),
    "colour": Kind(("colour/*.ctf",), _colour),
    "sound": Kind(("*.mka",), _sound),
    "values": Kind(("shot.nvd/edits/values.json",), _values),
    "stack": Kind(("shot.nvd/edits/stack.json",) * 3 + STACK_FILES, _stack),
    "svg": Kind(("*.svg",), _svg),
    "garbage": Kind(("shot.nvd/masks/garbage.png",), _garbage),
    "commands": Kind(
        ("shot.nvd/*.*", "shot.nvd/*/*.*", "work.nvd/*.*", "work.nvd/work/*", "*.yaml", "*.npz"),
        _commands,
        slow=True,
    ),
}
