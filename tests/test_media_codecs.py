"""Every codec that is written, as FFmpeg and OpenImageIO read it back, and what is refused."""

from fractions import Fraction

import av
import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render
from nvd_core.media.clip import open_clip
from nvd_core.media.codecs import CODECS
from nvd_core.media.picture import PLAIN, Picture
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError

WIDTH, HEIGHT = 256, 128
BT2020 = (9, 16, 9, 1)
WRITTEN = [(name, suffix) for name, codec in CODECS.items() for suffix in codec.suffixes]


def pictures(media_files, dtype="uint16", alpha=False, count=3):
    return [
        media_files.integers(media_files.ramp(t, HEIGHT, WIDTH, alpha), dtype) for t in range(count)
    ]


def write(out, frames, picture=PLAIN, rate=Fraction(25), **options):
    height, width = frames[0].shape[:2]
    depth = 8 if frames[0].dtype == np.uint8 else 16
    with open_writer(out, width, height, rate, depth, picture=picture, **options) as writer:
        for index, frame in enumerate(frames):
            writer.write(index, frame)
    return writer.cautions


def read(path, kind="rgb48le"):
    """Frames as FFmpeg has them, and the first one with its stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec.canonical_name == "vp9" and "a" in kind.removeprefix("rgb"):
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            packets = container.demux(stream)
            frames = [f for p in packets for f in decoder.decode(p if p.size else None)]
        else:
            frames = list(container.decode(stream))
        facts = {
            "codec": stream.codec.canonical_name,
            "layout": frames[0].format.name,
            "tags": tuple(
                int(n)
                for n in (
                    stream.codec_context.color_primaries,
                    stream.codec_context.color_trc,
                    frames[0].colorspace,
                    frames[0].color_range,
                )
            ),
            "rate": stream.average_rate,
            "aspect": stream.sample_aspect_ratio,
            "profile": stream.codec_context.profile,
            "tag": stream.codec_context.codec_tag,
        }
        return [frame.to_ndarray(format=kind) for frame in frames], facts


def error(frames, back):
    pairs = zip(frames, back, strict=True)
    return float(
        np.mean([np.abs(a[..., :3] / 65535 - b[..., :3] / 65535).mean() for a, b in pairs])
    )


@pytest.mark.parametrize(("name", "suffix"), WRITTEN)
def test_every_codec_in_every_container(tmp_path, media_files, name, suffix):
    frames, path = pictures(media_files), tmp_path / f"a{suffix}"
    cautions = write(path, frames, Picture(movie=BT2020), Fraction(30000, 1001), codec=name)
    back, facts = read(path)
    assert len(back) == 3
    assert facts["rate"] == Fraction(30000, 1001)
    expected = (9, 16, 0, 2) if name == "ffv1" else BT2020
    assert facts["tags"] == expected
    assert error(frames, back) < (0.012 if cautions else 0.006)
    assert bool(cautions) == (name in ("h264", "vp9"))
    assert all("8 bits" in text for text in cautions)


@pytest.mark.parametrize(("name", "suffix"), WRITTEN)
def test_pixels_that_are_not_square_are_kept_or_said(tmp_path, media_files, name, suffix):
    path = tmp_path / f"a{suffix}"
    cautions = write(path, pictures(media_files), Picture(pixel_aspect=(16, 11)), codec=name)
    kept = open_clip(path).info.picture.aspect == Fraction(16, 11)
    assert kept == (not any("wide" in text for text in cautions))


def test_what_the_codecs_are_called(tmp_path, media_files):
    frames = pictures(media_files)
    expected = {
        "prores-422-hq": ("a.mov", "prores", "yuv422p10le", "apch"),
        "prores-4444": ("a.mov", "prores", "yuv444p12le", "ap4h"),
        "dnxhr-hqx": ("a.mov", "dnxhd", "yuv422p10le", "AVdh"),
        "hevc": ("a.mp4", "hevc", "yuv420p10le", "hvc1"),
        "h264": ("a.mp4", "h264", "yuv420p", "avc1"),
    }
    for name, (file, codec, layout, tag) in expected.items():
        write(tmp_path / file, frames, codec=name)
        facts = read(tmp_path / file)[1]
        assert (facts["codec"], facts["layout"], facts["tag"]) == (codec, layout, tag)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_ffv1_gives_back_every_value(tmp_path, media_files, dtype, alpha):
    random = np.random.default_rng(5)
    top = np.iinfo(dtype).max + 1
    frames = [random.integers(0, top, (35, 49, 3 + alpha)).astype(dtype) for _ in range(3)]
    path = tmp_path / "a.mkv"
    picture = Picture(alpha="straight" if alpha else "none")
    assert not write(path, frames, picture, codec="ffv1")
    kind = {"uint8": ("rgb24", "rgba"), "uint16": ("rgb48le", "rgba64le")}[dtype][alpha]
    back, _ = read(path, kind)
    assert all(np.array_equal(a, b) for a, b in zip(frames, back, strict=True))
    again = list(open_clip(path).stored())
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))


def test_ten_bits_are_nearer_than_eight(tmp_path, media_files):
    frames = pictures(media_files)
    errors = {}
    for name, suffix in (("h264", "mp4"), ("hevc", "mp4"), ("prores-422-hq", "mov")):
        write(tmp_path / f"{name}.{suffix}", frames, codec=name, quality=100)
        errors[name] = error(frames, read(tmp_path / f"{name}.{suffix}")[0])
    assert errors["hevc"] < 0.7 * errors["h264"]
    assert errors["prores-422-hq"] < 0.7 * errors["h264"]


@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec.quality])
def test_quality_goes_by_the_codecs_own_scale(tmp_path, media_files, name):
    random = np.random.default_rng(1)
    noise = random.normal(0, 1500, (HEIGHT, WIDTH, 3))
    frames = [np.clip(f + noise, 0, 65535).astype(np.uint16) for f in pictures(media_files)]
    suffix, sizes, errors = CODECS[name].suffixes[0], [], []
    for quality in (20, 60, 100):
        path = tmp_path / f"{quality}{suffix}"
        write(path, frames, codec=name, quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(error(frames, read(path)[0]))
    assert sizes == sorted(sizes) and sizes[0] < 0.7 * sizes[2]
    assert errors == sorted(errors, reverse=True) and errors[2] < 0.9 * errors[0]


def test_quality_of_jpeg(tmp_path, media_files):
    (frame,) = pictures(media_files, "uint8", count=1)
    for quality in (30, 90):
        write(tmp_path / f"{quality}_%d.jpg", [frame], quality=quality)
    assert (tmp_path / "30_0.jpg").stat().st_size < 0.8 * (tmp_path / "90_0.jpg").stat().st_size


@pytest.mark.parametrize(
    ("file", "size", "rate", "options", "words"),
    [
        ("a.mov", (256, 128), 25, {"codec": "ffv1"}, "holds no FFV1"),
        ("a.mp4", (256, 128), 25, {"codec": "prores-4444"}, "holds no ProRes 4444"),
        ("a.mkv", (256, 128), 25, {"codec": "ffv1", "quality": 50}, "FFV1 is lossless"),
        ("a.mov", (256, 128), 25, {"codec": "dnxhr-hqx", "quality": 50}, "has one quality"),
        ("a.mov", (130, 98), 25, {"codec": "dnxhr-hqx"}, "no frames so small"),
        ("a.mp4", (48, 32), 25, {"codec": "hevc"}, "no frames so small"),
        ("a.mxf", (256, 128), 12, {}, "MXF knows no 12 frames"),
        ("%d.png", (256, 128), 25, {"codec": "ffv1"}, "have no codec"),
        ("%d.png", (256, 128), 25, {"quality": 50}, "has no quality"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path, file, size, rate, options, words
):
    with pytest.raises(NvdError, match=words):
        open_writer(tmp_path / file, *size, Fraction(rate), **options)
    assert not list(tmp_path.iterdir())


def test_alpha_that_a_codec_lacks_is_said(tmp_path, media_files):
    frames, picture = pictures(media_files, alpha=True), Picture(alpha="straight")
    for name, suffix in WRITTEN:
        path = tmp_path / f"{name}{suffix}"
        cautions = write(path, frames, picture, codec=name)
        has = name in ("prores-4444", "ffv1") or (name == "vp9" and suffix != ".mp4")
        assert bool(cautions) != has, (name, suffix)
        if has:
            back, _ = read(path, "rgba64le")
            alphas = [
                np.abs(a[..., 3] / 65535 - b[..., 3] / 65535).max()
                for a, b in zip(frames, back, strict=True)
            ]
            assert max(alphas) < 0.02
        else:
            assert "no alpha" in cautions[0]


def test_a_dpx_has_ten_bits(tmp_path, media_files):
    shot = media_files.shot_of(png_clip(tmp_path, media_files), tmp_path / "shot.nvd")
    render(shot, tmp_path / "%04d.dpx")
    render(shot, tmp_path / "deep.%04d.dpx", bit_depth=16)
    wanted = media_files.integers(media_files.ramp(0), "uint16") / 65535
    for name, bits in (("0000.dpx", 10), ("deep.0000.dpx", 16)):
        image = oiio.ImageBuf(str(tmp_path / name))
        assert image.spec().get_int_attribute("oiio:BitsPerSample", 16) == bits
        difference = np.abs(image.get_pixels("float") - wanted).max()
        assert difference <= 0.51 / (2**bits - 1)


def png_clip(folder, media_files):
    for t in range(media_files.FRAMES):
        image = media_files.integers(media_files.ramp(t), "uint16")
        media_files.write_png(folder / f"in.{t:04d}.png", image)
    return folder / "in.%04d.png"


def test_a_float_tiff_is_linear(tmp_path, media_files):
    shot = media_files.shot_of(png_clip(tmp_path, media_files), tmp_path / "shot.nvd")
    render(shot, tmp_path / "%04d.tif", bit_depth="float")
    render(shot, tmp_path / "%04d.exr", bit_depth="float")
    tiff, exr = (oiio.ImageBuf(str(tmp_path / f"0000.{kind}")) for kind in ("tif", "exr"))
    assert tiff.spec().format == oiio.FLOAT
    assert np.array_equal(tiff.get_pixels("float"), exr.get_pixels("float"))
    with pytest.raises(NvdError, match="--bits float"):
        render(shot, tmp_path / "%04d.png", bit_depth="float")


def test_the_command_line_names_codecs(tmp_path, media_files):
    shot = media_files.shot_of(png_clip(tmp_path, media_files), tmp_path / "shot.nvd")
    out = tmp_path / "a.mkv"
    assert main(["render", str(shot.folder), "--out", str(out), "--codec", "ffv1"]) == 0
    back, facts = read(out)
    assert facts["layout"] == "gbrp16le"
    wanted = media_files.integers(media_files.ramp(0), "uint16")
    assert np.array_equal(back[0], wanted)
    assert main(["render", str(shot.folder), "--out", str(out), "--codec", "theora"]) == 2
    one = ["render", str(shot.folder), "--out", str(tmp_path / "%d.jpg"), "--quality"]
    assert main([*one, "95"]) == main([*one, "20"]) == 0  # not taken for the same image
    small = (tmp_path / "0.jpg").stat().st_size
    assert main([*one, "95"]) == 0
    assert small < 0.8 * (tmp_path / "0.jpg").stat().st_size
