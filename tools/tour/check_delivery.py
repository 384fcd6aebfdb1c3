"""What the delivery's walk has delivered, looked at from outside of Blender.

    .envs/engine/bin/python tools/tour/check_delivery.py SHOT OUT

SHOT is the folder that was delivered from, OUT holds shot.mov, exr/ and clean/. Prints one JSON
object: sizes, codec, planes and depth as the files say them; how far the delivered frames are from
`nvd render` of the same folder, in dB; and of the paint, the logo, the removal and the pin how much
is to be seen, each by the frames and pixels where it has to be.
"""

import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import OpenImageIO as oiio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nvd_core.evaluation.metrics import psnr, squared_error
from nvd_core.media.images import encode_srgb, read_image, to_float
from nvd_core.shot.map_files import map_files
from nvd_core.shot.pins import read_pins
from nvd_core.shot.shot import Shot

AROUND = 28
"""pixels around a pin in which paint is looked at"""
CHANGED = 16 / 255
"""from which difference on a pixel counts as changed"""
FRAMES = {"paint": 4, "later paint": 36, "logo": 0, "clean": 20, "pin": 36}
"""of the clip, where each is looked for"""


def movie_facts(path: Path) -> tuple[dict, list[np.ndarray]]:
    """What the movie says of itself, and its pictures, [H, W, 3] of 0..1."""
    with av.open(str(path)) as movie:
        stream = movie.streams.video[0]
        context = stream.codec_context
        pictures = [f.to_ndarray(format="rgb48le") / 65535.0 for f in movie.decode(stream)]
        facts = {
            "codec": context.name,
            "profile": str(stream.profile),
            "planes": context.pix_fmt,
            "size": [context.width, context.height],
            "rate": float(stream.average_rate),
            "frames": len(pictures),
        }
    return facts, pictures


def images_facts(folder: Path) -> tuple[dict, list[np.ndarray]]:
    """The same of an EXR sequence; the pictures display-encoded."""
    files = sorted(folder.glob("*.exr"))
    source = oiio.ImageInput.open(str(files[0]))
    spec = source.spec()
    facts = {
        "format": source.format_name(),
        "depth": str(spec.format),
        "channels": list(spec.channelnames),
        "size": [spec.width, spec.height],
        "frames": len(files),
        "names": [files[0].name, files[-1].name],
    }
    source.close()
    # What is brighter than white, or darker than black, is kept in floating point alone
    return facts, [np.clip(encode_srgb(read_image(path)[..., :3]), 0, 1) for path in files]


def rendered(shot: Path, out: Path, *words: str) -> list[np.ndarray]:
    """The frames that `nvd render` makes of a folder in 16 bits, [H, W, 3] of 0..1."""
    command = [sys.executable, "-m", "nvd_core", "render", str(shot), "--threads", "1"]
    command += ["--out", str(out / "%05d.png"), "--bits", "16", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [to_float(read_image(path)) for path in sorted(out.glob("*.png"))]


def without_pins(shot: Path, work: Path, t: int) -> np.ndarray:
    """The frame `t` of a copy from which the pins are taken out."""
    copy = work / "unpinned.nvd"
    subprocess.run(["cp", "-r", str(shot), str(copy)], check=True)
    pins = [sys.executable, "-m", "nvd_core", "pins", "remove", str(copy), "--all"]
    subprocess.run(pins, check=True, stdout=subprocess.DEVNULL)
    (frame,) = rendered(copy, work / "unpinned", "--frames", f"{t}-{t}")
    return frame


def coverage(shot: Shot, layer: str, t: int) -> np.ndarray:
    """Alpha of a layer in frame `t`, [H, W]."""
    return map_files(shot).read(t, [layer]).uva[0, ..., 2]


def is_green(picture: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(picture, -1, 0)
    return (green > 0.3) & (green > 1.6 * red) & (green > 1.6 * blue)


def is_magenta(picture: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(picture, -1, 0)
    return (red > 0.3) & (red > 2 * green) & (blue > 1.5 * green)


def is_logo(picture: np.ndarray) -> np.ndarray:
    red, _green, blue = np.moveaxis(picture, -1, 0)
    return (blue > 0.3) & (blue > 1.8 * red)


def seen(shot: Shot, movie, clean, plain, unpinned) -> dict:
    """How much of each edit the delivered pictures show."""
    plate = {t: to_float(read_image(shot.frame_path(t))) for t in {*FRAMES.values(), 47}}

    def more(test, pictures, t) -> int:
        return int(test(pictures[t]).sum()) - int(test(plate[t]).sum())

    object_ = coverage(shot, shot.names[0], FRAMES["clean"]) > 0.95
    inner = cv2.erode(object_.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    gone = np.abs(clean[FRAMES["clean"]] - plate[FRAMES["clean"]]).max(-1)
    pin = FRAMES["pin"]
    moved = np.abs(plain[pin] - unpinned).max(-1) > CHANGED
    return {
        "paint": more(is_green, movie, FRAMES["paint"]),
        "paint_after_its_range": more(is_green, movie, 47),
        "later_paint": more(is_magenta, movie, FRAMES["later paint"]),
        "later_paint_before_its_range": more(is_magenta, movie, FRAMES["paint"]),
        "logo": more(is_logo, movie, FRAMES["logo"]),
        "logo_in_the_clean_plate": more(is_logo, clean, FRAMES["logo"]),
        "removed_pixels": int(inner.sum()),
        "removed_differ": round(float((gone[inner] > CHANGED).mean()), 4),
        "pinned_pixels_moved": int(moved.sum()),
        "pinned_shift": shift_of(plain[pin] - plate[pin], unpinned - plate[pin], shot, pin),
        "untouched_differ": round(untouched(shot, movie, plate), 5),
    }


def shift_of(paint: np.ndarray, before: np.ndarray, shot: Shot, t: int) -> list[float]:
    """By how many pixels paint has moved around the pin's target in frame `t`, right and down.

    Both are what edits add to the plate, which itself does not move.
    """
    (target,) = [(x, y) for pin in read_pins(shot).shown() for at, x, y in pin.to if at == t]
    left, top = (max(round(place) - AROUND, 0) for place in target)
    crops = [
        np.ascontiguousarray(np.abs(one).sum(-1)[top : top + 2 * AROUND, left : left + 2 * AROUND])
        for one in (before, paint)
    ]
    window = cv2.createHanningWindow(crops[0].shape[::-1], cv2.CV_64F)
    shift, _ = cv2.phaseCorrelate(*(crop.astype(np.float64) for crop in crops), window)
    return [round(float(part), 2) for part in shift]


def untouched(shot: Shot, movie, plate) -> float:
    """Mean difference to the plate in its floor, where nothing was painted."""
    t = FRAMES["logo"]
    return float(np.abs(movie[t][-20:, -60:] - plate[t][-20:, -60:]).mean())


def check(folder: Path, out: Path) -> dict:
    shot, work = Shot.open(folder), out / "check"
    work.mkdir()
    movie, shown = movie_facts(out / "shot.mov")
    exr, painted = images_facts(out / "exr")
    clean, cleaned = images_facts(out / "clean")
    plain = rendered(folder, work / "plain")
    removed = rendered(folder, work / "removed", "--remove", shot.names[0])
    unpinned = without_pins(folder, work, FRAMES["pin"])

    def least(ours, theirs) -> float:
        pairs = zip(ours, theirs, strict=True)
        return round(min(min(psnr(squared_error(a, b)), 99.0) for a, b in pairs), 2)

    clip = shot.manifest.clip
    return {
        "plate": {"size": [clip.width, clip.height], "frames": clip.frames},
        "movie": movie | {"db": least(shown, plain)},
        "exr": exr | {"db": least(painted, plain)},
        "clean": clean | {"db": least(cleaned, removed)},
        "seen": seen(shot, shown, cleaned, plain, unpinned),
    }


if __name__ == "__main__":
    print(json.dumps(check(Path(sys.argv[1]), Path(sys.argv[2]))))
