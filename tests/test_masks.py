"""Masks as people have them: grey, labels, palettes, alpha, movies, one image; and bad ones."""

import struct
import zlib

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import write_image
from nvd_core.priors.masks import load_masks, write_masks
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress

T, H, W = 6, 40, 60


@pytest.fixture
def clip_folder(tmp_path):
    for t in range(T):
        write_image(tmp_path / "clip" / f"{t:05d}.png", np.full((H, W, 3), t, np.uint8))
    return tmp_path / "clip"


@pytest.fixture
def info(clip_folder):
    return open_clip(clip_folder).info


def shape(t, height=H, width=W):
    """A square that moves by two pixels a frame, bool [H, W]."""
    mask = np.zeros((height, width), bool)
    mask[10:20, 5 + 2 * t : 15 + 2 * t] = True
    return mask


def write_sequence(folder, image_of, count=T, suffix=".png"):
    for t in range(count):
        write_image(folder / f"{t:05d}{suffix}", image_of(t))
    return folder


def bytes_of(t):
    return shape(t).astype(np.uint8) * 255


def with_alpha(t):
    image = np.full((H, W, 4), 255, np.uint8)
    image[..., 3] = bytes_of(t) if t else 0  # the object comes in with frame 1
    return image


def coloured(t):
    return shape(t)[..., None] * np.uint8([128, 0, 0])  # a label as DAVIS paints it


STORED = {
    "grey": (bytes_of, ".png"),
    "labels 0 and 1": (lambda t: shape(t).astype(np.uint8), ".png"),
    "labels in 16 bits": (lambda t: shape(t).astype(np.uint16), ".png"),
    "16 bits": (lambda t: shape(t).astype(np.uint16) * 65535, ".png"),
    "half": (lambda t: shape(t).astype(np.float16), ".exr"),
    "colour": (coloured, ".png"),
    "alpha that says nothing": (
        lambda t: np.dstack([bytes_of(t)] * 3 + [np.full((H, W), 255, np.uint8)]),
        ".png",
    ),
}


@pytest.mark.parametrize("kind", STORED)
def test_every_way_to_store_a_mask_gives_0_and_255(tmp_path, info, kind):
    image_of, suffix = STORED[kind]
    (mask,) = load_masks([("dog", write_sequence(tmp_path / "m", image_of, suffix=suffix))], info)
    assert (mask.name, mask.single, mask.frame) == ("dog", False, None)
    for t in (*range(T), 2, 0):  # in any order
        frame = mask.read(t)
        assert frame.dtype == np.uint8
        np.testing.assert_array_equal(frame, bytes_of(t))
    with pytest.raises(IndexError):
        mask.read(T)


def test_alpha_counts_where_it_varies_over_the_clip(tmp_path, info):
    (mask,) = load_masks([("dog", write_sequence(tmp_path / "m", with_alpha))], info)
    np.testing.assert_array_equal(mask.read(0), np.zeros((H, W)))
    np.testing.assert_array_equal(mask.read(3), bytes_of(3))


def palette_png(mask):
    """A PNG whose pixels are the indices 0 (black) and 1 (dark red), as data sets label objects."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = np.pad(mask.astype(np.uint8), ((0, 0), (1, 0)))  # each row begins with its filter, 0
    header = struct.pack(">IIBBBBB", mask.shape[1], mask.shape[0], 8, 3, 0, 0, 0)
    palette = bytes([0, 0, 0, 128, 0, 0])
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows.tobytes()))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in [*chunks, (b"IEND", b"")])


def test_palettes_are_expanded(tmp_path, info):
    for t in range(T):
        (tmp_path / f"{t}.png").write_bytes(palette_png(shape(t)))
    (mask,) = load_masks([("dog", tmp_path / "%d.png")], info)
    for t in range(T):
        np.testing.assert_array_equal(mask.read(t), bytes_of(t))


def test_soft_edges_stay_soft(tmp_path, info):
    ramp = np.broadcast_to(np.linspace(0, 65535, W).astype(np.uint16), (H, W))
    (mask,) = load_masks([("dog", write_sequence(tmp_path / "m", lambda t: ramp))], info)
    np.testing.assert_allclose(mask.read(1), ramp / 257, atol=0.51)


def test_a_movie_of_masks(tmp_path, info):
    with av.open(str(tmp_path / "m.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        for t in range(T):
            frame = av.VideoFrame.from_ndarray(bytes_of(t), "gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (mask,) = load_masks([("dog", tmp_path / "m.mp4")], info)
    for t in (0, 1, 5, 2):
        assert ((mask.read(t) > 127) == shape(t)).mean() > 0.99


def test_other_sizes_are_brought_to_the_working_size(tmp_path, clip_folder):
    info = open_clip(clip_folder, height=20).info
    folder = write_sequence(tmp_path / "m", bytes_of)
    (mask,) = load_masks([("dog", folder)], info)
    frame = mask.read(0)
    assert frame.shape == (20, 30)
    assert ((frame > 127) == shape(0)[::2, ::2]).mean() > 0.95
    write_image(tmp_path / "near.png", np.pad(bytes_of(0), ((0, 0), (0, 1))))
    assert load_masks([("dog", tmp_path / "near.png")], info)[0].read(0).shape == (20, 30)


def test_a_range_takes_its_part_of_the_masks_or_masks_of_its_own(tmp_path, clip_folder):
    info = open_clip(clip_folder, frames=(2, 4)).info
    whole = write_sequence(tmp_path / "whole", bytes_of)
    part = write_sequence(tmp_path / "part", lambda t: bytes_of(t + 2), 3)
    for mask in load_masks([("a", whole), ("b", part)], info):
        for t in range(3):
            np.testing.assert_array_equal(mask.read(t), bytes_of(t + 2))


@pytest.mark.parametrize(
    ("name", "frame"),
    [("dog.png", 0), ("00003.png", 1), ("dog_00004.png", 2), ("dog_v3.png", 0), ("99999.png", 0)],
)
def test_one_image_belongs_to_the_frame_in_its_name(tmp_path, clip_folder, name, frame):
    info = open_clip(clip_folder, frames=(2, 4)).info
    write_image(tmp_path / name, bytes_of(3))
    (mask,) = load_masks([("dog", tmp_path / name)], info)
    assert (mask.single, mask.frame) == (True, frame)
    np.testing.assert_array_equal(mask.read(frame), bytes_of(3))
    with pytest.raises(IndexError, match="dog has no frame"):
        mask.read(frame + 1)


def test_arrays_for_training(tmp_path, info):
    write_image(tmp_path / "00002.png", bytes_of(2))
    folder = write_sequence(tmp_path / "m", bytes_of)
    sources = load_masks([("dog", folder), ("cat", tmp_path / "00002.png")], info)
    write_masks(sources, tmp_path / "shot", T, H, W, Progress())
    masks = np.load(tmp_path / "shot/work/masks.npy", mmap_mode="r")
    weights = np.load(tmp_path / "shot/work/mask_weight.npy", mmap_mode="r")
    assert masks.shape == weights.shape == (2, T, H, W)
    assert masks.dtype == weights.dtype == np.uint8
    for t in range(T):
        np.testing.assert_array_equal(masks[0, t], bytes_of(t))
        np.testing.assert_array_equal(masks[1, t], bytes_of(2) * (t == 2))
        assert (weights[0, t] == 255).all() and (weights[1, t] == 255 * (t == 2)).all()


def test_cancelling_leaves_no_half_arrays(tmp_path, info):
    sources = load_masks([("dog", write_sequence(tmp_path / "m", bytes_of))], info)
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        write_masks(sources, tmp_path / "shot", T, H, W, progress)
    assert not list(tmp_path.glob("shot/work/*"))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["my dog"], "'my dog' cannot be the name"),
        ([""], "'' cannot be the name"),
        (["a.b"], "cannot be the name"),
        (["dög"], "cannot be the name"),
        (["dog\n"], "cannot be the name"),
        (["Background"], "can be called background"),
        (["dog", "Dog"], "two objects are called Dog"),
    ],
)
def test_names(info, names, problem):
    with pytest.raises(NvdError, match=problem) as caught:
        load_masks([(name, "nowhere") for name in names], info)
    assert "letters, digits" in caught.value.expected and "left_hand" in caught.value.remedy


@pytest.mark.parametrize(
    ("value", "problem"),
    [(0, "is empty"), (255, "is white everywhere"), (1, "is white everywhere")],
)
def test_empty_and_full_masks(tmp_path, info, value, problem):
    folder = write_sequence(tmp_path / "m", lambda t: np.full((H, W), value, np.uint8))
    with pytest.raises(NvdError, match=f"mask of dog {problem}") as caught:
        load_masks([("dog", folder)], info)
    assert "white on black" in caught.value.remedy


def test_faint_values_are_an_empty_mask(tmp_path, info):
    faint = (np.arange(H * W) % 100).astype(np.uint8).reshape(H, W)  # too many for labels
    with pytest.raises(NvdError, match="mask of dog is empty") as caught:
        load_masks([("dog", write_sequence(tmp_path / "m", lambda t: faint))], info)
    assert caught.value.found.startswith("brightest value 0.")
    assert "one mask for each object" in caught.value.remedy


def test_faint_values_of_two_objects_are_ids(tmp_path, info):
    faint = np.broadcast_to((np.arange(W) % 3).astype(np.uint8), (H, W))
    with pytest.raises(NvdError, match="mask of dog holds several objects") as caught:
        load_masks([("dog", write_sequence(tmp_path / "m", lambda t: faint))], info)
    assert "the ids 1, 2" in caught.value.found and "#1" in caught.value.remedy


def test_wrong_number_of_masks(tmp_path, clip_folder):
    folder = tmp_path / "m"
    for t, letter in enumerate("abcde"):  # names without numbers count by their order
        write_image(folder / f"{letter}.png", bytes_of(t))
    with pytest.raises(NvdError, match="mask of dog has another number of frames") as caught:
        load_masks([("dog", folder)], open_clip(clip_folder, frames=(0, 2)).info)
    assert caught.value.expected == "6 frames, or 3 as decomposed, or one image"
    assert caught.value.found.startswith("5 in")
    assert "every frame" in caught.value.remedy


def test_wrong_proportions(tmp_path, info):
    write_image(tmp_path / "a.png", np.zeros((W, H), np.uint8))
    with pytest.raises(NvdError, match="mask of dog has other proportions") as caught:
        load_masks([("dog", tmp_path / "a.png")], info)
    assert (caught.value.expected, caught.value.found) == ("those of 60 x 40", "40 x 60")
    assert "cropped" in caught.value.remedy


def test_one_image_of_a_frame_outside_the_range(tmp_path, clip_folder):
    write_image(tmp_path / "00005.png", bytes_of(5))
    with pytest.raises(NvdError, match="not decomposed") as caught:
        load_masks([("dog", tmp_path / "00005.png")], open_clip(clip_folder, frames=(1, 3)).info)
    assert (caught.value.expected, caught.value.found) == ("frames 1 to 3", "frame 5")
    assert "rename the image" in caught.value.remedy


def test_masks_that_are_not_there(tmp_path, info):
    with pytest.raises(NvdError, match="no file or folder") as caught:
        load_masks([("dog", tmp_path / "none")], info)
    assert "check the path" in caught.value.remedy


@pytest.mark.clips
@pytest.mark.parametrize("clip", ["bear", "bmx-trees"])
def test_real_masks(clip, clips):
    info = open_clip(clips / clip / "frames", frames=(5, 9), height=432).info
    whole, single = load_masks(
        [("all", clips / clip / "masks"), ("one", clips / clip / "masks" / "00007.png")], info
    )
    assert single.frame == 2
    np.testing.assert_array_equal(single.read(2), whole.read(2))
    assert whole.read(0).shape == (432, 768)
    assert 0.001 < (whole.read(0) > 127).mean() < 0.5
