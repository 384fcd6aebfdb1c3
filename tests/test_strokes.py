"""Strokes and words that are anchored to a texture, as wide on it or as wide in every frame."""

import json
from itertools import pairwise

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.kept_width import Drawing
from nvd_core.editing.render import render, render_frames
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.editing.stroke_cover import Views, distances, of_frame
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import PLAIN_FINISH
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, read_stack, stack_path
from nvd_core.shot.strokes import Stroke, read_strokes, write_strokes
from nvd_core.shot.values import PLAIN

FRAMES, WIDTH, HEIGHT = 4, 96, 64
GROWS = (1.0, 1.25, 1.6, 2.0)
"""how much larger the background is seen in each frame"""
RED = (1.0, 0.0, 0.0)


@pytest.fixture
def shot(tmp_path, synthetic):
    """The camera comes nearer to the background; a disc stands before its left half."""
    shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES, width=WIDTH, height=HEIGHT)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    with MapWriter(shot.folder / "maps", shot.names) as writer:
        for t, grows in enumerate(GROWS):
            disc = np.clip(10.5 - np.hypot(x - 20, y - 32), 0, 1)
            u = 0.5 + (x - (WIDTH - 1) / 2) / (grows * WIDTH)
            v = 0.5 - (y - (HEIGHT - 1) / 2) / (grows * HEIGHT)
            blank = np.zeros_like(x)
            light = np.full((HEIGHT, WIDTH, 3), 1 + 0.1 * t, np.float16)
            places = (np.where(disc > 0, off / 23, 0).clip(0, 1) for off in (x - 9, y - 21))
            own = LayerMaps(*places, disc, light)
            none = LayerMaps(blank, blank, blank, np.ones_like(light))
            left = 1 - disc
            hidden = left < 1 / 1024
            u, v, left = (np.where(hidden, 0, a).astype(np.float32) for a in (u, v, left))
            writer.write(t, [own, none, LayerMaps(u, v, left, light)])
    return Shot.open(shot.folder)


def put_strokes(shot, stacked, strokes, **keys) -> Entry:
    path = shot.folder / "edits/stack/a.strokes"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_strokes(path, tuple(strokes))
    entry = Entry("a", "background", "strokes", file="edits/stack/a.strokes", **keys)
    stacked.put(shot, entry)
    return entry


def covered(shot, t: int) -> np.ndarray:
    """How a red entry covers the pixels of frame `t`, by what it changes of a black sheet."""
    black = np.zeros_like(read_image(shot.edit_path("background")))
    black[..., 3] = 255
    for path in (shot.edit_path("background"), shot.texture_path("background")):
        write_image(path, black)
    sheets, numbers = Sheets(shot), range(FRAMES)
    maps = read_maps(shot.map_path(t), shot.names)
    change = Drawing(shot, sheets, PLAIN, numbers).change(maps, t)
    light = maps.residual[2, ..., 0]
    return change[..., 0] / light


def test_kept_width_is_the_same_in_every_frame(shot, stacked):
    """Across a slanting line the cover sums up to its width; laid on the sheet it grows."""
    line = Stroke(((0.45, 0.3), (0.55, 0.7)), RED, width=5.0, share=5 / WIDTH)
    put_strokes(shot, stacked, [line], keep_width=True)
    for t, grows in enumerate(GROWS):
        cover = covered(shot, t)
        slant = np.hypot(0.1 * WIDTH, 0.4 * HEIGHT) / (0.4 * HEIGHT)
        middle = cover[HEIGHT // 2 - 3 : HEIGHT // 2 + 3].sum(1)
        np.testing.assert_allclose(middle, 5 * slant, atol=0.15)
        rows = np.flatnonzero(cover.max(1) > 0.5)
        long = 0.4 * HEIGHT * grows + 5 / slant**0  # round ends
        assert abs(len(rows) - min(long, HEIGHT)) <= 2


def test_places_follow_the_texture(shot, stacked):
    point = Stroke(((0.6, 0.4),), RED, width=4.0)
    put_strokes(shot, stacked, [point], keep_width=True)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for t, grows in enumerate(GROWS):
        cover = covered(shot, t)
        wanted = (WIDTH - 1) / 2 + 0.1 * grows * WIDTH, (HEIGHT - 1) / 2 - 0.1 * grows * HEIGHT
        found = (cover * x).sum() / cover.sum(), (cover * y).sum() / cover.sum()
        np.testing.assert_allclose(found, wanted, atol=0.05)
        assert cover.sum() == pytest.approx(np.pi * 4, rel=0.08)


def test_on_the_sheet_strokes_grow_with_the_layer(shot, stacked):
    wide = Stroke(((0.5, 0.1), (0.5, 0.9)), RED, width=5.0, share=9 / 90)
    before = np.stack(list(render_frames(shot, device="cpu"))).astype(float)
    put_strokes(shot, stacked, [wide])
    after = np.stack(list(render_frames(shot, device="cpu"))).astype(float)
    changed = np.abs(after - before).max(3)[:, HEIGHT // 2]
    widths = (changed > 25).sum(1)
    assert widths[3] / widths[0] == pytest.approx(2, abs=0.25)


def test_behind_an_object_nothing_is_drawn(shot, stacked):
    line = Stroke(((0.01, 0.5), (0.99, 0.5)), RED, width=6.0)
    put_strokes(shot, stacked, [line], keep_width=True)
    cover = covered(shot, 0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    assert cover[np.hypot(x - 20, y - 32) < 9].max() == 0
    assert cover[HEIGHT // 2, 32:90].min() > 0.95


def test_the_twin_looks_at_all_pieces():
    """The quick search against every piece for every pixel, in float64, on views that shear."""
    random = np.random.default_rng(1)
    places = random.uniform(0, 1, (900, 2))
    steps = np.eye(2) / 60 + random.uniform(-0.005, 0.005, (900, 2, 2))
    line = np.cumsum(random.normal(size=(60, 2)) / 40, 0) + 0.5
    most, plain = 6.0, []
    for place, step in zip(places, steps, strict=True):
        ends = (line - place) @ np.linalg.inv(step).T
        far = []
        for a, b in pairwise(ends):
            share = np.clip(-a @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            far.append(np.linalg.norm(a + share * (b - a)))
        plain.append(min(far) if min(far) <= most else np.inf)
    found = distances(Views(places, steps), line, most)
    assert np.isfinite(found).sum() > 100
    np.testing.assert_allclose(found, plain, atol=1e-9)


def test_a_break_of_the_map_draws_nothing_astray():
    """Places jump between the columns 9 and 10: a pixel there is as wide as its neighbours say."""
    x = np.tile(np.arange(20.0) / 100, (12, 1)).astype(np.float32)
    x[:, 10:] += 0.5
    y = np.repeat(np.arange(12.0)[:, None] / 100, 20, 1).astype(np.float32)
    uva = np.stack([x, 1 - y, np.ones_like(x)], -1)
    views, numbers = of_frame(uva)
    assert len(numbers) == 240
    np.testing.assert_allclose(
        views.steps, np.broadcast_to(np.eye(2) / 100, (240, 2, 2)), atol=1e-6
    )


def test_range_opacity_light_and_the_sheet_below(shot, stacked):
    """As `multiply` on the sheet would: in its frames, by its opacity, in the layer's light."""
    flat = Stroke(((0.0, 0.5), (1.0, 0.5)), (0.5, 0.5, 0.5), width=200.0)
    keys = {"keep_width": True, "blend": "multiply", "opacity": 0.5, "frames": (1, 2)}
    plain = np.stack(list(render_frames(shot, device="cpu", bit_depth="float")))
    put_strokes(shot, stacked, [flat], **keys)
    drawn = np.stack(list(render_frames(shot, device="cpu", bit_depth="float")))
    assert [t for t in range(FRAMES) if (drawn[t] != plain[t]).any()] == [1, 2]
    image = np.full((8, 8, 4), 32768, np.uint16)
    image[..., 3] = 65535
    path = stacked.add_file(shot, "grey.png", image)
    keys.pop("keep_width")
    stacked.put(shot, Entry("b", "background", "picture", file=path, **keys))
    laid = np.stack(list(render_frames(shot, device="cpu", bit_depth="float")))
    # the sheet is looked up between texels either way: the same but for rounding
    np.testing.assert_allclose(drawn[1], laid[1], atol=2e-4)


def test_words_keep_their_size_where_their_middle_is_seen(shot, stacked):
    corners = ((0.5, 0.4), (0.7, 0.4), (0.7, 0.6), (0.5, 0.6))
    entry = Entry("w", "background", "text", text="H", corners=corners, colour=RED,
                  keep_width=True, pixels=20)  # fmt: skip
    stacked.put(shot, entry)
    sums, y, x = [], *np.mgrid[0:HEIGHT, 0:WIDTH]
    for t, grows in enumerate(GROWS):
        cover = covered(shot, t)
        sums.append(cover.sum())
        middle = (cover * x).sum() / cover.sum(), (cover * y).sum() / cover.sum()
        assert middle[0] == pytest.approx((WIDTH - 1) / 2 + 0.1 * grows * WIDTH, abs=0.6)
        assert middle[1] == pytest.approx((HEIGHT - 1) / 2, abs=0.6)
    np.testing.assert_allclose(sums, sums[0], rtol=0.03)
    high = np.flatnonzero(covered(shot, 3).max(1) > 0.5)
    assert 12 <= high[-1] - high[0] + 1 <= 16  # an H of 20 pixels to the em
    hidden = ((0.15, 0.4), (0.25, 0.4), (0.25, 0.6), (0.15, 0.6))
    stacked.put(shot, Entry(**{**entry.__dict__, "corners": hidden}))
    assert covered(shot, 0).max() == 0


def svg(tmp_path, inner: str, box: str = f"0 0 {WIDTH} {HEIGHT}"):
    path = tmp_path / "drawing.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{inner}</svg>')
    return path


def test_the_command_carries_a_frames_strokes_to_the_texture(shot, tmp_path, capsys):
    """Drawn on frame 2, over the object's edge: what lies beside the layer is left out."""
    file = svg(tmp_path, '<path d="M5 32H90" stroke="#f00" stroke-width="3" fill="none"/>')
    words = ["edits", "add", shot.folder, file, "--layer", "background", "--name", "line"]
    words += ["--on-frame", "2", "--keep-width"]
    assert main([str(word) for word in words]) == 0
    (entry,) = read_stack(shot).entries
    assert entry == Entry("line", "background", "strokes", file="edits/stack/line.strokes",
                          keep_width=True)  # fmt: skip
    assert json.loads(stack_path(shot).read_text())["version"] == 2
    strokes = read_strokes(shot.folder / entry.file)
    assert len(strokes) == 2 and {stroke.width for stroke in strokes} == {3.0}
    right = np.array(strokes[1].points)
    wanted = 0.5 + (90 - 0.5 - (WIDTH - 1) / 2) / (GROWS[2] * WIDTH)
    assert right[-1][0] == pytest.approx(wanted, abs=1e-4)
    assert "left out" in capsys.readouterr().err
    # share: as wide on the texture, of 90 x 56 texels
    texels = np.sqrt(90 / (GROWS[2] * WIDTH) * 56 / (GROWS[2] * HEIGHT))
    assert strokes[1].share == pytest.approx(3 * texels / 90, rel=0.01)


def test_set_switches_between_both(shot, tmp_path):
    file = svg(tmp_path, '<path d="M50 10V50" stroke="#f00" stroke-width="3" fill="none"/>')
    add = ["edits", "add", shot.folder, file, "--layer", "background", "--name", "line"]
    assert (
        main([str(word) for word in [*add, "--on-frame", "0", "--at", "48,0,96,0,96,64,48,64"]])
        == 0
    )
    assert not read_stack(shot).entries[0].keeps_width
    change = ["edits", "set", str(shot.folder), "line", "--keep-width", "--pixels", "7"]
    assert main(change) == 0
    assert read_stack(shot).entries[0].keeps_width
    assert covered(shot, 0)[30].sum() == pytest.approx(7, abs=0.15)
    assert main(["edits", "set", str(shot.folder), "line", "--corners", "0,0 1,0 1,1 0,1"]) != 0
    assert main(["edits", "set", str(shot.folder), "line", "--no-keep-width"]) == 0
    assert not read_stack(shot).entries[0].keeps_width


def test_where_the_layer_does_not_show_nothing_is_added(shot, tmp_path):
    file = svg(tmp_path, '<path d="M20 30V34" stroke="#f00" fill="none"/>')
    add = ["edits", "add", shot.folder, file, "--layer", "background", "--name", "line"]
    assert main([str(word) for word in [*add, "--on-frame", "0"]]) != 0
    assert not stack_path(shot).exists() and not list(shot.folder.glob("edits/stack/*"))


def test_a_damaged_file_is_refused(shot, stacked, tmp_path):
    put_strokes(shot, stacked, [Stroke(((0.5, 0.5),), RED)], keep_width=True)
    path = shot.folder / "edits/stack/a.strokes"
    for text in ("{", '{"schema": "nvd.strokes", "version": 1, "strokes": [{"points": []}]}'):
        path.write_text(text)
        with pytest.raises(NvdError, match=r"a\.strokes"):
            list(render_frames(shot, device="cpu"))


class Heard(Progress):
    def __init__(self):
        super().__init__()
        self.cautions = []

    def caution(self, text):
        self.cautions.append(text)


def test_what_does_not_draw_it_says_so(shot, stacked, tmp_path):
    put_strokes(shot, stacked, [Stroke(((0.5, 0.5),), RED)], keep_width=True)
    for how in ({"layer": "background"}, {"passes": ["paint"]}):
        heard = Heard()
        render(shot, tmp_path / "out/%05d.png", progress=heard, again=True, **how)
        assert any("keeps its width" in text and ": a" in text for text in heard.cautions), how


def test_edges_and_overlays_go_along_with_it_and_say_what_does_not(shot, stacked, tmp_path):
    """The same line under an edge that chokes and below a grid; the edge does not reach it."""
    line = Stroke(((0.5, 0.2), (0.5, 0.8)), RED, width=6.0)
    put_strokes(shot, stacked, [line], keep_width=True)
    image = read_image(shot.texture_path("background")).copy()
    image[10:20, 10:20, :3] = 0, 255, 0
    write_image(shot.edit_path("background"), image)
    plain = np.stack(list(render_frames(shot, device="cpu", bit_depth="float")))
    finish = PLAIN_FINISH.with_edge("background", choke=1.0)
    heard = Heard()
    render(shot, tmp_path / "a/%05d.png", finish=finish, progress=heard)
    assert any("edges" in text and text.endswith(": a") for text in heard.cautions)
    finished = np.stack(list(render_frames(shot, finish=finish, device="cpu", bit_depth="float")))
    middle = np.s_[:, HEIGHT // 2, WIDTH // 2 - 2 : WIDTH // 2 + 2]
    np.testing.assert_allclose(finished[middle], plain[middle], atol=1e-5)
    render(shot, tmp_path / "b/%05d.png", overlay="grid")
    gridded = read_image(tmp_path / "b/00000.png")[HEIGHT // 2, WIDTH // 2].astype(int)
    bare = read_image(shot.frame_path(0))[HEIGHT // 2, WIDTH // 2].astype(int)
    assert gridded[0] - gridded[1] > bare[0] - bare[1] + 40
