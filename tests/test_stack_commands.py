"""`nvd edits`, `nvd paint --as`, and what carrying, resizing and handing over make of a stack."""

import json
import shutil

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.carry import carry, carry_into
from nvd_core.editing.edits import load_texture
from nvd_core.editing.hand_over import hand_over
from nvd_core.editing.own_files import check_output
from nvd_core.editing.render import render_frames
from nvd_core.editing.stack_edit import corners_on_frame
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import read_manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, read_stack
from nvd_core.shot.strokes import Stroke, read_strokes, write_strokes

FRAMES = 6


@pytest.fixture
def shot(tmp_path, synthetic):
    return synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES)


@pytest.fixture
def logo(tmp_path, stacked):
    path = tmp_path / "my logo.png"
    write_image(path, stacked.picture(stacked.RED))
    return path


def edits(*words) -> int:
    return main(["edits", *map(str, words)])


def frames_of(shot) -> np.ndarray:
    return np.stack(list(render_frames(shot, device="cpu")))


def test_add_set_move_remove_purge(shot, logo, capsys):
    folder = shot.folder
    corners = "0.2,0.2 0.8,.2 .8,.8 .2,.8"
    words = ["--corners", corners, "--frames", "1-4", "--fade", "2,1", "--blend", "multiply"]
    assert edits("add", folder, logo, "--layer", "dog", "--name", "the logo", *words) == 0
    assert edits("add", folder, "--layer", "cat", "--name", "words", "--text", "Hi\\nyou") == 0
    assert edits("add", folder, "--layer", "cat", "--name", "warm", "--hue", "-20") == 0
    first, second, third = read_stack(shot).entries
    assert first == Entry(
        "the logo",
        "dog",
        "picture",
        blend="multiply",
        frames=(1, 4),
        fade_in=2,
        fade_out=1,
        file="edits/stack/the_logo.png",
        corners=((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)),
    )
    assert second == Entry("words", "cat", "text", text="Hi\nyou")
    assert third == Entry("warm", "cat", "adjustment", hue=-20.0)
    assert (folder / "edits/stack/the_logo.png").read_bytes() == logo.read_bytes()

    assert edits("set", folder, "the logo", "--rename", "logo", "--all-frames", "--whole") == 0
    assert edits("set", folder, "warm", "--off", "--gain", "1.5") == 0
    assert edits("move", folder, "logo", "--to", "3") == 0
    assert edits("move", folder, "warm", "--down") == 0
    capsys.readouterr()
    assert edits("list", folder, "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["entries"]
    assert [entry["name"] for entry in told] == ["warm", "words", "logo"]
    assert told[0] == {
        "name": "warm",
        "layer": "cat",
        "kind": "adjustment",
        "on": False,
        "hue": -20.0,
        "gain": 1.5,
    }
    assert "frames" not in told[2] and "corners" not in told[2] and told[2]["fade_in"] == 2

    assert edits("remove", folder, "logo", "words") == 0
    assert (folder / "edits/stack/the_logo.png").is_file()  # until it is purged
    assert edits("purge", folder) == 0
    assert not (folder / "edits/stack/the_logo.png").exists()
    assert [entry.name for entry in read_stack(shot).entries] == ["warm"]


def test_purge_keeps_what_is_used(shot, stacked, tmp_path, capsys):
    for t in range(3):
        write_image(tmp_path / f"pictures/p.{t + 7}.png", stacked.picture())
    assert edits("add", shot.folder, tmp_path / "pictures", "--layer", "dog", "--name", "m") == 0
    (entry,) = read_stack(shot).entries
    assert (entry.kind, entry.file) == ("movie", "edits/stack/m/%05d.png")
    (shot.folder / "edits/stack/old.png").write_bytes(b"")
    capsys.readouterr()
    assert edits("purge", shot.folder) == 0
    assert "old.png" in capsys.readouterr().out
    left = sorted(p.name for p in (shot.folder / "edits/stack").rglob("*.png"))
    assert left == ["00000.png", "00001.png", "00002.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.png", "--layer", "dog", "--name", "a"], "no file"),
        (["LOGO", "--layer", "bird", "--name", "a"], "no layer bird"),
        (["LOGO", "--layer", "dog", "--name", "taken"], "names that differ"),
        (["LOGO", "--layer", "dog", "--name", "a/b"], "name"),
        (["LOGO", "--layer", "dog", "--name", "a", "--corners", "0,0 1,1 1,0 0,1"], "corners"),
        (["LOGO", "--layer", "dog", "--name", "a", "--corners", "0,0 1,1"], "8 numbers"),
        (["LOGO", "--layer", "dog", "--name", "a", "--at", "1,1,2,1,2,2,1,2"], "--on-frame"),
        (["--layer", "dog", "--name", "a", "--kind", "movie"], "file"),
        (["TEXT", "--layer", "dog", "--name", "a"], "a.txt"),
        (["--layer", "dog", "--name", "a", "--text", "x", "--font", "LOGO"], "font"),
    ],
)
def test_what_does_not_fit_leaves_nothing_behind(shot, logo, tmp_path, capsys, words, said):
    assert edits("add", shot.folder, "--layer", "dog", "--name", "taken", "--gain", "2") == 0
    (tmp_path / "a.txt").write_text("words")
    named = {"LOGO": logo, "TEXT": tmp_path / "a.txt"}
    before = (shot.folder / "edits/stack.json").read_bytes()
    assert edits("add", shot.folder, *(named.get(word, word) for word in words)) == 2
    assert said in capsys.readouterr().err
    assert (shot.folder / "edits/stack.json").read_bytes() == before
    assert not list((shot.folder / "edits").rglob("a*.*"))


def test_corners_given_on_a_frame(shot, logo):
    """The picture shows in that frame where its corners were put, and follows in others."""
    quad = np.float64([[15, 12], [25, 12], [25, 22], [15, 22]])
    flat = ",".join(map(str, quad.ravel()))
    before = frames_of(shot)
    words = ["--layer", "dog", "--name", "l", "--on-frame", "2", "--at", flat]
    assert edits("add", shot.folder, logo, *words) == 0
    after = frames_of(shot)
    for t in (1, 2, 3):  # the dog moves by a pixel a frame
        rows, columns = np.nonzero((np.abs(after[t].astype(int) - before[t]) > 60).any(2))
        centre = columns.mean() + 0.5 - (t - 2), rows.mean() + 0.5
        np.testing.assert_allclose(centre, (20, 17), atol=1)
        inner = after[t][14:20, 18 + t - 2 : 22 + t - 2]
        assert (inner[..., 1] < 40).all() and (inner[..., 0] > 120).all()
    _, off = corners_on_frame(shot, "dog", 2, quad)
    assert off < 1.0
    for place in ([[1, 1], [4, 1], [4, 4], [1, 4]], [[30, 2], [46, 2], [46, 30], [30, 30]]):
        with pytest.raises(NvdError, match="does not show there"):
            corners_on_frame(shot, "dog", 2, np.float64(place))


def test_paint_on_several_frames_adds_up(shot, tmp_path):
    """Each paint is an entry of its own, in its own frames; the painted sheets stay as they are."""
    sheets = {name: shot.edit_path(name).read_bytes() for name in shot.names}
    before = frames_of(shot)
    for t, colour in ((1, (255, 0, 0, 255)), (4, (0, 0, 255, 255))):
        paint = np.zeros((36, 48, 4), np.uint8)
        paint[14:20, 16:24] = colour
        write_image(tmp_path / f"{t}.png", paint)
        words = ["--frame", t, "--image", tmp_path / f"{t}.png", "--as", f"p{t}"]
        words += ["--layer", "dog", "--lit", "--frames", f"{t}-{t + 1}"]
        assert main(["paint", str(shot.folder), *map(str, words)]) == 0
    after = frames_of(shot)
    shown = [(before[t] != after[t]).any() for t in range(FRAMES)]
    assert shown == [False, True, True, False, True, True]
    assert (after[1][15:19, 17:23].argmax(2) == 0).all()
    assert (after[4][15:19, 17:23].argmax(2) == 2).all()
    assert all(shot.edit_path(name).read_bytes() == data for name, data in sheets.items())
    assert [entry.kind for entry in read_stack(shot).entries] == ["paint", "paint"]


def test_paint_of_its_own_looks_like_paint_on_the_sheet(shot, tmp_path):
    """In the frame it was painted on, at the depth of the clip, whatever the light."""
    paint = np.zeros((36, 48, 4), np.uint8)
    paint[10:24, 14:34] = (90, 140, 60, 200)
    write_image(tmp_path / "p.png", paint)
    words = ["--frame", "2", "--image", str(tmp_path / "p.png")]
    assert main(["paint", str(shot.folder), *words, "--as", "own"]) == 0
    own = frames_of(shot)[2].astype(int)
    assert len(read_stack(shot).entries) == 3  # a layer each
    (shot.folder / "edits/stack.json").unlink()
    assert main(["paint", str(shot.folder), *words]) == 0
    sheet = frames_of(shot)[2].astype(int)
    assert np.abs(own - sheet).max() <= 2
    assert main(["paint", str(shot.folder), *words, "--frames", "0-1"]) == 2


def mirrored(shot: Shot, to: str) -> Shot:
    """The same decomposition with every texture mirrored left to right."""
    folder = shot.folder.parent / to
    shutil.copytree(shot.folder, folder, ignore=shutil.ignore_patterns("stack*"))
    manifest = read_manifest(folder)
    for record in manifest.layers:
        image = np.ascontiguousarray(read_image(folder / record.texture)[:, ::-1])
        for path in (record.texture, record.edit):
            write_image(folder / path, image)
    shutil.rmtree(folder / "maps")
    with MapWriter(folder / "maps", shot.names) as writer:
        for t in range(shot.frames):
            maps = read_maps(shot.map_path(t), shot.names)
            layers = [maps.layer(n) for n in range(len(shot.names))]
            writer.write(
                t, [LayerMaps(1 - one.u, one.v, one.alpha, one.residual) for one in layers]
            )
    write_manifest(folder, manifest)
    return Shot.open(folder)


def test_a_stack_is_carried_over(shot, stacked):
    """Onto textures that lie mirrored: the frames show the same."""
    texture = load_texture(shot, "background")
    paint = np.zeros((*texture.shape[:2], 4), np.uint8)
    paint[20:30, 20:50] = (20, 220, 40, 255)
    files = {
        "paint": stacked.add_file(shot, "p.png", paint),
        "picture": stacked.add_file(shot, "a.png", stacked.picture()),
        "movie": stacked.add_movie(shot, "m/%05d.png", [stacked.RED, stacked.BLUE]),
    }
    quad = ((0.3, 0.3), (0.7, 0.3), (0.7, 0.6), (0.3, 0.6))
    stacked.put(
        shot,
        Entry("p", "background", "paint", file=files["paint"], frames=(1, 3), fade_in=1),
        Entry("a", "dog", "picture", file=files["picture"], corners=quad),
        Entry("m", "cat", "movie", file=files["movie"], start=2, after="hide"),
        Entry("w", "background", "adjustment", gain=0.7, frames=(4, 5)),
        Entry("s", "background", "strokes", file="edits/stack/s.strokes", keep_width=True),
        Entry("t", "dog", "strokes", file="edits/stack/s.strokes"),
    )
    bow = tuple((0.3 + 0.4 * k / 20, 0.4 + 0.01 * (k - 10) ** 2 / 10) for k in range(21))
    line = Stroke(bow, stacked.BLUE, width=4.0, share=0.1)
    write_strokes(shot.folder / "edits/stack/s.strokes", (line,))
    new = mirrored(shot, "new.nvd")
    plain = frames_of(new).astype(int)
    facts = carry(shot, new)
    assert facts["entries"] == ["p", "a", "m", "w", "s", "t"]
    was, is_now = frames_of(shot).astype(int), frames_of(new).astype(int)
    assert np.abs(is_now - plain).max() > 60
    off = np.abs(was - is_now)
    assert np.percentile(off, 99) <= 12 and off.mean() < 1.5
    with pytest.raises(NvdError, match="painted already"):
        carry(shot, new)
    carry(shot, new, over=True)
    assert [entry.name for entry in read_stack(new).entries] == ["p", "a", "m", "w", "s", "t"]
    parts = read_strokes(new.folder / "edits/stack/s.strokes")
    moved = np.concatenate([part.points for part in parts])  # broken where no frame shows it
    mirror = np.array(bow) * [-1, 1] + [1, 0]
    off = np.linalg.norm(moved[:, None] - mirror, axis=2).min(1)
    assert len(moved) > 10 and off.max() < 0.1 / 90


def test_what_cannot_be_carried_is_said(shot, stacked):
    path = stacked.add_file(shot, "a.png", stacked.picture())
    beside = ((2.0, 2.0), (3.0, 2.0), (3.0, 3.0), (2.0, 3.0))
    stacked.put(
        shot,
        Entry("far", "dog", "picture", file=path, corners=beside),
        Entry("gone", "dog", "picture", file="edits/stack/gone.png"),
        Entry("late", "dog", "adjustment", gain=2.0, frames=(50, 60)),
        Entry("good", "dog", "adjustment", gain=2.0),
    )
    new = mirrored(shot, "new.nvd")

    said = []

    class Heard(Progress):
        def caution(self, text: str) -> None:
            said.append(text)

    facts = carry_into(shot.folder, new, Heard())
    assert facts["entries"] == ["good"]
    for name in ("far", "gone", "late"):
        assert any(f"the edit {name} " in text for text in said), said


@pytest.mark.parametrize("program", ["nuke", "fusion", "natron"])
def test_a_stack_that_moves_is_handed_over(shot, stacked, tmp_path, node_programs, program):
    """As a sequence of edits: the program makes what is rendered, frame by frame."""
    path = stacked.add_file(shot, "a.png", stacked.picture())
    stacked.put(
        shot,
        Entry("a", "dog", "picture", file=path, frames=(1, 3), fade_in=1, corners=stacked.QUAD),
        Entry("b", "cat", "adjustment", gain=0.6),
    )
    out = tmp_path / "out"
    hand_over(shot, out, ["all"], clean_plate=False, inverse=False)
    names = {"nuke": "shot.nk", "fusion": "shot.comp", "natron": "shot_natron.py"}
    moving = sorted(p.name for p in (out / "edits").rglob("*.exr"))
    assert moving == [f"dog.{t:04d}.exr" for t in range(FRAMES)]
    assert (out / "edits/cat.png").is_file()
    assert "edits/LAYER/LAYER.####.exr" in (out / "hand-over.txt").read_text()
    for t in range(4):
        made = getattr(node_programs, program)(out / names[program], t)["result"]
        wanted = node_programs.read(out / f"result/result.{t:04d}.png")
        assert np.abs(made - wanted).max() <= 0.5 / 255 + 2 / 65535, t
    hand_over(shot, out, ["all"], clean_plate=False, inverse=False)  # the same again
    image = read_image(out / "edits/dog/dog.0002.exr")
    write_image(out / "edits/dog/dog.0002.exr", image * np.float32(0.5))
    with pytest.raises(NvdError, match="would be lost"):
        hand_over(shot, out, ["all"], clean_plate=False, inverse=False)


def test_no_output_replaces_a_file_of_the_stack(shot, stacked):
    path = stacked.add_movie(shot, "m/%05d.png", [stacked.RED])
    with pytest.raises(NvdError, match="decomposition"):
        check_output(shot, [shot.folder / path.replace("%05d", "00000")], {})


def test_textures_of_another_size_show_the_same(shot, stacked):
    """Corners are shares, and paint is stretched: nothing of the stack hangs on the size."""
    path = stacked.add_file(shot, "a.png", stacked.picture(width=400, height=300))
    stacked.put(shot, Entry("a", "dog", "picture", file=path, corners=stacked.QUAD))
    small = Sheets(shot).at("dog", 0).delta
    texture = read_image(shot.texture_path("dog"))
    large = np.repeat(np.repeat(texture, 4, 0), 4, 1)
    for file in (shot.texture_path("dog"), shot.edit_path("dog")):
        write_image(file, large)
    manifest = read_manifest(shot.folder)
    for record in manifest.layers:
        if record.name == "dog":
            object.__setattr__(record, "texture_width", large.shape[1])
            object.__setattr__(record, "texture_height", large.shape[0])
    write_manifest(shot.folder, manifest)
    finer = Sheets(Shot.open(shot.folder)).at("dog", 0).delta
    means = finer.reshape(texture.shape[0], 4, texture.shape[1], 4, 3).mean((1, 3))
    assert np.abs(means - small)[np.abs(small).max(2) > 0].mean() < 0.03


def test_help_of_every_subcommand(capsys):
    for what in ("list", "add", "set", "move", "remove", "purge"):
        with pytest.raises(SystemExit):
            edits(what, "--help")
        assert f"edits {what}" in capsys.readouterr().out
