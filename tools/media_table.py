"""What of a file comes back: each kind made, decomposed, rendered without an edit, and compared.

    .envs/engine/bin/python tools/media_table.py [WORDS ...] [--write docs/reference/media.md]

Prints a table of formats and properties, or puts it into a page. A cell is the measured error (of
1.0, or "exact"), what was kept, or the refusal's own words. WORDS choose rows by their names. Files
are read by OpenImageIO and FFmpeg themselves, not by the engine's readers. A row is a function
marked by `row` that makes a source in a folder.
"""

import argparse
import contextlib
import io
import json
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import OpenImageIO as oiio

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # the makers of small files are the tests' own

from helpers import media_files as files  # noqa: E402

from nvd_core.cli.main import main as nvd  # noqa: E402
from nvd_core.media.images import decode_srgb  # noqa: E402
from nvd_core.media.primaries import IDS  # noqa: E402

COLUMNS = ("picture", "alpha", "colour", "shape", "time", "said")
BEGIN, END = "<!-- made by tools/media_table.py -->\n", "<!-- until here -->\n"
FRAMES = 3
SETTINGS = """
iterations: 20
points: 200
texture_grid: {levels: 4, log2_table: 10}
residual_grid: {levels: 4, log2_table: 10}
alpha_grid: {levels: 4, log2_table: 10}
"""


@dataclass(frozen=True)
class Row:
    """A kind of file: how it is made, and as what it is rendered."""

    name: str
    out: str
    make: Callable[[Path], str]
    """writes the source into a folder and returns what `nvd decompose` is given"""
    part: int = 0
    prefix: str = ""
    """of the channels that are the picture"""
    options: tuple[str, ...] = ()
    """of `nvd render`"""
    linear: bool = False
    """whether display-encoded values come back linear"""


ROWS: list[Row] = []


def row(name: str, out: str, **more) -> Callable:
    """Enter the function below as a row of the table."""

    def enter(make: Callable[[Path], str]) -> Callable[[Path], str]:
        ROWS.append(Row(name, out, make, **more))
        return make

    return enter


def picture(t: int, alpha: bool = False) -> np.ndarray:
    """Frame t, straight, 0 to 1."""
    return files.ramp(t, alpha=alpha)


def pngs(folder: Path, dtype: str, alpha: bool = False, **chunks: bytes) -> str:
    """A sequence of PNGs with these chunks."""
    for t in range(FRAMES):
        image = files.integers(picture(t, alpha), dtype)
        files.write_png(folder / f"in.{t:04d}.png", image, **chunks)
    return str(folder / "in.%04d.png")


def large(folder: Path, alpha: bool = False) -> str:
    """A sequence of 16-bit PNGs, large enough for every codec."""
    for t in range(FRAMES):
        image = files.integers(files.ramp(t, 128, 256, alpha), "uint16")
        files.write_png(folder / f"in.{t:04d}.png", image)
    return str(folder / "in.%04d.png")


def timed(folder: Path) -> str:
    """A movie with sound, a timecode that drops numbers, and a reel."""
    path, rate = folder / "in.mov", Fraction(30000, 1001)
    with av.open(str(path), "w") as container:
        container.metadata["timecode"] = "00:00:59;29"
        stream = container.add_stream("prores_ks", rate=rate, options=_P4444)
        stream.height, stream.width, stream.pix_fmt = files.HEIGHT, files.WIDTH, "yuv444p10le"
        stream.metadata["reel_name"] = "A001"
        sound = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for t in range(FRAMES):
            pixels = files.integers(picture(t), "uint16")
            frame = av.VideoFrame.from_ndarray(pixels, "rgb48le").reformat(format="yuv444p10le")
            frame.pts, frame.time_base = t, 1 / rate
            container.mux(stream.encode(frame))
        samples = np.zeros((1, 2 * 4805), np.int16)
        noise = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
        noise.sample_rate, noise.pts, noise.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(sound.encode(noise))
        container.mux(stream.encode())
        container.mux(sound.encode())
    return str(path)


def uneven(folder: Path) -> str:
    """A movie whose pictures show 40, 200 and 20 milliseconds."""
    with av.open(str(folder / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = files.HEIGHT, files.WIDTH, "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for t, at in enumerate((0, 40, 240)):
            pixels = files.integers(picture(t), "uint8")
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(folder / "in.mkv")


def webp(folder: Path) -> str:
    """An animated WebP, lossless."""
    with av.open(str(folder / "in.webp"), "w", format="webp") as container:
        stream = container.add_stream("libwebp_anim", rate=25, options={"lossless": "1"})
        stream.height, stream.width, stream.pix_fmt = files.HEIGHT, files.WIDTH, "bgra"
        for t in range(FRAMES):
            pixels = files.integers(picture(t, alpha=True), "uint8")
            frame = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="bgra")
            frame.pts, frame.time_base = t, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(folder / "in.webp")


def exrs(folder: Path, dtype: str = "float16", alpha: bool = False, windows=None, **said) -> str:
    """A sequence of EXRs, premultiplied where there is alpha."""
    for t in range(FRAMES):
        image = picture(t, alpha) * 3  # brighter than 1
        if alpha:
            image[..., 3] /= 3
            image[..., :3] *= image[..., 3:]
        path = folder / f"in.{t:04d}.exr"
        files.write_exr(path, files.named(image, dtype=dtype), windows=windows, **said)
    return str(folder / "in.%04d.exr")


def movie(folder: Path, name: str, codec: str, layout: str, alpha: bool = False, **more) -> str:
    """A movie of the pictures, from 16 bits."""
    size = (96, 128) if codec == "libx265" else (files.HEIGHT, files.WIDTH)  # x265 breaks at less
    frames = [files.integers(files.ramp(t, *size, alpha), "uint16") for t in range(FRAMES)]
    if not layout.endswith("le"):
        frames = [(frame >> 8).astype(np.uint8) for frame in frames]
    return str(files.write_movie(folder / name, frames, codec, layout, **more))


def by_oiio(folder: Path, suffix: str, dtype: str, scale: float = 1, **said) -> str:
    """A sequence in a format that OpenImageIO writes."""
    for t in range(FRAMES):
        image = picture(t) * scale
        pixels = image.astype(dtype) if dtype == "float32" else files.integers(image, dtype)
        spec = oiio.ImageSpec(*pixels.shape[1::-1], 3, {"float32": "float"}.get(dtype, dtype))
        for key, value in said.items():
            spec.attribute(key.replace("__", ":"), value)
        path = str(folder / f"in.{t:04d}{suffix}")
        output = oiio.ImageOutput.create(path)
        assert output.open(path, spec) and output.write_image(pixels), output.geterror()
        output.close()
    return str(folder / f"in.%04d{suffix}")


def layers(folder: Path, prefix: str, others: dict[str, str], ask: str = "") -> str:
    """EXRs with the picture behind `prefix` and other layers: channels by prefix."""
    for t in range(FRAMES):
        channels = files.named(picture(t), prefix)
        for n, (name, letters) in enumerate(others.items()):
            flat = np.full((files.HEIGHT, files.WIDTH), (n + 1) / 10, np.float32)
            channels |= {f"{name}{letter}": flat for letter in letters}
        files.write_exr(folder / f"in.{t:04d}.exr", channels)
    return str(folder / "in.%04d.exr") + ask


def parts(folder: Path) -> str:
    """EXRs of three parts, the depth first."""
    for t in range(FRAMES):
        depth = np.full((files.HEIGHT, files.WIDTH), 9, np.float32)
        ao = files.named(np.full((files.HEIGHT, files.WIDTH, 3), 0.1))
        whole = [("depth", {"Z": depth}), ("AO", ao), ("rgba", files.named(picture(t)))]
        files.write_parts(folder / f"in.{t:04d}.exr", whole)
    return str(folder / "in.%04d.exr")


_PQ, _HLG, _709, _601 = (9, 16, 9, 1), (9, 18, 9, 1), (1, 1, 1, 1), (6, 6, 6, 1)
_ICC = zlib.compress(b"\0" * 36 + b"acsp" + b"\0" * 88 + struct.pack(">I", 0))
_LINEAR, _WIDE = struct.pack(">I", 100000), struct.pack(">IIB", 1000, 2000, 0)
_P4444 = {"profile": "4444"}
_TURNED = (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30)  # on its side and mirrored
_CRF = {"crf": "1", "preset": "veryfast"}

row("PNG 8", "%04d.png")(lambda f: pngs(f, "uint8"))
row("PNG 16", "%04d.png")(lambda f: pngs(f, "uint16"))
row("PNG 8, alpha", "%04d.png")(lambda f: pngs(f, "uint8", True))
row("PNG 16, alpha", "%04d.png")(lambda f: pngs(f, "uint16", True))
row("PNG, gAMA 1", "%04d.png")(lambda f: pngs(f, "uint8", gAMA=_LINEAR))
row("PNG, iCCP", "%04d.png")(lambda f: pngs(f, "uint8", iCCP=b"Display P3\0\0" + _ICC))
row("PNG, cICP PQ", "%04d.png")(lambda f: pngs(f, "uint16", cICP=bytes((9, 16, 0, 1))))
row("PNG, pixels 2:1", "%04d.png")(lambda f: pngs(f, "uint8", pHYs=_WIDE))
row("JPEG, EXIF 6", "%04d.png")(lambda f: by_oiio(f, ".jpg", "uint8", Orientation=6))
row("TIFF 16", "%04d.tif")(lambda f: by_oiio(f, ".tif", "uint16"))
row("TIFF float", "%04d.tif")(lambda f: by_oiio(f, ".tif", "float32", 4))
row("TIFF, EXIF 5", "%04d.tif")(lambda f: by_oiio(f, ".tif", "uint8", Orientation=5))
row("DPX 10", "%04d.png")(lambda f: by_oiio(f, ".dpx", "uint16", oiio__BitsPerSample=10))
row("EXR half", "%04d.exr")(exrs)
row("EXR float", "%04d.exr")(lambda f: exrs(f, "float32"))
row("EXR half, alpha", "%04d.exr")(lambda f: exrs(f, alpha=True))
row("EXR float, alpha", "%04d.exr")(lambda f: exrs(f, "float32", True))
row("EXR, ACEScg", "%04d.exr")(lambda f: exrs(f, chromaticities=IDS["lin_ap1_scene"]))
row("EXR, XYZ", "%04d.exr")(lambda f: exrs(f, chromaticities=IDS["lin_ciexyzd65_scene"]))
row("EXR, colorInteropID", "%04d.exr")(lambda f: exrs(f, colorInteropID="lin_rec2020_scene"))
row("EXR, pixels 2:1", "%04d.exr")(lambda f: exrs(f, PixelAspectRatio=2.0))
row("EXR, overscan", "%04d.exr")(lambda f: exrs(f, windows=(-8, -6, 0, 0, 32, 20)))
row("EXR, a part", "%04d.exr")(lambda f: exrs(f, windows=(4, 6, 0, 0, 64, 44)))
row("EXR, Blender's layers", "%04d.exr", prefix="ViewLayer.Combined.")(
    lambda f: layers(f, "ViewLayer.Combined.", {"ViewLayer.AO.": "RGB", "ViewLayer.Depth.": "Z"})
)
row("EXR, cryptomatte", "%04d.exr")(lambda f: layers(f, "", {"crypto00.": "RGBA"}))
row("EXR, albedo and beauty", "%04d.exr", prefix="beauty.")(
    lambda f: layers(f, "beauty.", {"albedo.": "RGB"})
)
row("EXR, a layer by hand", "%04d.exr", prefix="fg.")(
    lambda f: layers(f, "fg.", {"": "RGB"}, ":fg")
)
row("EXR, passes alone", "%04d.exr")(lambda f: layers(f, "diffuse.", {"AO.": "RGB"}))
row("EXR, several parts", "%04d.exr", part=2)(parts)
row("H.264, 709", "out.mp4")(lambda f: movie(f, "in.mp4", "libx264", "yuv420p", tags=_709, **_CRF))
row("H.264, 601", "out.mp4")(lambda f: movie(f, "in.mp4", "libx264", "yuv420p", tags=_601, **_CRF))
row("H.264, full range", "out.mp4")(
    lambda f: movie(f, "in.mp4", "libx264", "yuv420p", tags=(1, 1, 1, 2), **_CRF)
)
row("HEVC 10, PQ", "out.mov")(
    lambda f: movie(f, "in.mp4", "libx265", "yuv420p10le", tags=_PQ, crf="1")
)
row("HEVC 10, HLG", "out.mov")(
    lambda f: movie(f, "in.mp4", "libx265", "yuv420p10le", tags=_HLG, crf="1")
)
row("ProRes 4444, alpha", "out.mov")(
    lambda f: movie(f, "in.mov", "prores_ks", "yuva444p10le", True, tags=_709, **_P4444)
)
row("VP9, alpha", "out.webm")(
    lambda f: movie(f, "in.webm", "libvpx-vp9", "yuva420p", True, tags=_709, crf="4", b="0")
)
row("movie, turned and mirrored", "out.mov")(
    lambda f: movie(f, "in.mov", "png", "rgb24", matrix=_TURNED)
)
row("movie, at an odd angle", "out.mov")(
    lambda f: movie(
        f, "in.mov", "png", "rgb24", matrix=(56756, 32768, 0, -32768, 56756, 0, 0, 0, 1 << 30)
    )
)
row("movie, pixels 16:11", "out.mp4")(
    lambda f: movie(f, "in.mp4", "libx264", "yuv420p", tags=_601, aspect=Fraction(16, 11), **_CRF)
)

for _name, _out, _codec in (
    ("H.264", "out.mov", "h264"),
    ("10-bit HEVC", "out.mp4", "hevc"),
    ("VP9", "out.mkv", "vp9"),
    ("ProRes 422 HQ", "out.mov", "prores-422-hq"),
    ("ProRes 4444", "out.mov", "prores-4444"),
    ("DNxHR HQX", "out.mov", "dnxhr-hqx"),
    ("DNxHR HQX", "out.mxf", "dnxhr-hqx"),
    ("FFV1", "out.mkv", "ffv1"),
):
    row(f"PNG 16 as {_name}, {_out[3:]}", _out, options=("--codec", _codec))(large)
for _name, _out, _codec in (
    ("ProRes 422 HQ", "out.mov", "prores-422-hq"),
    ("FFV1", "out.mkv", "ffv1"),
):
    row(f"PNG 16, alpha, as {_name}", _out, options=("--codec", _codec))(lambda f: large(f, True))
row("PNG 16 as DPX 10", "%04d.dpx")(large)
row("PNG 16 as DPX 16", "%04d.dpx", options=("--bits", "16"))(large)
row("PNG 16 as float TIFF", "%04d.tif", options=("--bits", "float"), linear=True)(large)
row("movie, timecode, reel, sound, as .mov", "out.mov")(timed)
row("movie, timecode, reel, sound, as .mp4", "out.mp4")(timed)
row("movie, timecode, reel, sound, as EXR", "%04d.exr", linear=True)(timed)
row("movie, variable frame rate", "out.mkv", options=("--codec", "ffv1"))(uneven)
row("movie, variable frame rate, as PNG", "%04d.png")(uneven)
row("WebP, animated, as FFV1", "out.mkv", options=("--codec", "ffv1"))(webp)


def measured(entry: Row, folder: Path) -> dict[str, str]:
    """The cells of a row."""
    source = entry.make(folder)
    masks, shot = folder / "masks", folder / "shot.nvd"
    (folder / "small.yaml").write_text(SETTINGS)
    first, kinds = shown(source, entry)
    height, width = kinds.get("display") or first.shape[:2]
    for t in range(FRAMES):
        y, x = np.mgrid[0:height, 0:width]
        disc = np.hypot(y - height / 2, x - width / 2) < height / 4
        files.write_png(masks / f"{t:04d}.png", disc[..., None].repeat(3, 2).astype(np.uint8) * 255)
    options = ["--settings", str(folder / "small.yaml"), "--device", "cpu"]
    made = said(["decompose", source, "--out", str(shot), "--mask", f"dog={masks}", *options])
    if "problem" in made:
        return {"picture": f"refused: {made['problem'].replace(str(folder) + '/', '')}"}
    out = str(folder / "out" / entry.out)
    rendered = said(["render", str(shot), "--out", out, *entry.options])
    if "problem" in rendered:
        return {"picture": f"refused: {rendered['problem'].replace(str(folder) + '/', '')}"}
    back, tags = shown(out, Row("", "", entry.make))
    texts = [*made["heard"], *rendered["heard"]]
    cells = {"said": "; ".join(about(text) for text in texts if about(text))}
    if first.shape[:2] != back.shape[:2]:
        return cells | {"picture": "another size", "shape": f"{back.shape[1]} x {back.shape[0]}"}
    wanted = decode_srgb(first[..., :3].astype(np.float32)) if entry.linear else first[..., :3]
    cells["picture"] = error(wanted, back[..., :3])
    alpha = first.shape[2] == 4, back.shape[2] == 4
    cells["alpha"] = error(first[..., 3], back[..., 3]) if all(alpha) else "lost" * alpha[0]
    cells["shape"] = kept(kinds, tags, "shape")
    cells["colour"] = kept(kinds, tags, "colour")
    cells["time"] = kept(kinds, tags, "time")
    return cells


def about(text: str) -> str:
    """A caution about the file, shortened; those about so small a clip do not count."""
    words = ("layers", "data window", "profile", "gAMA", "cICP", "BT.2020", "holds", "says")
    words += ("does not hold", "encoded anew", "variable frame rate")
    told = any(word in text for word in words) and "name no rate" not in text
    return text.split(": ")[0] if told else ""


def said(arguments: list[str]) -> dict:
    """What a command says at its end, and the cautions that it was `heard` to say."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        nvd([*arguments, "--json"])
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    heard = [event["text"] for event in events if event["event"] == "caution"]
    return events[-1] | {"heard": heard}


def error(theirs: np.ndarray, ours: np.ndarray) -> str:
    """The largest and the mean difference, of 1.0."""
    difference = np.abs(theirs - ours)
    if difference.max() < 1e-7:  # the two sides divide in another precision
        return "exact"
    return f"{difference.max():.2g}, mean {difference.mean():.1g}"


def kept(theirs: dict, ours: dict, key: str) -> str:
    """What is the same, or both where it is not."""
    before, after = theirs.get(key), ours.get(key)
    if before == after:
        return "kept" + (f": {before}" if before else "")
    return f"{before or 'nothing'} becomes {after or 'nothing'}"


def shown(source: str, entry: Row) -> tuple[np.ndarray, dict]:
    """The first frame as OpenImageIO or FFmpeg has it, upright, 0 to 1; and what the file says."""
    path = Path(source.partition(".exr:")[0] + ".exr" if ".exr:" in source else source)
    if "%" not in path.name:
        return _of_movie(path)
    return _of_image(Path(str(path) % 0), entry)


def _of_image(path: Path, entry: Row) -> tuple[np.ndarray, dict]:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    buffer = oiio.ImageBuf(str(path), entry.part, 0, config)
    if path.suffix != ".exr":
        buffer = oiio.ImageBufAlgo.reorient(buffer)
    spec = buffer.spec()
    wanted = [f"{entry.prefix}{letter}" for letter in "RGBA"]
    places = [spec.channelnames.index(name) for name in wanted if name in spec.channelnames]
    pixels = buffer.get_pixels("float")[..., places]
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    windows = (spec.x, spec.y, spec.width, spec.height)
    display = (spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    shape = [f"pixels {aspect:.4g}"] * (abs(aspect - 1) > 1e-3)
    shape += [f"window {windows} of {display}"] * (windows != display)
    primaries = spec.getattribute("chromaticities")
    colour = [", ".join(f"{v:.3g}" for v in primaries)] if primaries else []
    colour += [str(spec.getattribute("colorInteropID") or "")]
    if path.suffix == ".png":
        chunks = files.chunks_of(path)
        colour += [name for name in ("cICP", "iCCP", "sRGB", "gAMA", "cHRM") if name in chunks]
    known: dict = {"shape": ", ".join(shape), "colour": " ".join(filter(None, colour))}
    count = len(list(path.parent.glob(path.name.replace("0000", "????"))))
    if windows != display:
        known["display"] = display[3], display[2]
    words = [
        str(spec.getattribute("dpx:TimeCode") or timecode(spec)),
        spec.getattribute("reelName"),
    ]
    return pixels, known | {"time": ", ".join([f"{count} frames", *filter(None, words)])}


def timecode(spec: oiio.ImageSpec) -> str:
    """An EXR's timecode, from SMPTE's bits."""
    word = spec.getattribute("smpte:TimeCode")
    if word is None:
        return ""
    text = f"{word[0] & ~(1 << 6):08x}"
    drop = bool(word[0] & 1 << 6)
    return f"{text[:2]}:{text[2:4]}:{text[4:6]}{':;'[drop]}{text[6:]}"


def _of_webp(path: Path) -> tuple[np.ndarray, dict]:
    animation = cv2.imreadanimation(str(path))[1]
    rate = Fraction(1000, animation.durations[0])
    time = f"{len(animation.frames)} frames at {rate}"
    return animation.frames[0][..., [2, 1, 0, 3]] / 255, {"shape": "", "colour": "", "time": time}


def _of_movie(path: Path) -> tuple[np.ndarray, dict]:
    if path.suffix == ".webp":
        return _of_webp(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec.canonical_name == "vp9":
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            frames = [
                f for p in container.demux(stream) for f in decoder.decode(p if p.size else None)
            ]
        else:
            frames = list(container.decode(stream))
        frame = frames[0]
        alpha = any(component.is_alpha for component in frame.format.components)
        context = stream.codec_context  # libvpx tells less of its frames than WebM
        primaries = frame.color_primaries if frame.color_primaries != 2 else context.color_primaries
        transfer = frame.color_trc if frame.color_trc != 2 else context.color_trc
        numbers = primaries, transfer, frame.colorspace, frame.color_range
        if frame.format.is_rgb and max(part.bits for part in frame.format.components) == 8:
            pixels = frame.to_ndarray(format="rgba" if alpha else "rgb24") / 255
        else:
            pixels = frame.to_ndarray(format="rgba64le" if alpha else "rgb48le") / 65535
        matrix = frame.side_data.get("DISPLAYMATRIX")
        aspect = stream.sample_aspect_ratio or Fraction(1)
        rate = stream.average_rate
        words = dict(container.metadata)
        for one in container.streams:
            words |= one.metadata
        words = {key.lower(): value for key, value in words.items()}
        said_too = [words.get("timecode"), words.get("reel_name")]
        said_too += [one.codec_context.codec.canonical_name for one in container.streams.audio]
        steps = [round(float((b.pts - a.pts) * a.time_base), 3) for a, b in pairwise(frames)]
        even = max(steps) - min(steps) < 0.003
        pace = f"at {rate}" if even else "after " + ", ".join(f"{step:g}" for step in steps)
    if matrix is not None and bytes(matrix)[:36] == struct.pack("=9i", *_TURNED):
        pixels = pixels.swapaxes(0, 1)
    shape = f"pixels {aspect}" if aspect != 1 else ""
    colour = "/".join(str(int(n)) for n in numbers)
    time = ", ".join([f"{len(frames)} frames {pace}", *filter(None, said_too)])
    return pixels, {"shape": shape, "colour": colour, "time": time}


def table(words: list[str]) -> str:
    """The table in Markdown; progress goes to standard error."""
    lines = ["| format | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for entry in ROWS:
        if words and not any(word.lower() in entry.name.lower() for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            cells = measured(entry, Path(folder))
        line = f"| {entry.name} | " + " | ".join(cells.get(key, "") for key in COLUMNS) + " |"
        print(line, file=sys.stderr, flush=True)
        lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORDS", help="of the rows' names")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    given = parser.parse_args()
    text = table(given.words)
    if given.write is None:
        print(text, end="")
        return
    page = given.write.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    given.write.write_text(before + BEGIN + text + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
