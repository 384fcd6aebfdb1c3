"""`nvd paint`: paint on a frame, on real folders, and the frames that are rendered with it."""

import json

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.paint_frame import paint_frame, read_paint
from nvd_core.editing.render import render_frames
from nvd_core.media.images import encode_srgb, read_image, to_float, to_integers, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import read_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot

WIDTH, HEIGHT = 96, 72
FRAME = 1
CREAM = (150, 130, 60)


@pytest.fixture
def shot(tmp_path, synthetic):
    """Three layers; each texture has at least a texel for two pixels."""
    return synthetic.make_shot(tmp_path / "shot.nvd", width=WIDTH, height=HEIGHT)


def nvd(*words):
    """The exit code of the command; what it prints is left to capsys."""
    return main([str(word) for word in words])


def rendered(shot, frame=FRAME):
    """A frame as `nvd render` shows it, display-encoded float32."""
    (image,) = render_frames(shot, frames=(frame, frame))
    return encode_srgb(image) if image.dtype.kind == "f" else to_float(image)


def edits(shot):
    return {name: read_image(shot.edit_path(name)) for name in shot.names}


def alpha_of(shot, name, frame=FRAME):
    maps = read_maps(shot.map_path(frame), shot.names)
    return maps.uva[shot.names.index(name), ..., 2]


def inside(mask, pixels=3):
    """The mask less a border."""
    size = 2 * pixels + 1
    return cv2.erode(mask.astype(np.uint8), np.ones((size, size))).astype(bool)


def box():
    """A box of pixels that lies on the dog and the background of FRAME."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[26:46, 4:40] = True
    return mask


def painted_copy(shot, mask, colour=CREAM):
    picture = read_image(shot.frame_path(FRAME)).copy()
    picture[mask] = colour
    return picture


def paint_alone(mask, colour=CREAM, opacity=255):
    picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    picture[mask] = (*colour, opacity)
    return picture


def written(path, image):
    write_image(path, image)
    return path


@pytest.mark.parametrize("kind", ["a painted copy", "paint alone"])
def test_the_frame_comes_back_as_it_was_painted(shot, tmp_path, kind, capsys):
    """Inside each layer's opaque part: within 3/255, though texels are coarser than pixels."""
    before, plain = edits(shot), rendered(shot)
    copy = painted_copy(shot, box())
    picture = copy if kind == "a painted copy" else paint_alone(box())
    path = written(tmp_path / "paint.png", picture)
    assert nvd("paint", shot.folder, "--frame", FRAME, "--image", path, "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["event"] == "result" and result["frame"] == FRAME
    assert set(result["painted"]) == {"dog", "background"}
    after = rendered(shot)
    opaque = (alpha_of(shot, "dog") > 0.999) | (alpha_of(shot, "background") > 0.999)
    error = np.abs(after - to_float(copy)).max(2)
    assert error[inside(box() & opaque, 2)].max() < 3 / 255
    far = ~cv2.dilate(box().astype(np.uint8), np.ones((9, 9))).astype(bool)
    np.testing.assert_array_equal(after[far], plain[far])
    for name, edit in edits(shot).items():
        changed = (edit != before[name]).any(2)
        assert changed.sum() <= result["painted"].get(name, 0)
        assert edit.shape == before[name].shape and edit.dtype == before[name].dtype
    np.testing.assert_array_equal(edits(shot)["cat"], before["cat"])


def test_other_frames_follow(shot, tmp_path):
    """What the surface became in one frame is under the light of the others there."""
    mask = box() & (alpha_of(shot, "dog") > 0.5)
    path = written(tmp_path / "paint.png", painted_copy(shot, mask))
    plain = {t: rendered(shot, t) for t in (0, 2)}
    paint_frame(shot, FRAME, path)
    for t in (0, 2):
        maps = read_maps(shot.map_path(t), shot.names)
        own = maps.layer(0)
        base = read_maps(shot.map_path(FRAME), shot.names).layer(0)
        # the dog moves by one pixel a frame, all of it
        source = np.roll(mask, t - FRAME, axis=1)
        there = inside(source & (own.alpha > 0.999), 3)
        assert there.sum() > 100
        light = own.residual[there] / np.roll(base.residual, t - FRAME, axis=1)[there]
        wanted = (np.float32(CREAM) / 255 * light).clip(0, 1)
        assert np.abs(rendered(shot, t)[there] - wanted).max() < 4 / 255
        assert np.abs(rendered(shot, t) - plain[t])[~source].mean() < 1e-3


def test_it_is_written_beside_and_only_there(shot, tmp_path, capsys, synthetic):
    path = written(tmp_path / "paint.png", paint_alone(box()))
    before = edits(shot)
    out = tmp_path / "elsewhere"
    assert nvd("paint", shot.folder, "--frame", FRAME, "--image", path, "--out", out) == 0
    assert "painted: dog" in capsys.readouterr().out
    assert sorted(file.name for file in out.iterdir()) == ["background.png", "dog.png"]
    assert all((edits(shot)[name] == before[name]).all() for name in synthetic.NAMES)
    names = {"dog": out / "dog.png", "background": out / "background.png"}
    (elsewhere,) = render_frames(shot, names, frames=(FRAME, FRAME))
    paint_frame(shot, FRAME, path)
    np.testing.assert_array_equal(to_float(elsewhere), rendered(shot))
    assert not [file for file in (shot.folder / "edits").iterdir() if file.name.startswith(".")]


def test_layer_restricts_it(shot, tmp_path, synthetic):
    path = written(tmp_path / "paint.png", paint_alone(box()))
    result = paint_frame(shot, FRAME, path, layers=["background"])
    assert list(result["painted"]) == ["background"]
    np.testing.assert_array_equal(edits(shot)["dog"], synthetic.texture("dog"))
    with pytest.raises(NvdError, match=r"no layer bird.*dog, cat"):
        paint_frame(shot, FRAME, path, layers=["bird"])


@pytest.mark.parametrize("kind", ["a painted copy", "paint alone"])
def test_lit_paint_is_the_surfaces_colour(shot, tmp_path, kind):
    """Full red in a copy says that nothing of the frame shines through."""
    red = (255, 0, 0)
    picture = (
        painted_copy(shot, box(), red) if kind == "a painted copy" else paint_alone(box(), red)
    )
    path = written(tmp_path / "paint.png", picture)
    paint_frame(shot, FRAME, path, layers=["background"], lit=True)
    maps = read_maps(shot.map_path(FRAME), shot.names).layer(2)
    where = inside(box() & (maps.alpha > 0.999), 2)
    wanted = (np.float32(red) / 255 * maps.residual).clip(0, 1)
    assert np.abs(rendered(shot) - wanted)[where].max() < 2 / 255


def soft_stroke():
    """Opacity [H, W, 1] of a round brush on the background."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (1.3 - np.hypot(x - 14, y - 36) / 11).clip(0, 1)[..., None]


@pytest.mark.parametrize("lit", [False, True])
def test_a_soft_edge_leaves_no_ring(shot, tmp_path, lit, synthetic):
    """Frames with grain that no texture has: none of it is taken onto the texture at soft edges,
    nor the frame's light where the paint is to be lit."""
    random = np.random.default_rng(0)
    frame = to_float(read_image(shot.frame_path(FRAME)))
    frame = (frame + random.normal(0, 0.03, frame.shape)).clip(0, 1)
    write_image(shot.frame_path(FRAME), to_integers(frame, np.uint8))
    opacity, red = soft_stroke(), np.float32((1, 0, 0))
    shown = opacity * red + (1 - opacity) * rendered(shot)
    path = written(tmp_path / "paint.png", to_integers(shown, np.uint8))
    paint_frame(shot, FRAME, path, lit=lit)
    maps = read_maps(shot.map_path(FRAME), shot.names).layer(2)
    where = (opacity[..., 0] > 0) & (maps.alpha > 0.999)
    change = rendered(shot) - frame
    surface = red * maps.residual if lit else red
    # the paint over what the layers alone show
    clean = synthetic.make_shot(tmp_path / "clean.nvd", width=WIDTH, height=HEIGHT)
    wanted = opacity * (surface - rendered(clean))
    error = np.sqrt(np.square(change - wanted)[where].mean())
    print(f"lit {lit}: {255 * error:.1f}/255")
    assert error < 3 / 255


def test_a_copy_of_what_was_rendered_with_paint(shot, tmp_path):
    """Paint over paint; the base may be named, and what is rubbed out of a copy is no paint."""
    first = written(tmp_path / "1.png", painted_copy(shot, box()))
    paint_frame(shot, FRAME, first)
    base = written(tmp_path / "base.png", to_integers(rendered(shot), np.uint8))
    once = edits(shot)
    picture = np.dstack([read_image(base), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[30:38, 8:16, :3] = (10, 20, 200)
    picture[:20] = 0
    second = written(tmp_path / "2.png", picture)
    paint_frame(shot, FRAME, second, base=base)
    twice = edits(shot)
    assert (twice["dog"] == once["dog"]).all()
    assert 0 < (twice["background"] != once["background"]).any(2).sum() < 120
    assert np.abs(rendered(shot)[32:36, 10:14] - np.float32((10, 20, 200)) / 255).max() < 3 / 255
    opaque = written(tmp_path / "3.png", picture[..., :3][:, ::1])
    assert read_paint(shot, FRAME, opaque).opacity[:20].all(), "black there without alpha"


def test_half_transparent_paint(shot, tmp_path):
    before = rendered(shot)
    path = written(tmp_path / "paint.png", paint_alone(box(), opacity=128))
    paint_frame(shot, FRAME, path)
    where = inside(box() & (alpha_of(shot, "background") > 0.999), 2)
    wanted = before + 128 / 255 * (np.float32(CREAM) / 255 - before)
    assert np.abs(rendered(shot) - wanted)[where].max() < 3 / 255


def test_texels_that_no_frame_has_seen(shot, tmp_path, synthetic):
    """The top rows of the texture are transparent; paint there is as opaque as it was put."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:8, 60:90] = True
    path = written(tmp_path / "paint.png", paint_alone(mask))
    paint_frame(shot, FRAME, path)
    changed = (edits(shot)["background"] != synthetic.texture("background")).any(2)
    rows, columns = np.nonzero(changed)
    assert rows.min() == 0
    inner = edits(shot)["background"][:3, columns.min() + 3 : columns.max() - 2]
    assert (inner[..., 3] == 255).all()
    assert np.abs(rendered(shot)[2:6, 64:86] - np.float32(CREAM) / 255).max() < 3 / 255


@pytest.mark.parametrize("scale", [2, 3])
def test_a_larger_edit_takes_finer_paint(shot, tmp_path, scale, synthetic):
    large = cv2.resize(synthetic.texture("background"), (90 * scale, 56 * scale))
    write_image(shot.edit_path("background"), large)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 4:12:2] = True  # lines of one pixel
    path = written(tmp_path / "paint.png", paint_alone(mask, (255, 0, 0)))
    result = paint_frame(shot, FRAME, path, layers=["background"])
    edit = edits(shot)["background"]
    assert edit.shape == large.shape
    assert (edit != large).any(2).sum() <= result["painted"]["background"]
    lines = rendered(shot)[24:56, 4:12:2] - rendered(shot)[24:56, 5:13:2]
    assert (lines[..., 0] - lines[..., 1]).min() > 0.5


@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_are_kept(tmp_path, alpha, synthetic):
    shot = synthetic.make_shot(
        tmp_path / "shot.nvd", width=WIDTH, height=HEIGHT, bit_depth=16, texture_depth=16
    )
    edit = synthetic.texture("background", 16)
    write_image(shot.edit_path("background"), edit if alpha else edit[..., :3])
    picture = to_integers(rendered(shot), np.uint16)
    mask = box() & (alpha_of(shot, "background") > 0.5)
    picture[mask] = (30001, 40002, 20003)
    paint_frame(shot, FRAME, written(tmp_path / "paint.png", picture))
    after = edits(shot)["background"]
    assert after.dtype == np.uint16 and after.shape[2] == 3 + alpha
    assert np.abs(rendered(shot) - to_float(picture))[inside(mask, 3)].max() < 1e-3
    untouched = (after[..., :3] == edit[..., :3]).all(2)
    assert untouched.mean() > 0.7


def test_grey_edits_get_colours(shot, tmp_path, synthetic):
    grey = synthetic.texture("background")[..., :1]
    write_image(shot.edit_path("background"), grey)
    result = paint_frame(shot, FRAME, written(tmp_path / "paint.png", paint_alone(box())))
    edit = edits(shot)["background"]
    assert edit.shape[2] == 3
    assert (edit != grey).any(2).sum() <= result["painted"]["background"]


def test_linear_frames_and_paint(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd", width=WIDTH, height=HEIGHT, bit_depth="half")
    (picture,) = render_frames(shot, frames=(FRAME, FRAME))
    picture = picture.copy()
    picture[box()] = (0.5, 0.3, 0.1)
    result = paint_frame(shot, FRAME, written(tmp_path / "paint.exr", picture.astype(np.float16)))
    assert set(result["painted"]) == {"dog", "background"}
    opaque = (alpha_of(shot, "dog") > 0.999) | (alpha_of(shot, "background") > 0.999)
    error = np.abs(rendered(shot) - encode_srgb(picture))
    assert error[inside(box() & opaque, 2)].max() < 3 / 255


def test_an_additive_residual(shot, tmp_path, synthetic):
    """What the ablation adds is light on top of any paint."""
    added = np.full((HEIGHT, WIDTH, 3), -0.125, np.float32)
    for t in range(3):
        maps = read_maps(shot.map_path(t), synthetic.NAMES)
        layers = [maps.layer(n) for n in range(3)]
        for layer in layers:
            layer.residual = np.ones_like(layer.residual)
        with MapWriter(shot.folder / "maps", synthetic.NAMES) as writer:
            writer.write(t, layers, added)
    (frame,) = render_frames(shot, mode="full", frames=(FRAME, FRAME))
    write_image(shot.frame_path(FRAME), frame)
    copy = painted_copy(shot, box())
    paint_frame(shot, FRAME, written(tmp_path / "paint.png", copy), layers=["background"])
    where = inside(box() & (alpha_of(shot, "background") > 0.999), 2)
    assert np.abs(rendered(shot) - to_float(copy))[where].max() < 3 / 255
    edit = edits(shot)["background"]
    changed = (edit != synthetic.texture("background")).any(2)
    assert np.median(edit[changed][:, 0]) == pytest.approx(CREAM[0] + 0.125 * 255, abs=2)


def test_colours_too_bright_for_the_edit_are_told(shot, tmp_path, capsys):
    path = written(tmp_path / "white.png", paint_alone(box(), (255, 255, 255)))
    assert nvd("paint", shot.folder, "--frame", FRAME, "--image", path, "--json") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("brighter" in line["text"] for line in printed if line["event"] == "caution")
    assert 0 < printed[-1]["clipped"]["dog"] <= printed[-1]["painted"]["dog"]


def test_a_missing_edit_starts_from_the_texture(shot, tmp_path, synthetic):
    shot.edit_path("background").unlink()
    paint_frame(shot, FRAME, written(tmp_path / "paint.png", paint_alone(box())))
    edit = edits(shot)["background"]
    assert (edit == synthetic.texture("background")).all(2).mean() > 0.7


class TestRefused:
    """Two lines, exit code 2, and nothing written."""

    def refused(self, synthetic, shot, capsys, *words):
        before = edits(shot)
        assert nvd("paint", shot.folder, *words) == 2
        *_bars, problem, remedy = capsys.readouterr().err.splitlines()
        assert problem.startswith("nvd: ") and remedy.startswith("what to do: ")
        assert all((edits(shot)[name] == before[name]).all() for name in synthetic.NAMES)
        return problem

    def test_another_size(self, shot, tmp_path, capsys, synthetic):
        path = written(tmp_path / "paint.png", np.zeros((10, 20, 3), np.uint8))
        problem = self.refused(synthetic, shot, capsys, "--frame", 1, "--image", path)
        assert "expected 96 x 72; found 20 x 10" in problem
        good = written(tmp_path / "good.png", paint_alone(box()))
        problem = self.refused(
            synthetic, shot, capsys, "--frame", 1, "--image", good, "--base", path
        )
        assert "20 x 10" in problem

    def test_no_such_frame_or_file(self, shot, tmp_path, capsys, synthetic):
        path = written(tmp_path / "paint.png", paint_alone(box()))
        assert "0-2" in self.refused(synthetic, shot, capsys, "--frame", 3, "--image", path)
        assert "0-2" in self.refused(synthetic, shot, capsys, "--frame", -1, "--image", path)
        assert "gone.png" in self.refused(
            synthetic, shot, capsys, "--frame", 0, "--image", "gone.png"
        )

    def test_no_paint(self, shot, tmp_path, capsys, synthetic):
        frame = read_image(shot.frame_path(FRAME))
        noise = np.random.default_rng(0).integers(-4, 5, frame.shape)
        frame = (frame.astype(int) + noise).clip(0, 255).astype(np.uint8)
        path = written(tmp_path / "same.png", frame)
        assert "no paint" in self.refused(
            synthetic, shot, capsys, "--frame", FRAME, "--image", path
        )
        path = written(tmp_path / "nothing.png", paint_alone(box(), opacity=0))
        assert "alpha 0" in self.refused(synthetic, shot, capsys, "--frame", FRAME, "--image", path)

    def test_no_layer_there(self, shot, tmp_path, capsys, synthetic):
        corner = np.zeros((HEIGHT, WIDTH), bool)
        corner[:5, :5] = True
        path = written(tmp_path / "paint.png", paint_alone(corner))
        words = "--frame", FRAME, "--image", path, "--layer", "dog", "--layer", "cat"
        assert "dog or cat is opaque in frame 1" in self.refused(synthetic, shot, capsys, *words)

    def test_out_into_the_decomposition(self, shot, tmp_path, capsys, synthetic):
        path = written(tmp_path / "paint.png", paint_alone(box()))
        out = shot.folder / "textures"
        words = "--frame", FRAME, "--image", path, "--out", out
        assert "belongs to the decomposition" in self.refused(synthetic, shot, capsys, *words)

    def test_no_colours(self, shot, tmp_path, capsys, synthetic):
        picture = np.full((HEIGHT, WIDTH, 3), np.nan, np.float32)
        path = written(tmp_path / "paint.exr", picture)
        assert "NaN" in self.refused(synthetic, shot, capsys, "--frame", FRAME, "--image", path)


def test_the_manifest_and_textures_stay(shot, tmp_path, synthetic):
    before = read_manifest(shot.folder)
    learned = {name: shot.texture_path(name).read_bytes() for name in synthetic.NAMES}
    paint_frame(shot, FRAME, written(tmp_path / "paint.png", paint_alone(box())))
    assert Shot.open(shot.folder).manifest == before
    assert {name: shot.texture_path(name).read_bytes() for name in synthetic.NAMES} == learned
