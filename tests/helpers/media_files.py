"""Small files of every kind, and shots made of them without a training: the table's and the tests'.

`shot_of` imports a source as `nvd decompose` does; maps and textures are by formula.
"""

import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio

from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import write_image
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

FRAMES, HEIGHT, WIDTH = 2, 32, 48
LAYERS = ("dog", "background")


def ramp(t: int = 0, height: int = HEIGHT, width: int = WIDTH, alpha: bool = False) -> np.ndarray:
    """Straight colours and alpha in 0..1, float64 [H, W, 3 or 4], other at every pixel."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    parts = [0.1 + 0.7 * x, 0.2 + 0.6 * y, 0.5 + 0.3 * np.sin(9 * x + 5 * y + t)]
    if alpha:
        opacity = np.clip(1.4 * x - 0.2, 0, 1)
        parts.append(opacity)
    return np.stack(parts, -1)


def integers(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values 0..1 as whole numbers of `dtype`."""
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def write_exr(
    path: Path, channels: dict[str, np.ndarray], *, windows=None, part="", **said
) -> Path:
    """An EXR of the channels [H, W] by name, each in its own type.

    `windows` are (x, y) of the data window, then x, y, width and height of the display window.
    """
    return write_parts(path, [("", channels)], windows=windows, **said)


def write_parts(path: Path, parts: list, *, windows=None, **said) -> Path:
    """An EXR of several parts, (name, channels) each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    specs = [_spec(name, channels, windows, said) for name, channels in parts]
    output = oiio.ImageOutput.create(str(path))
    first = specs[0] if len(specs) == 1 else tuple(specs)
    assert output.open(str(path), first), output.geterror()
    for n, (_, channels) in enumerate(parts):
        if n:
            assert output.open(str(path), specs[n], "AppendSubimage"), output.geterror()
        pixels = np.stack([channel.astype(np.float32) for channel in channels.values()], -1)
        assert output.write_image(pixels), output.geterror()
    assert output.close()
    return path


def _spec(name: str, channels: dict, windows: tuple | None, said: dict) -> oiio.ImageSpec:
    height, width = next(iter(channels.values())).shape
    kinds = {"float16": "half", "float32": "float", "float64": "float", "uint32": "uint"}
    spec = oiio.ImageSpec(width, height, len(channels), "float")
    spec.channelnames = tuple(channels)
    formats = [oiio.TypeDesc(kinds[channel.dtype.name]) for channel in channels.values()]
    spec.channelformats = tuple(formats)
    if len({str(kind) for kind in formats}) == 1:
        spec.set_format(formats[0])
    if windows:
        spec.x, spec.y = windows[:2]
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = windows[2:]
    if name:
        spec.attribute("oiio:subimagename", name)
    for key, value in said.items():
        if isinstance(value, tuple):
            spec.attribute(key, oiio.TypeDesc(f"float[{len(value)}]"), value)
        else:
            spec.attribute(key, value)
    return spec


def named(pixels: np.ndarray, prefix: str = "", dtype: str = "float16") -> dict[str, np.ndarray]:
    """Channels R, G, B (A) of [H, W, C] behind a prefix."""
    return {
        f"{prefix}{c}": pixels[..., n].astype(dtype)
        for n, c in enumerate("RGBA"[: pixels.shape[2]])
    }


def read_channels(path: Path, part: int = 0) -> dict[str, np.ndarray]:
    """All channels of an image by name, float32, as OpenImageIO reads them, data window alone."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    image = oiio.ImageInput.open(str(path), config)
    assert image.seek_subimage(part, 0)
    spec = image.spec()
    pixels = image.read_image(part, 0, 0, spec.nchannels, "float")
    pixels = pixels.reshape(spec.height, spec.width, spec.nchannels)
    return {name: pixels[..., n] for n, name in enumerate(spec.channelnames)}


def spec_of(path: Path) -> oiio.ImageSpec:
    """What OpenImageIO says of an image."""
    return oiio.ImageInput.open(str(path)).spec()


def write_png(path: Path, pixels: np.ndarray, **chunks: bytes) -> Path:
    """A PNG of uint8 or uint16 [H, W, 3 or 4] with no other chunks than these."""
    height, width, channels = pixels.shape
    depth, kind = 8 * pixels.dtype.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = pixels.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    parts += [(name.encode(), content) for name, content in chunks.items()]
    parts += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
    return path


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def chunks_of(path: Path) -> dict[str, bytes]:
    """The chunks of a PNG by name, without its pixels."""
    data, place, found = path.read_bytes(), 8, {}
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        found[name.decode()] = data[place + 8 : place + 8 + length]
        place += length + 12
    found.pop("IDAT")
    return found


def write_movie(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str,
    layout: str,
    *,
    tags: tuple[int, int, int, int] | None = None,
    aspect: Fraction | None = None,
    matrix: tuple[int, ...] | None = None,
    **options: str,
) -> Path:
    """A movie of uint8 or uint16 frames [H, W, 3 or 4], in the YUV matrix that `tags` name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        for t, pixels in enumerate(frames):
            if not t:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = layout
                if matrix:
                    stream.set_display_matrix(matrix)
                if aspect:
                    stream.codec_context.sample_aspect_ratio = aspect
                if tags:
                    _tag(stream.codec_context, tags)
            letters, deep = "rgba"[: pixels.shape[2]], pixels.dtype == "uint16"
            kind = letters + {"rgb": ("24", "48le"), "rgba": ("", "64le")}[letters][deep]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), kind)
            frame = frame.reformat(
                format=layout,
                dst_colorspace=tags[2] if tags else None,
                dst_color_range=tags[3] if tags else None,
            )
            if tags:
                _tag(frame, tags)
            frame.pts, frame.time_base = t, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _tag(target, tags: tuple[int, int, int, int]) -> None:
    target.color_primaries, target.color_trc, target.colorspace, target.color_range = tags


def movie_tags(path: Path) -> dict:
    """What FFmpeg says of a movie and its first frame, and its planes' layout."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        numbers = frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range
        return {
            "tags": tuple(int(n) for n in numbers),
            "aspect": stream.sample_aspect_ratio,
            "layout": frame.format.name,
            "size": (frame.width, frame.height),
        }


def shot_of(source: Path | str, folder: Path, height: int | None = None, **how) -> Shot:
    """A folder as `nvd decompose` leaves it, with maps by formula: a dog in the middle."""
    clip = open_clip(source, height=height, **{k: v for k, v in how.items() if v is not None})
    import_clip(clip, folder, Progress())
    info = clip.info
    y, x = np.mgrid[0 : info.height, 0 : info.width].astype(np.float32)
    u, v = (x + 0.5) / info.width, 1 - (y + 0.5) / info.height
    middle = np.hypot(x - info.width / 2, y - info.height / 2)
    dog = np.clip((info.height / 4 - middle) / 4, 0, 1).astype(np.float32)
    light = np.ones((*dog.shape, 3), np.float16)
    with MapWriter(folder / "maps", list(LAYERS)) as writer:
        for t in range(info.frames):
            writer.write(t, [LayerMaps(u, v, dog, light), LayerMaps(u, v, 1 - dog, light)])
    records = []
    for name in LAYERS:
        texture = np.full((40, 40, 4), 255, np.uint8)
        texture[..., :3] = (90, 140, 60)
        for kind in ("textures", "edits"):
            write_image(folder / kind / f"{name}.png", texture)
        kind = "background" if name == "background" else "object"
        images = f"textures/{name}.png", f"edits/{name}.png"
        records.append(LayerRecord(name, kind, *images, 40, 40))
    record = ClipRecord(
        source=str(source),
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
    )
    frames = "frames/%05d." + ("exr" if info.encoding == "linear" else "png")
    write_manifest(folder, Manifest(record, tuple(records), info.cautions, frames=frames))
    return Shot.open(folder)


def paint_dog(shot: Shot, colour: tuple[int, int, int] = (250, 20, 30)) -> None:
    """Paint the dog's whole texture."""
    texture = np.full((40, 40, 4), 255, np.uint8)
    texture[..., :3] = colour
    write_image(shot.edit_path("dog"), texture)
