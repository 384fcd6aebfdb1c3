"""Which picture of an EXR is the picture: whole layers by name, or an error that lists them."""

import itertools

import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image, read_stored
from nvd_core.media.sequences import split_layer
from nvd_core.priors.masks import load_masks
from nvd_core.runtime.errors import NvdError


def flat(value, letters="RGBA", prefix="", dtype="float16"):
    """Channels behind a prefix, each of a value of its own: `value`, `value` + .01, ..."""
    return {f"{prefix}{c}": np.full((4, 6), value + n / 100, dtype) for n, c in enumerate(letters)}


def shown(path, layer=None):
    """The stored values of the picture's first pixel."""
    return read_stored(path, layer).pixels[0, 0].astype(float).round(2).tolist()


WORDS = ("red", "green", "blue", "alpha")
CASES = {
    "root beside a cryptomatte with alpha": (
        flat(0.4, "RGB") | flat(0.2, prefix="crypto00."),
        [0.4, 0.41, 0.42],
    ),
    "root beside one whose layer has no name": (
        flat(0.4, "RGB") | flat(0.2, "A", prefix="."),
        [0.4, 0.41, 0.42],
    ),
    "Blender's own": (
        flat(0.1, prefix="ViewLayer.AO.")
        | flat(0.5, prefix="ViewLayer.Combined.")
        | flat(7, "Z", prefix="ViewLayer.Depth.", dtype="float32"),
        [0.5, 0.51, 0.52, 0.53],
    ),
    "Blender's, composited": (
        flat(0.5, prefix="ViewLayer.Combined.") | flat(0.6, prefix="Composite.Combined."),
        [0.6, 0.61, 0.62, 0.63],
    ),
    "albedo comes first by the alphabet": (
        flat(0.1, "RGB", prefix="albedo.") | flat(0.5, "RGB", prefix="beauty."),
        [0.5, 0.51, 0.52],
    ),
    "names in words": (
        {
            f"rgba.{n}": c
            for n, c in zip(("red", "green", "blue", "alpha"), flat(0.3).values(), strict=False)
        }
        | flat(9, "Z", prefix="depth.", dtype="float32"),
        [0.3, 0.31, 0.32, 0.33],
    ),
    "small letters": (flat(0.3, "rgba"), [0.3, 0.31, 0.32, 0.33]),
    "grey beside depth": (flat(0.3, "Y") | flat(9, "Z"), [0.3]),
    "one layer alone": (flat(0.3, "RGB", prefix="fg."), [0.3, 0.31, 0.32]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_picture_of_one_part(tmp_path, media_files, case):
    channels, wanted = CASES[case]
    media_files.write_exr(tmp_path / "a.exr", channels)
    assert shown(tmp_path / "a.exr") == wanted


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_picture_of_several_parts_in_any_order(tmp_path, media_files, order):
    parts = [
        ("depth", flat(9, "Z", dtype="float32")),
        ("AO", flat(0.1, "RGB")),
        ("rgba", flat(0.5)),
    ]
    media_files.write_parts(tmp_path / "a.exr", [parts[n] for n in order])
    assert shown(tmp_path / "a.exr") == [0.5, 0.51, 0.52, 0.53]
    assert shown(tmp_path / "a.exr", "AO") == [0.1, 0.11, 0.12]
    assert shown(tmp_path / "a.exr", "depth") == shown(tmp_path / "a.exr", "depth.Z") == [9]


def test_a_half_picture_stays_half_beside_a_float_depth(tmp_path, media_files):
    media_files.write_exr(tmp_path / "a.exr", flat(0.5) | flat(9, "Z", dtype="float32"))
    assert read_image(tmp_path / "a.exr").dtype == np.float16
    assert read_image(tmp_path / "a.exr", "Z").dtype == np.float32


@pytest.mark.parametrize(
    "channels",
    [
        flat(0.1, "RGB", prefix="AO.") | flat(9, "Z", prefix="depth."),
        flat(0.1, "RGB", prefix="diffuse.") | flat(0.2, "RGB", prefix="gloss."),
        flat(0.1, prefix="crypto00."),
        flat(9, "XYZ", prefix="N.") | flat(9, "XY", prefix="uv."),
        flat(0.1, prefix="A.Combined.") | flat(0.2, prefix="B.Combined."),
        flat(0.1, "Y") | {"RY": flat(0)["R"], "BY": flat(0)["R"]},
    ],
)
def test_no_guess_but_an_error_that_lists_the_layers(tmp_path, media_files, channels):
    media_files.write_exr(tmp_path / "a.exr", channels)
    with pytest.raises(NvdError, match="cannot tell the picture") as caught:
        read_image(tmp_path / "a.exr")
    for name in channels:
        assert (name.rpartition(".")[0] or "root") in caught.value.found
    assert "a.exr:" in caught.value.remedy


def test_an_error_names_the_parts(tmp_path, media_files):
    parts = [("left", flat(0.1, "RGB")), ("right", flat(0.2, "RGB"))]
    media_files.write_parts(tmp_path / "a.exr", parts)
    with pytest.raises(NvdError, match=r"part 0 left: root \(R, G, B\), part 1 right: root"):
        read_image(tmp_path / "a.exr")
    assert shown(tmp_path / "a.exr", "right") == [0.2, 0.21, 0.22]


def test_a_layer_by_hand(tmp_path, media_files):
    path = tmp_path / "shot.0001.exr"
    channels = flat(0.5) | flat(0.1, "RGB", prefix="VL.albedo.") | flat(9, "XYZ", prefix="VL.P.")
    media_files.write_exr(path, channels | flat(0.7, ("mask",), prefix="roto."))
    for name in ("VL.albedo", "albedo", "vl.ALBEDO"):
        assert shown(path, name) == [0.1, 0.11, 0.12]
    assert shown(path, "VL.P") == [9, 9.01, 9.02]
    assert shown(path, "roto.mask") == shown(path, "roto") == [0.7]
    assert shown(path, "root") == [0.5, 0.51, 0.52, 0.53]
    with pytest.raises(NvdError, match="no layer 'nothing'") as caught:
        read_image(path, "nothing")
    assert "VL.albedo" in caught.value.found
    media_files.write_png(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(NvdError, match="has no layers"):
        read_image(tmp_path / "a.png", "beauty")


def test_a_source_with_its_layer(tmp_path, media_files):
    channels = flat(0.5, "RGB") | flat(0.1, "RGB", prefix="albedo.")
    large = {name: np.full((20, 24), channel[0, 0]) for name, channel in channels.items()}
    for t in (1, 2):
        media_files.write_exr(tmp_path / f"shot.{t:04d}.exr", large)
    pattern = tmp_path / "shot.%04d.exr"
    assert float(next(iter(open_clip(f"{pattern}:albedo")))[0, 0, 0]) == np.float16(0.1)
    assert float(next(iter(open_clip(f"{tmp_path}:albedo")))[0, 0, 0]) == np.float16(0.1)
    clip = open_clip(pattern)
    assert float(next(iter(clip))[0, 0, 0]) == 0.5
    assert any("albedo" in caution for caution in clip.info.cautions)
    media_files.write_exr(
        tmp_path / "roto" / "r.0001.exr",
        {"roto.mask": np.tile(np.float16([0, 1]), (20, 12)), "roto.other": np.ones((20, 24))},
    )
    (mask,) = load_masks([("dog", f"{tmp_path}/roto/r.0001.exr:roto.mask")], clip.info)
    assert mask.read(0)[0, :2].tolist() == [0, 255]


def test_a_colon_that_belongs_to_the_name(tmp_path):
    assert split_layer("C:\\shots\\a.%04d.exr") == (type(tmp_path)("C:\\shots\\a.%04d.exr"), None)
    path, layer = split_layer("C:\\shots\\a.%04d.exr:beauty")
    assert (str(path), layer) == ("C:\\shots\\a.%04d.exr", "beauty")
    assert split_layer("C:frames")[1] is None
    there = tmp_path / "a.exr:beauty"
    assert split_layer(there) == (tmp_path / "a.exr", "beauty")
    there.write_text("a file of that name")
    assert split_layer(there) == (there, None)
    assert split_layer(tmp_path / "12:30.mp4")[1] is None
    assert split_layer("a.exr:VL.Combined")[1] == "VL.Combined"
