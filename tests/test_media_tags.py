"""Colour: a file's own space is kept, and said by what is rendered of it."""

import json
import struct
import zlib

import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.editing.render import render, render_frames
from nvd_core.media import primaries
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import decode_srgb, encode_srgb, read_image
from nvd_core.media.picture import PLAIN
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress

AP1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
PQ, HLG, SDR_2020 = (9, 16, 9, 1), (9, 18, 9, 1), (9, 14, 9, 1)


def exr_clip(media_files, folder, **said):
    for t in range(2):
        channels = media_files.named(media_files.ramp(t), dtype="float32")
        media_files.write_exr(folder / f"{t}.exr", channels, **said)
    return folder


SPACES = {
    "ACEScg": ({"chromaticities": AP1}, AP1),
    "XYZ": ({"chromaticities": (1.0, 0, 0, 1, 0, 0, 1 / 3, 1 / 3)}, primaries.XYZ),
    "by its ID": ({"colorInteropID": "lin_rec2020_scene"}, primaries.IDS["lin_rec2020_scene"]),
    "both": ({"chromaticities": AP1, "colorInteropID": "lin_ap1_scene"}, AP1),
}


@pytest.mark.parametrize("name", SPACES)
def test_exr_primaries_are_honoured_and_stay(tmp_path, media_files, name):
    said, expected = SPACES[name]
    shot = media_files.shot_of(exr_clip(media_files, tmp_path / "in", **said), tmp_path / "s.nvd")
    np.testing.assert_allclose(shot.manifest.clip.picture.primaries, expected, atol=1e-4)
    assert not shot.manifest.cautions
    media_files.paint_dog(shot)
    render(shot, tmp_path / "painted" / "%d.exr")
    shot.edit_path("dog").unlink()
    render(shot, tmp_path / "out" / "%d.exr")
    theirs = media_files.read_channels(tmp_path / "in" / "0.exr")
    for folder in ("out", "painted"):
        spec = media_files.spec_of(tmp_path / folder / "0.exr")
        for key, value in said.items():
            found = spec.getattribute(key)
            if isinstance(value, str):
                assert found == value
            else:
                np.testing.assert_allclose(found, value, atol=1e-6)
        assert (spec.getattribute("chromaticities") is None) == ("chromaticities" not in said)
    out = media_files.read_channels(tmp_path / "out" / "0.exr")
    painted = media_files.read_channels(tmp_path / "painted" / "0.exr")
    for channel in "RGB":
        np.testing.assert_array_equal(out[channel], theirs[channel])
        changed = painted[channel] != theirs[channel]
        assert 100 < changed.sum() < 800
    # in the engine it is Rec.709, as OpenImageIO has it, and so it is in an 8-bit file
    colours = next(render_frames(shot))
    if name in ("ACEScg", "both"):
        config = oiio.ColorConfig("ocio://default")
        buffer = oiio.ImageBuf(str(tmp_path / "in" / "0.exr"))
        theirs709 = oiio.ImageBufAlgo.colorconvert(
            buffer, "ACEScg", "Linear Rec.709 (sRGB)", colorconfig="ocio://default"
        )
        assert not theirs709.has_error, (theirs709.geterror(), config.getColorSpaceNames())
        np.testing.assert_allclose(colours, theirs709.get_pixels("float")[..., :3], atol=2e-4)
    render(shot, tmp_path / "png" / "%d.png", bit_depth=16)
    png = read_image(tmp_path / "png" / "0.png") / 65535
    np.testing.assert_allclose(png, encode_srgb(colours).clip(0, 1), atol=1e-4)


def test_paint_in_other_primaries_is_the_same_paint(tmp_path, media_files):
    """The plate in ACEScg and the same one in Rec.709 look alike with the same paint."""
    whole = primaries.to_rec709(AP1)
    for t in range(2):
        linear = decode_srgb(media_files.ramp(t))
        acescg = linear @ np.linalg.inv(whole).T
        for name, image, said in (("a", acescg, {"chromaticities": AP1}), ("r", linear, {})):
            channels = media_files.named(image, dtype="float32")
            media_files.write_exr(tmp_path / name / f"{t}.exr", channels, **said)
    shown = []
    for name in ("a", "r"):
        shot = media_files.shot_of(tmp_path / name, tmp_path / f"{name}.nvd")
        media_files.paint_dog(shot)
        shown.append(next(render_frames(shot)))
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-4)


def test_training_sees_rec709(tmp_path, media_files):
    linear = decode_srgb(media_files.ramp())
    image = linear @ np.linalg.inv(primaries.to_rec709(primaries.XYZ)).T
    for t in range(2):
        channels = media_files.named(image, dtype="float32")
        media_files.write_exr(
            tmp_path / "in" / f"{t}.exr", channels, colorInteropID="lin_ciexyzd65_scene"
        )
    import_clip(open_clip(tmp_path / "in"), tmp_path / "s.nvd", Progress())
    seen = np.load(tmp_path / "s.nvd" / "work" / "frames.npy")[0]
    assert np.abs(seen.astype(int) - media_files.integers(media_files.ramp(), "uint8")).max() <= 1


def test_what_an_exr_says_and_is_not_honoured_is_said(tmp_path, media_files):
    odd = exr_clip(media_files, tmp_path / "a", colorInteropID="srgb_rec709_scene")
    assert "srgb_rec709_scene" in " ".join(open_clip(odd).info.cautions)
    quarrel = exr_clip(
        media_files, tmp_path / "b", chromaticities=AP1, colorInteropID="lin_rec709_scene"
    )
    assert "chromaticities are others" in " ".join(open_clip(quarrel).info.cautions)
    shot = media_files.shot_of(odd, tmp_path / "s.nvd")
    render(shot, tmp_path / "out" / "%d.exr")
    spec = media_files.spec_of(tmp_path / "out" / "0.exr")
    assert spec.getattribute("colorInteropID") == "srgb_rec709_scene"
    plain = exr_clip(media_files, tmp_path / "c")
    assert not open_clip(plain).info.cautions
    render(media_files.shot_of(plain, tmp_path / "t.nvd"), tmp_path / "plain" / "%d.exr")
    spec = media_files.spec_of(tmp_path / "plain" / "0.exr")
    assert spec.getattribute("colorInteropID") is spec.getattribute("chromaticities") is None


def test_frames_of_two_colour_spaces_are_refused(tmp_path, media_files):
    exr_clip(media_files, tmp_path / "in")
    channels = media_files.named(media_files.ramp(1), dtype="float32")
    media_files.write_exr(tmp_path / "in" / "1.exr", channels, chromaticities=AP1)
    with pytest.raises(NvdError, match=r"1\.exr differs from the first frame"):
        list(open_clip(tmp_path / "in"))


ICC = zlib.compress(b"\0" * 36 + b"acsp" + b"\0" * 88 + struct.pack(">I", 0))
PNGS = {
    "nothing": ({}, ""),
    "sRGB": ({"sRGB": b"\0"}, ""),
    "gAMA of sRGB": ({"gAMA": struct.pack(">I", 45455)}, ""),
    "linear gAMA": ({"gAMA": struct.pack(">I", 100000)}, "gamma 1"),
    "iCCP": ({"iCCP": b"Display P3\0\0" + ICC}, "ICC profile"),
    "PQ": ({"cICP": bytes((9, 16, 0, 1))}, "cICP 9, 16, 0, 1"),
    "P3": (
        {
            "cHRM": struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
            "gAMA": struct.pack(">I", 45455),
        },
        "other primaries",
    ),
}
COLOUR = {"cICP", "iCCP", "sRGB", "gAMA", "cHRM"}


@pytest.mark.parametrize("name", PNGS)
def test_png_tags_are_the_same_in_all_frames_that_are_rendered(tmp_path, media_files, name):
    """The first frame is copied, as no paint shows in it; the second is rendered."""
    chunks, caution = PNGS[name]
    for t in range(2):
        image = media_files.integers(media_files.ramp(t), "uint8")
        # of the second, other chunks that mean the same
        own = chunks | ({"tEXt": b"Comment\0x"} if t else {})
        media_files.write_png(tmp_path / "in" / f"{t}.png", image, **own)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    said = " ".join(shot.manifest.cautions)
    assert caution in said if caution else not said
    media_files.paint_dog(shot)
    render(shot, tmp_path / "out" / "%d.png", frames=(1, 1))
    shot.edit_path("dog").unlink()
    render(shot, tmp_path / "out" / "%d.png", frames=(0, 0))
    for t in range(2):
        found = media_files.chunks_of(tmp_path / "out" / f"{t}.png")
        assert {key: found[key] for key in COLOUR & set(found)} == chunks


def test_pngs_with_srgb_and_without_become_one_sequence(tmp_path, media_files):
    for t, chunks in enumerate(({"sRGB": b"\0"}, {})):
        image = media_files.integers(media_files.ramp(t), "uint8")
        media_files.write_png(tmp_path / "in" / f"{t}.png", image, **chunks)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    render(shot, tmp_path / "out" / "%d.png")
    for t in range(2):
        assert media_files.chunks_of(tmp_path / "out" / f"{t}.png")["sRGB"] == b"\0"
        theirs = read_image(tmp_path / "in" / f"{t}.png")
        np.testing.assert_array_equal(read_image(tmp_path / "out" / f"{t}.png"), theirs)


def test_a_profile_goes_from_jpeg_into_png_tiff_and_jpeg(tmp_path, media_files):
    profile = bytes(range(256)) * 300  # more than a segment of JPEG holds
    profile = struct.pack(">I", len(profile)) + profile[4:36] + b"acsp" + profile[40:]
    pixels = media_files.integers(media_files.ramp(), "uint8")
    for t in range(2):
        spec = oiio.ImageSpec(*pixels.shape[1::-1], 3, "uint8")
        kind = oiio.TypeDesc(f"uint8[{len(profile)}]")
        spec.attribute("ICCProfile", kind, np.frombuffer(profile, np.uint8))
        output = oiio.ImageOutput.create(str(tmp_path / f"{t}.jpg"))
        assert output.open(str(tmp_path / f"{t}.jpg"), spec) and output.write_image(pixels)
        output.close()
    # OpenImageIO writes a second segment with other bytes than it was given
    profile = bytes(bytearray(media_files.spec_of(tmp_path / "0.jpg").getattribute("ICCProfile")))
    assert len(profile) == 76800
    shot = media_files.shot_of(tmp_path / "%d.jpg", tmp_path / "shot.nvd")
    assert "ICC profile" in " ".join(shot.manifest.cautions)
    media_files.paint_dog(shot)
    for suffix in (".png", ".tif", ".jpg"):
        render(shot, tmp_path / "out" / f"%d{suffix}")
        path = tmp_path / "out" / f"0{suffix}"
        if suffix == ".png":  # libpng does not approve of this profile
            found = zlib.decompress(media_files.chunks_of(path)["iCCP"].split(b"\0\0", 1)[1])
        else:
            found = media_files.spec_of(path).getattribute("ICCProfile")
        assert bytes(bytearray(found)) == profile


@pytest.mark.parametrize("tags", [PQ, HLG, SDR_2020, (1, 1, 1, 1), (6, 6, 6, 1), (1, 1, 1, 2)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_movies_come_back_tagged_as_they_came(tmp_path, media_files, tags, suffix):
    frames = [media_files.integers(media_files.ramp(t), "uint16") for t in range(2)]
    path = media_files.write_movie(tmp_path / "in.mkv", frames, "ffv1", "yuv444p10le", tags=tags)
    assert media_files.movie_tags(path)["tags"] == tags
    decoded = next(iter(open_clip(path))) / 65535
    assert np.abs(decoded - frames[0] / 65535).max() < 4 / 1023  # the matrix is honoured
    shot = media_files.shot_of(path, tmp_path / "shot.nvd")
    if tags[0] == 9:
        assert "BT.2020" in " ".join(shot.manifest.cautions)
    out = tmp_path / f"out{suffix}"
    render(shot, out)
    expected = (*tags[:3], 1) if suffix == ".mov" else tags  # ProRes is limited always
    assert media_files.movie_tags(out)["tags"] == expected
    back = next(iter(open_clip(out)))
    scale = np.iinfo(back.dtype).max
    error = np.abs(back / scale - decoded)
    assert error.max() < 5 / 1023 if suffix == ".mov" else error.mean() < 0.012  # 4:2:0


def test_an_untagged_movie_is_tagged_709(tmp_path, media_files):
    frames = [media_files.integers(media_files.ramp(t), "uint8") for t in range(2)]
    path = media_files.write_movie(tmp_path / "in.mkv", frames, "ffv1", "yuv444p")
    shot = media_files.shot_of(path, tmp_path / "shot.nvd")
    render(shot, tmp_path / "out.mov")
    assert media_files.movie_tags(tmp_path / "out.mov")["tags"] == (1, 1, 1, 1)
    assert not shot.manifest.cautions


def test_a_pq_movie_as_png_says_so_and_is_no_linear_exr(tmp_path, media_files):
    frames = [media_files.integers(media_files.ramp(t), "uint16") for t in range(2)]
    path = media_files.write_movie(tmp_path / "in.mkv", frames, "ffv1", "yuv444p10le", tags=PQ)
    shot = media_files.shot_of(path, tmp_path / "shot.nvd")
    render(shot, tmp_path / "%d.png")
    found = media_files.chunks_of(tmp_path / "0.png")
    assert found["cICP"] == bytes((9, 16, 0, 1)) and not COLOUR & set(found) - {"cICP"}
    with pytest.raises(NvdError, match="cannot write linear"):
        render(shot, tmp_path / "%d.exr")
    again = media_files.shot_of(tmp_path / "%d.png", tmp_path / "again.nvd")
    render(again, tmp_path / "out.mov")
    assert media_files.movie_tags(tmp_path / "out.mov")["tags"] == PQ


def test_float_tiff_stays_float_and_unclamped(tmp_path, media_files):
    for t in range(2):
        image = (media_files.ramp(t) * 9 - 2).astype(np.float32)
        spec = oiio.ImageSpec(*image.shape[1::-1], 3, "float")
        output = oiio.ImageOutput.create(str(tmp_path / f"{t}.tif"))
        assert output.open(str(tmp_path / f"{t}.tif"), spec) and output.write_image(image)
        output.close()
    shot = media_files.shot_of(tmp_path / "%d.tif", tmp_path / "shot.nvd")
    assert shot.manifest.clip.bit_depth == "float"
    render(shot, tmp_path / "out" / "%d.tif")
    assert str(media_files.spec_of(tmp_path / "out" / "1.tif").format) == "float"
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "1.tif"), image)
    render(shot, tmp_path / "eight" / "%d.tif", bit_depth=8)
    assert read_image(tmp_path / "eight" / "1.tif").dtype == np.uint8


def test_what_a_clip_is_survives_job_json(tmp_path, media_files):
    clip = open_clip(exr_clip(media_files, tmp_path / "in", chromaticities=AP1))
    noted = json.loads(json.dumps(clip.info.to_json()))
    assert ClipInfo.from_json(noted) == clip.info
    for key in ("picture", "cautions"):  # as older versions noted it
        del noted[key]
    assert ClipInfo.from_json(noted).picture == PLAIN
    noted["picture"] = {"alpha": "some"}
    with pytest.raises(NvdError, match=r"job\.json does not say"):
        ClipInfo.from_json(noted)


def test_what_is_no_number_stays_beside_paint(tmp_path, media_files):
    """Matrices spread it over the channels; pixels without paint are left alone."""
    image = media_files.ramp()
    image[0, :3] = [[np.nan, 1, 2], [np.inf, 1, 2], [1, -np.inf, 0.5]]
    for t in range(2):
        channels = media_files.named(image, dtype="float32")
        media_files.write_exr(tmp_path / "in" / f"{t}.exr", channels, chromaticities=AP1)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "s.nvd")
    media_files.paint_dog(shot)
    render(shot, tmp_path / "out" / "%d.exr")
    ours, theirs = (media_files.read_channels(tmp_path / n / "0.exr") for n in ("out", "in"))
    for channel in "RGB":
        np.testing.assert_array_equal(ours[channel][:4], theirs[channel][:4])
        assert (ours[channel] != theirs[channel]).sum() > 100
