"""Masks belong to the frames of their numbers; ids and ! say what of a picture is the object."""

import struct
import zlib

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import write_image
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.masks import load_masks, write_masks
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress

T, H, W, FIRST = 8, 40, 60, 1001


def shape(number):
    mask = np.zeros((H, W), np.uint8)
    n = number - FIRST
    mask[10:20, 5 + 2 * n : 15 + 2 * n] = 255
    return mask


def write_numbered(folder, numbers, image_of=shape):
    for number in numbers:
        write_image(folder / f"m.{number:04d}.png", image_of(number))
    return folder


@pytest.fixture
def info(tmp_path):
    for t in range(T):
        write_image(tmp_path / "clip" / f"s.{FIRST + t}.png", np.full((H, W, 3), t, np.uint8))
    return open_clip(tmp_path / "clip").info


def test_masks_go_by_number_not_by_position(tmp_path, info):
    folder = write_numbered(tmp_path / "m", range(FIRST + 2, FIRST + T + 2))  # as many, two later
    (mask,) = load_masks([("dog", folder)], info)
    assert mask.given == list(range(2, T)) and mask.partial
    for t in mask.given:
        np.testing.assert_array_equal(mask.read(t), shape(FIRST + t))
    assert "1001-1002 are carried" in mask.cautions[0]


def test_key_frames_by_number(tmp_path, info):
    keys = (FIRST, FIRST + 3, FIRST + 7)
    (mask,) = load_masks([("dog", write_numbered(tmp_path / "m", keys))], info)
    assert mask.given == [0, 3, 7] and "1001,1004,1008" in mask.cautions[0]
    write_masks([mask], tmp_path / "shot", T, H, W, Progress())
    weights = np.load(tmp_path / "shot/work/mask_weight.npy")
    assert [t for t in range(T) if weights[0, t].any()] == [0, 3, 7]


def test_numbers_that_the_clip_has_not_are_named(tmp_path, info):
    with pytest.raises(NvdError, match="of other frames") as caught:
        load_masks([("dog", write_numbered(tmp_path / "m", range(2000, 2003)))], info)
    assert (caught.value.expected, caught.value.found[:9]) == (
        "numbers within 1001-1008",
        "2000-2002",
    )


def test_as_many_masks_of_another_numbering_are_taken_in_order_and_said(tmp_path, info):
    folder = write_numbered(tmp_path / "m", range(T), lambda n: shape(n + FIRST))
    (mask,) = load_masks([("dog", folder)], info)
    np.testing.assert_array_equal(mask.read(3), shape(FIRST + 3))
    assert "taken in order" in mask.cautions[0]


def indexed(numbers, folder):
    """Two objects, ids 1 and 2, in indexed PNGs."""
    folder.mkdir()
    for number in numbers:
        ids = (shape(number) > 0).astype(np.uint8)
        ids[25:35, 30:40] = 2
        (folder / f"m.{number:04d}.png").write_bytes(indexed_png(ids))
    return folder


def indexed_png(ids):
    """A PNG whose pixels are indices of black, dark red and dark green, as data sets have them."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = np.pad(ids, ((0, 0), (1, 0)))  # each row begins with its filter, 0
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], 8, 3, 0, 0, 0)
    palette = bytes([0, 0, 0, 128, 0, 0, 0, 128, 0])
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows.tobytes()))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in [*chunks, (b"IEND", b"")])


def test_indexed_pictures_by_id(tmp_path, info):
    folder = indexed(range(FIRST, FIRST + T), tmp_path / "m")
    one, two = load_masks([("one", f"{folder}#1"), ("two", f"{folder}#2")], info)
    for t in (0, 5):
        np.testing.assert_array_equal(one.read(t), shape(FIRST + t))
        expected = np.zeros((H, W), np.uint8)
        expected[25:35, 30:40] = 255
        np.testing.assert_array_equal(two.read(t), expected)
    with pytest.raises(NvdError, match="several objects") as caught:
        load_masks([("dog", folder)], info)
    assert "the ids 1, 2" in caught.value.found and "#1" in caught.value.remedy
    with pytest.raises(NvdError, match="no object 7") as caught:
        load_masks([("dog", f"{folder}#7")], info)
    assert caught.value.expected == "one of the ids 1, 2"


def test_inverted(tmp_path, info):
    folder = write_numbered(tmp_path / "m", range(FIRST, FIRST + T), lambda n: 255 - shape(n))
    (mask,) = load_masks([("dog", f"!{folder}")], info)
    np.testing.assert_array_equal(mask.read(2), shape(FIRST + 2))


def movie(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        for t in range(T):
            pixels = np.full((H, W, 3), 10 * t, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return open_clip(path).info


def test_a_single_picture_beside_a_movie_is_of_the_first_frame(tmp_path):
    info = movie(tmp_path / "a.mp4")
    write_image(tmp_path / "one" / "obj_v0003.png", shape(FIRST))
    (mask,) = load_masks([("dog", tmp_path / "one" / "obj_v0003.png")], info)
    assert mask.frame == 0 and "first frame" in mask.cautions[0]
    write_image(tmp_path / "two" / "mask_00003.png", shape(FIRST))
    (mask,) = load_masks([("dog", tmp_path / "two" / "mask_00003.png")], info)
    assert mask.frame == 0
    (mask,) = load_masks([("dog", tmp_path / "two")], info)  # a folder of masks, by number
    assert mask.frame == 3


def test_key_frames_are_carried_from_both_sides(tmp_path, moving_clips):
    count = 9
    places = np.array([[20 + 6 * t, 40] for t in range(count)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(count), (40, places))
    true = np.load(tmp_path / "masks.npy")
    kept = np.zeros_like(true)
    kept[:, [0, 8]] = true[:, [0, 8]]
    np.save(tmp_path / "masks.npy", kept)
    np.save(tmp_path / "mask_weight.npy", np.where(kept.any((2, 3), keepdims=True), 255, kept))
    propagate_masks(tmp_path, {0: [0, 8]}, Progress())
    masks = np.load(tmp_path / "masks.npy")
    for t in range(count):
        assert moving_clips.overlap(masks[:, t], true[:, t]) > 0.85, t
    np.testing.assert_array_equal(masks[:, [0, 8]], true[:, [0, 8]])
