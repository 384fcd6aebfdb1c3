"""The stack of edits: its file, its formulas, and the frames that it shows in."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.editing.edits import load_texture
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.render import render, render_frames
from nvd_core.editing.stack_blend import adjusted
from nvd_core.editing.stack_pictures import homography, pinned
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.stack import EMPTY, Entry, Stack, read_stack, stack_path, write_stack

FRAMES = 6


@pytest.fixture
def shot(tmp_path, synthetic):
    return synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES, bit_depth=16)


def frames_of(shot, **how) -> np.ndarray:
    return np.stack(list(render_frames(shot, device="cpu", **how)))


def changed(before: np.ndarray, after: np.ndarray) -> list[int]:
    return [t for t in range(len(before)) if (before[t] != after[t]).any()]


def test_without_a_stack_nothing_changes(shot, stacked, synthetic):
    """Nor with one that shows nothing; also on an edit that is smaller than its texture."""
    edit = synthetic.texture("dog")[::2, ::2].copy()
    edit[5:12, 5:12] = (255, 0, 0, 255)
    write_image(shot.edit_path("dog"), edit)
    before = {mode: frames_of(shot, mode=mode) for mode in ("delta", "full")}
    path = stacked.add_file(shot, "a.png", stacked.picture())
    off = Entry("off", "dog", "picture", file=path, on=False)
    late = Entry("late", "dog", "picture", file=path, frames=(FRAMES, FRAMES + 3))
    none = Entry("none", "cat", "picture", file=path, opacity=0.0)
    for entries in ((), (off, late, none)):
        stacked.put(shot, *entries)
        for mode, frames in before.items():
            assert np.array_equal(frames_of(shot, mode=mode), frames), (mode, entries)


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_an_entry_of_paint_is_as_the_same_paint_on_the_sheet(shot, stacked, synthetic, mode):
    texture = synthetic.texture("dog")
    paint = np.zeros((*texture.shape[:2], 4), np.uint8)
    paint[8:25, 10:30] = (250, 30, 60, 255)
    edit = texture.copy()
    where = paint[..., 3] > 0
    edit[where] = paint[where]
    write_image(shot.edit_path("dog"), edit)
    wanted = frames_of(shot, mode=mode, bit_depth="float")
    write_image(shot.edit_path("dog"), texture)
    path = stacked.add_file(shot, "dog.png", paint)
    stacked.put(shot, Entry("paint", "dog", "paint", file=path))
    got = frames_of(shot, mode=mode, bit_depth="float")
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    assert np.abs(got - frames_of_plain(shot, mode)).max() > 0.2


def frames_of_plain(shot, mode: str) -> np.ndarray:
    text = stack_path(shot).read_text()
    stack_path(shot).unlink()
    plain = frames_of(shot, mode=mode, bit_depth="float")
    stack_path(shot).write_text(text)
    return plain


def test_ranges(shot, stacked):
    before = frames_of(shot)
    path = stacked.add_file(shot, "a.png", stacked.picture())
    stacked.put(shot, Entry("a", "dog", "picture", file=path, frames=(2, 4)))
    assert changed(before, frames_of(shot)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("frames", "fades", "wanted"),
    [
        ((1, 5), (2, 0), [0, 1 / 3, 2 / 3, 1, 1, 1]),
        ((0, 4), (0, 1), [1, 1, 1, 1, 1 / 2, 0]),
        (None, (1, 1), [1 / 2, 1, 1, 1, 1, 1 / 2]),
        ((2, 2), (1, 3), [0, 0, 1 / 8, 0, 0, 0]),
    ],
)
def test_fades(shot, stacked, frames, fades, wanted):
    """Half an opacity, so that the product shows too; on the sheet, where nothing is rounded."""
    path = stacked.add_file(shot, "a.png", stacked.picture(stacked.RED))
    entry = Entry("a", "dog", "picture", file=path, frames=frames, opacity=0.5)
    entry = Entry(**{**entry.__dict__, "fade_in": fades[0], "fade_out": fades[1]})
    stacked.put(shot, entry)
    sheets, texture = Sheets(shot), load_texture(shot, "dog")
    for t, share in enumerate(wanted):
        below = np.float64(texture)
        expected = below + 0.5 * share * (np.array(stacked.RED) - below)
        np.testing.assert_allclose(sheets.at("dog", t).full, expected, atol=1e-6)


FORMULAS = {
    "normal": lambda e, s: s,
    "multiply": lambda e, s: e * s,
    "screen": lambda e, s: e + s - e * s,
    "overlay": lambda e, s: 2 * e * s if e <= 0.5 else 1 - 2 * (1 - e) * (1 - s),
    "soft_light": lambda e, s: (1 - 2 * s) * e**2 + 2 * s * e,
    "add": lambda e, s: e + s,
    "subtract": lambda e, s: e - s,
    "darken": min,
    "lighten": max,
}


@pytest.mark.parametrize("blend", FORMULAS)
def test_blends(shot, stacked, blend):
    """Against the plain formula, number by number, through a half-transparent picture."""
    colour, alpha = (0.2, 0.7, 0.4), 0.6
    path = stacked.add_file(shot, "a.png", stacked.picture(colour, alpha))
    stacked.put(shot, Entry("a", "background", "picture", file=path, blend=blend))
    texture, sheet = load_texture(shot, "background"), Sheets(shot).at("background", 0).full
    for y, x, c in np.random.default_rng(0).integers(0, [56, 90, 3], (200, 3)):
        e, s = float(texture[y, x, c]), round(colour[c] * 65535) / 65535
        a = round(alpha * 65535) / 65535
        assert sheet[y, x, c] == pytest.approx(e + a * (FORMULAS[blend](e, s) - e), abs=2e-6)


def test_entries_lie_on_each_other_in_order(shot, stacked):
    """Each blends with what all below it have made."""
    red = stacked.add_file(shot, "r.png", stacked.picture(stacked.RED))
    grey = stacked.add_file(shot, "g.png", stacked.picture((0.5, 0.5, 0.5)))
    over = Entry("red", "dog", "picture", file=red)
    dim = Entry("dim", "dog", "picture", file=grey, blend="multiply")
    stacked.put(shot, over, dim)
    np.testing.assert_allclose(Sheets(shot).at("dog", 0).full[9, 9], (0.5, 0, 0), atol=1e-4)
    stacked.put(shot, dim, over)
    np.testing.assert_allclose(Sheets(shot).at("dog", 0).full[9, 9], (1, 0, 0), atol=1e-6)


def test_a_pinned_picture_is_where_opencv_puts_it():
    """cv2.getPerspectiveTransform and warpPerspective, at four times the size, brought down."""
    rng = np.random.default_rng(1)
    small = rng.random((12, 16, 3)).astype(np.float32)
    picture = np.dstack([cv2.resize(small, (160, 120)), np.ones((120, 160, 1), np.float32)])
    quad = ((0.2, 0.15), (0.85, 0.25), (0.95, 0.9), (0.1, 0.7))
    width, height, finer = 200, 150, 4
    places = np.float32(quad) * [width * finer, height * finer]
    own = np.float32([[0, 0], [160, 0], [160, 120], [0, 120]]) * finer
    large = cv2.resize(picture, None, fx=finer, fy=finer, interpolation=cv2.INTER_LINEAR)
    matrix = cv2.getPerspectiveTransform(own, places.astype(np.float32))
    fine = cv2.warpPerspective(large, matrix, (width * finer, height * finer))
    wanted = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    placed = pinned(picture, quad, width, height)
    got = np.zeros((height, width, 4), np.float32)
    alpha = placed.alpha
    got[placed.rows, placed.columns] = np.dstack([placed.colours * alpha, alpha])
    inner = cv2.erode((wanted[..., 3] > 0.99).astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 9000
    assert np.abs(got - wanted)[inner].max() < 0.03
    assert got[..., 3].sum() == pytest.approx(wanted[..., 3].sum(), rel=0.01)
    assert not got[~(cv2.dilate((wanted[..., 3] > 0).astype(np.uint8), np.ones((5, 5))) > 0)].any()


def test_the_homography_takes_corners_to_corners():
    start = np.float64([[0, 0], [9, 0], [9, 7], [0, 7]])
    end = np.float64([[3, 2], [11, 4], [10, 12], [1, 9]])
    through = np.c_[start, np.ones(4)] @ homography(start, end).T
    np.testing.assert_allclose(through[:, :2] / through[:, 2:], end, atol=1e-9)


def test_no_fringe_where_a_picture_is_transparent(shot, stacked):
    """What a transparent pixel holds as its colour shows nowhere, however it is filtered."""
    image = stacked.picture(stacked.GREEN, 0.0, 64, 64)
    image[20:44, 20:44] = (65535, 0, 0, 65535)
    path = stacked.add_file(shot, "a.png", image)
    for corners in (None, stacked.QUAD):
        stacked.put(shot, Entry("a", "background", "picture", file=path, corners=corners))
        full, texture = Sheets(shot).at("background", 0).full, load_texture(shot, "background")
        assert (full[..., 1] <= texture[..., 1] + 1e-6).all()
        assert (full[..., 0] > 0.99).sum() > 20


@pytest.mark.parametrize("name", ["m.mp4", "m.mov", "pictures/%05d.png"])
@pytest.mark.parametrize(
    ("after", "wanted"),
    [("hold", "-rgbbb"), ("loop", "-rgbrg"), ("hide", "-rgb--")],
)
def test_a_movie_keeps_time(shot, stacked, name, after, wanted):
    colours = {"r": stacked.RED, "g": stacked.GREEN, "b": stacked.BLUE}
    path = stacked.add_movie(shot, name, list(colours.values()))
    stacked.put(shot, Entry("m", "cat", "movie", file=path, start=1, after=after))
    sheets, texture = Sheets(shot), load_texture(shot, "cat")
    for order in (range(FRAMES), reversed(range(FRAMES))):  # forwards, and against the stream
        for t in order:
            full = sheets.at("cat", t).full
            if wanted[t] == "-":
                assert np.array_equal(full, texture)
            else:
                shown = full.mean((0, 1))
                assert np.abs(shown - colours[wanted[t]]).max() < 0.1, (t, shown)


def test_words_show_inside_their_quad(shot, stacked):
    quad = ((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8))
    words = Entry("w", "background", "text", text="Grüß\nGott", corners=quad, colour=stacked.RED)
    stacked.put(shot, words)
    delta = Sheets(shot).at("background", 0).delta
    rows, columns = np.nonzero(np.abs(delta).max(2) > 0.02)
    height, width = delta.shape[:2]
    assert len(rows) > 100
    assert columns.min() / width > 0.28 and columns.max() / width < 0.72
    assert rows.min() / height > 0.17 and rows.max() / height < 0.83
    assert columns.max() - columns.min() > 0.3 * width or rows.max() - rows.min() > 0.4 * height
    stacked.put(shot, Entry("w", "background", "text", text=" \n ", corners=quad))
    assert not Sheets(shot).at("background", 0).delta.any()


def test_letters_that_the_font_lacks_are_refused(shot, stacked):
    stacked.put(shot, Entry("w", "dog", "text", text="a \N{HIRAGANA LETTER A}"))
    with pytest.raises(NvdError, match="lacks letters") as told:
        next(render_frames(shot))
    assert "\N{HIRAGANA LETTER A}" in told.value.found and "--font" in told.value.remedy


def test_adjustments(shot, stacked):
    """Against OpenCV's HSV, and formulas for gain and gamma."""
    texture = load_texture(shot, "dog")
    hue, share = 70.0, 0.5
    entry = Entry("a", "dog", "adjustment", hue=hue, saturation=share, gain=1.5, gamma=2.0)
    hsv = cv2.cvtColor(texture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + hue) % 360
    hsv[..., 1] = (hsv[..., 1] * share).clip(0, 1)
    wanted = np.sqrt(1.5 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    stacked.put(shot, entry)
    np.testing.assert_allclose(Sheets(shot).at("dog", 0).full, wanted, atol=1e-4)
    plain = Entry("a", "dog", "adjustment")
    assert adjusted(texture, plain) is texture
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10:] = 255
    path = stacked.add_file(shot, "mask.png", mask)
    stacked.put(shot, Entry("a", "dog", "adjustment", gain=0.0, mask=path))
    delta = Sheets(shot).at("dog", 0).delta
    assert not delta[:, :18].any() and (delta[:, 24:] < 0).all()


def test_nothing_outside_the_range_is_rendered_again(shot, stacked, tmp_path):
    pattern = tmp_path / "out" / "%05d.png"
    path = stacked.add_file(shot, "a.png", stacked.picture())
    logo = Entry("a", "dog", "picture", file=path, frames=(1, 2))
    other = Entry("b", "background", "picture", file=path, corners=stacked.QUAD, frames=(4, 5))
    stacked.put(shot, logo, other)
    assert render(shot, pattern)["unchanged"] == 0
    assert render(shot, pattern)["unchanged"] == FRAMES
    stacked.put(shot, Entry(**{**logo.__dict__, "opacity": 0.5}), other)
    assert render(shot, pattern)["unchanged"] == FRAMES - 2
    write_image(shot.folder / path, stacked.picture(stacked.GREEN))  # another file: both entries
    assert render(shot, pattern)["unchanged"] == FRAMES - 4
    fresh = frames_of(shot)
    for t in range(FRAMES):
        assert np.array_equal(read_image(tmp_path / f"out/{t:05d}.png"), fresh[t])
    stack_path(shot).unlink()
    assert render(shot, pattern)["unchanged"] == FRAMES - 4


def test_one_layer_alone_obeys(shot, stacked, tmp_path):
    path = stacked.add_file(shot, "a.png", stacked.picture())
    stacked.put(shot, Entry("a", "dog", "picture", file=path, frames=(2, 3)))
    render(shot, tmp_path / "%05d.png", layer="dog")
    for t in range(FRAMES):
        image = to_float(read_image(tmp_path / f"{t:05d}.png"))
        red = image[image[..., 3] > 0.9][:, 1].max() < 0.01
        assert red == (t in (2, 3)), t


def test_only_what_changed_is_packed_again(shot, stacked):
    """A layer whose sheet stays keeps its pack, and frames that are the same their kernel."""
    path = stacked.add_file(shot, "a.png", stacked.picture())
    still = Entry("s", "cat", "picture", file=path)
    stacked.put(shot, still, Entry("m", "dog", "picture", file=path, frames=(1, 3), fade_in=1))
    sheets = Sheets(shot)
    kernels = FrameKernels(Textures(sheets, ["dog", "cat"], "delta"), False, "cpu")
    kernels.at(1)
    packs = {n: pack for n, (_, pack) in kernels._kept.packed.items()}
    second = kernels.at(2)
    assert kernels._kept.packed[1][1] is packs[1] and kernels._kept.packed[0][1] is not packs[0]
    assert kernels.at(3) is second


def test_a_file_is_read_as_it_was_written(shot, stacked):
    path = stacked.add_file(shot, "a.png", stacked.picture())
    entries = (
        Entry("a b.c", "dog", "picture", file=path, corners=stacked.QUAD, frames=(0, 3), fade_in=2),
        Entry("w", "cat", "text", text="x\ny", colour=(0.5, 0.0, 1.0), blend="screen"),
        Entry("adj", "cat", "adjustment", on=False, hue=-20.0, gain=2.0, gamma=0.5),
    )
    write_stack(shot, Stack(entries))
    assert read_stack(shot).entries == entries
    said = json.loads(stack_path(shot).read_text())
    assert said["schema"] == "nvd.stack" and said["version"] == 1
    assert set(said["entries"][2]) == {"name", "layer", "kind", "on", "hue", "gain", "gamma"}
    stack_path(shot).unlink()
    assert read_stack(shot) == EMPTY


GOOD = {"name": "a", "layer": "dog", "kind": "picture", "file": "edits/stack/a.png"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " a"}, "entries[0].name"),
        ({"name": "a."}, "entries[0].name"),
        ({"name": "a/b"}, "entries[0].name"),
        ({"name": "x" * 61}, "entries[0].name"),
        ({"layer": "bird"}, "entries[0].layer"),
        ({"kind": "film"}, "entries[0].kind"),
        ({"on": 1}, "entries[0].on"),
        ({"opacity": 1.5}, "entries[0].opacity"),
        ({"blend": "burn"}, "entries[0].blend"),
        ({"frames": [3, 1]}, "entries[0].frames"),
        ({"frames": [0.5, 1]}, "entries[0].frames"),
        ({"frames": [-1, 1]}, "entries[0].frames"),
        ({"fade_in": -1}, "entries[0].fade_in"),
        ({"file": "edits/a.png"}, "entries[0].file"),
        ({"file": "edits/stack/../../../a.png"}, "outside itself"),
        ({"file": "/etc/passwd"}, "entries[0].file"),
        ({"file": "edits/stack/a.gif"}, "entries[0].file"),
        ({"file": "edits/stack/%05d.png"}, "entries[0].file"),
        ({"file": None}, "entries[0].file"),
        ({"kind": "movie", "file": "edits/stack/%d/a.png"}, "entries[0].file"),
        ({"corners": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "entries[0].corners"),
        ({"corners": [[0, 0], [0, 0], [1, 1], [0, 1]]}, "entries[0].corners"),
        ({"corners": [[0, 0], [1, 0], [1, 1]]}, "entries[0].corners"),
        ({"corners": [[0, 0], [1e9, 0], [1, 1], [0, 1]]}, "entries[0].corners"),
        ({"text": "x" * 1001}, "entries[0].text"),
        ({"font": "edits/stack/a.png"}, "entries[0].font"),
        ({"colour": [1, 1]}, "entries[0].colour"),
        ({"gamma": 0}, "entries[0].gamma"),
        ({"hue": 200}, "entries[0].hue"),
        ({"after": "stop"}, "entries[0].after"),
        ({"mask": "/x.png"}, "entries[0].mask"),
        ({"size": 3}, "entries[0].size"),
    ],
)
def test_what_cannot_be_is_refused(shot, change, said):
    entry = {k: v for k, v in (GOOD | change).items()}
    text = json.dumps({"schema": "nvd.stack", "version": 1, "entries": [entry]})
    stack_path(shot).write_text(text)
    with pytest.raises(NvdError) as told:
        read_stack(shot)
    assert said in str(told.value) and told.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read"),
        ("[]", "does not hold"),
        ('{"schema": "nvd.values", "version": 1}', "does not hold"),
        ('{"schema": "nvd.stack", "version": 3, "entries": []}', "newer program"),
        ('{"schema": "nvd.stack", "version": 0, "entries": []}', "version"),
        ('{"schema": "nvd.stack", "version": 1}', "misses keys"),
        ('{"schema": "nvd.stack", "version": 1, "entries": {}}', "entries"),
        (json.dumps({"schema": "nvd.stack", "version": 1, "entries": [GOOD] * 201}), "entries"),
        (
            json.dumps(
                {"schema": "nvd.stack", "version": 1, "entries": [GOOD, GOOD | {"name": "A"}]}
            ),
            "names that differ",
        ),
    ],
)
def test_damaged_files_are_refused(shot, text, said):
    stack_path(shot).write_text(text)
    with pytest.raises(NvdError, match=said):
        render(shot, shot.folder.parent / "out.mp4")
    assert not (shot.folder.parent / "out.mp4").exists()


@pytest.mark.parametrize("kind", ["missing", "damaged", "nan", "huge"])
def test_a_bad_picture_is_one_error(shot, stacked, kind):
    path = Path("edits/stack/a.exr" if kind == "nan" else "edits/stack/a.png")
    (shot.folder / path).parent.mkdir()
    if kind == "damaged":
        (shot.folder / path).write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    if kind == "nan":
        write_image(shot.folder / path, np.full((4, 4, 4), np.nan, np.float32))
    if kind == "huge":
        write_image(shot.folder / path, np.zeros((4, 4, 4), np.uint8))
        raw = bytearray((shot.folder / path).read_bytes())
        raw[16:24] = (1 << 30).to_bytes(4, "big") * 2
        (shot.folder / path).write_bytes(raw)
    stacked.put(shot, Entry("a", "dog", "picture", file=str(path)))
    with pytest.raises(NvdError):
        list(render_frames(shot))
