"""`nvd export`: what other programs make of it is what `nvd render` makes of the folder.

The programs are not to be had here: tests/helpers/node_programs.py executes their scripts as
their manuals describe the nodes. Blender's script runs in Blender:
tests/blender/test_export_script.py.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.hand_over import PROGRAMS, WORDS, hand_over
from nvd_core.editing.inverse_maps import inverse_map
from nvd_core.media.images import read_image, write_image
from nvd_core.media.picture import Picture
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

NAME = {"nuke": "shot.nk", "fusion": "shot.comp", "natron": "shot_natron.py"}
AP1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)


def paint(shot: Shot) -> None:
    """Paint that is opaque, half transparent and none, on every layer."""
    for name in shot.names:
        edit = read_image(shot.edit_path(name))
        edit[4:20, 3:15, :3] = (250, 20, 60)
        edit[10:14, :, 3] = 128
        write_image(shot.edit_path(name), edit)


def changed(shot: Shot, **clip) -> Shot:
    """The shot with another record of its clip."""
    record = dataclasses.replace(shot.manifest.clip, **clip)
    write_manifest(shot.folder, dataclasses.replace(shot.manifest, clip=record))
    return Shot.open(shot.folder)


def with_alpha(shot: Shot, **picture) -> Shot:
    """The shot with frames whose alpha goes from 0 to 1."""
    for t in range(shot.frames):
        frame = read_image(shot.frame_path(t))
        height, width = frame.shape[:2]
        alpha = np.clip(np.linspace(-0.3, 1.2, width), 0, 1) * np.ones((height, 1))
        largest = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
        alpha = (alpha * largest).astype(frame.dtype)[..., None]
        write_image(shot.frame_path(t), np.concatenate([frame, alpha], axis=2))
    return changed(shot, picture=Picture(**picture))


@pytest.fixture
def painted(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=2)
    paint(shot)
    return shot


@pytest.fixture(scope="module", params=["display", "alpha", "linear", "premultiplied", "sizes"])
def handed(request, tmp_path_factory, synthetic):
    """Of clips of every kind: the folder that was written, and by how much a value may be off."""
    folder, kind = tmp_path_factory.mktemp(request.param), request.param
    depth = {"alpha": 16, "linear": "half", "premultiplied": "float"}.get(kind, 8)
    shot = synthetic.make_shot(folder / "shot.nvd", frames=2, bit_depth=depth)
    paint(shot)
    if kind == "alpha":
        shot = with_alpha(shot, alpha="straight")
    elif kind == "premultiplied":
        shot = with_alpha(shot, alpha="premultiplied", primaries=AP1)
    elif kind == "sizes":  # one edit larger than its texture, another of 16 bits
        edit = read_image(shot.edit_path("dog"))
        write_image(shot.edit_path("dog"), np.repeat(np.repeat(edit, 2, axis=0), 3, axis=1))
        deeper = read_image(shot.edit_path("cat")).astype(np.uint16) * 257
        deeper[2:9, 2:9, :3] = 31234
        write_image(shot.edit_path("cat"), deeper)
    hand_over(shot, folder / "out", ["all"])
    # half a step of an integer; of a half its last bit, of a float what the two ways round
    off = {8: 0.5 / 255, 16: 0.5 / 65535, "half": 2**-11, "float": 2e-5}[depth]
    return folder / "out", off + 1.1 / 65535  # half transparent paint is rounded to 16 bits


@pytest.mark.parametrize("program", NAME)
def test_a_program_makes_what_is_rendered(handed, node_programs, program):
    out, off = handed
    for t in (0, 1):
        made = getattr(node_programs, program)(out / NAME[program], t)["result"]
        (wanted,) = (node_programs.read(path) for path in out.glob(f"result/result.{t:04d}.*"))
        (plate,) = (node_programs.read(path) for path in out.glob(f"plate/plate.{t:04d}.*"))
        assert np.abs(wanted - plate).max() > 0.1, "the paint shows"
        assert np.abs(made - wanted).max() <= off * max(1, np.abs(wanted).max())
        unpainted = (wanted == plate).all(2)
        assert unpainted.any() and np.abs(made - plate)[unpainted].max() <= off


@pytest.mark.parametrize("program", NAME)
def test_a_painted_edit_is_taken(painted, tmp_path, node_programs, program):
    """Paint that is added in the folder that was handed over shows as it does in a rendering."""
    out = tmp_path / "out"
    hand_over(painted, out, [program])
    edit = read_image(out / "edits/background.png")
    edit[20:40, 30:60] = (10, 200, 30)
    write_image(out / "edits/background.png", edit)
    shutil.copy(out / "edits/background.png", tmp_path / "mine.png")
    made = getattr(node_programs, program)(out / NAME[program], 0)["result"]
    again = tmp_path / "again"
    hand_over(painted, again, [program], {"background": tmp_path / "mine.png"})
    wanted = node_programs.read(again / "result/result.0000.png")
    before = node_programs.read(out / "result/result.0000.png")
    assert np.abs(wanted - before).max() > 0.2
    assert np.abs(made - wanted).max() <= 0.5 / 255 + 2e-6


def test_files_have_the_source_s_own_numbers(painted, tmp_path, node_programs):
    shot = changed(painted, numbers="1001-1002")
    told = hand_over(shot, tmp_path / "out", ["all"], frames=(1, 1))
    assert told["numbers"] == "1002"
    names = {path.name for path in (tmp_path / "out").rglob("*.1*.*")}
    assert names == {
        "plate.1002.png",
        "result.1002.png",
        *(f"{name}.1002.exr" for name in shot.names),
    }
    script = node_programs.nuke(tmp_path / "out/shot.nk", 1002)
    assert script["Root"]["first_frame"] == script["Root"]["last_frame"] == "1002"
    comp = node_programs.fusion(tmp_path / "out/shot.comp", 1002)["comp"]
    assert comp["GlobalRange"] == {0: 1002, 1: 1002}
    project = node_programs.natron(tmp_path / "out/shot_natron.py", 1002)["project"]
    assert project["frameRange"].get() == (1002, 1002)


def test_a_movie_counts_from_its_first_frame(painted, tmp_path):
    told = hand_over(changed(painted, first_frame=40), tmp_path / "out", ["nuke"])
    assert told["numbers"] == "40-41"
    told = hand_over(painted, tmp_path / "other", ["nuke"], start=7, frames=(8, 8))
    assert told["numbers"] == "8"


def test_the_timeline_is_one_to_its_own_library(painted, tmp_path):
    otio = pytest.importorskip("opentimelineio")
    shot = changed(painted, numbers="1001-1002", rate=(24000, 1001))
    hand_over(shot, tmp_path / "out", ["otio"])
    timeline = otio.adapters.read_from_file(str(tmp_path / "out/shot.otio"))
    plate, result = timeline.video_tracks()
    for track, folder in ((plate, "plate"), (result, "result")):
        (clip,) = track
        media = clip.media_reference
        assert media.number_of_images_in_sequence() == 2
        for n in (0, 1):
            assert (tmp_path / "out" / media.target_url_for_image_number(n)).is_file()
        assert media.target_url_for_image_number(0) == f"{folder}/{folder}.1001.png"
        assert clip.available_range().start_time.value == 1001
        assert clip.duration().value == 2 and clip.duration().rate == 24000 / 1001
    assert timeline.global_start_time.value == 1001


def test_the_inverse_leads_back(tmp_path, synthetic):
    """A texel's place in the frame is one whose place in the texture is the texel."""
    width, height = 90, 56
    for maps in synthetic.frame_maps(1, 48, 36):
        found = inverse_map(maps, width, height)
        seen = found[..., 2] > 0.99
        assert seen.sum() > 40
        row, column = np.nonzero(seen)
        x, y = found[seen][:, 0] * 48 - 0.5, (1 - found[seen][:, 1]) * 36 - 0.5
        for values, wanted in (
            (maps.u, (column + 0.5) / width),
            (maps.v, 1 - (row + 0.5) / height),
        ):
            x0, y0 = np.floor(x + 1e-6).astype(int), np.floor(y + 1e-6).astype(int)
            x1, y1 = np.minimum(x0 + 1, 47), np.minimum(y0 + 1, 35)
            fx, fy = x - x0, y - y0
            upper = values[y0, x0] * (1 - fx) + values[y0, x1] * fx
            lower = values[y1, x0] * (1 - fx) + values[y1, x1] * fx
            back = upper * (1 - fy) + lower * fy
            assert np.abs(back - wanted).max() * width < 0.1, "texels"


def test_the_inverse_of_nothing_and_of_folds():
    """Hidden layers cover nothing; of a fold the place with more alpha counts; breaks are none."""
    u = np.tile(np.float32([0.1, 0.5, 0.9, 0.5, 0.1]), (3, 1))
    v = np.repeat(np.float32([0.9, 0.5, 0.1]), 5).reshape(3, 5)
    light = np.ones((3, 5, 3), np.float16)
    alpha = np.tile(np.float32([0.2, 0.2, 0.2, 0.8, 0.8]), (3, 1))
    found = inverse_map(LayerMaps(u, v, alpha, light), 10, 10)
    assert found[5, 2, 2] == pytest.approx(0.8) and found[5, 2, 0] > 0.5
    assert not inverse_map(LayerMaps(u, v, alpha * 0, light), 10, 10).any()
    assert not inverse_map(LayerMaps(u, v, alpha, light), 2000, 2000).any()


def test_words_say_what_is_there(painted, tmp_path):
    hand_over(painted, tmp_path / "out", ["nuke"], inverse=False)
    assert not (tmp_path / "out/inverse").exists()
    text = (tmp_path / "out" / WORDS).read_text("utf-8")
    assert "shot.nk" in text and "Never run in Nuke" in text and "inverse/" not in text
    assert "shot.comp" not in text and not (tmp_path / "out/shot.comp").exists()


def test_gaps_are_said(painted, tmp_path, capsys):
    changed(painted, numbers="1001,1005")
    assert main(["export", str(painted.folder), "--to", "otio", "--out", str(tmp_path / "o")]) == 0
    assert "gaps" in capsys.readouterr().err
    timeline = json.loads((tmp_path / "o/shot.otio").read_text())
    clip = timeline["tracks"]["children"][0]["children"][0]
    assert clip["media_references"]["DEFAULT_MEDIA"]["frame_step"] == 4


def refused(shot, out, *programs, **more) -> str:
    before = sorted(out.rglob("*")) if out.is_dir() else None
    with pytest.raises(NvdError) as caught:
        hand_over(shot, out, programs or PROGRAMS, **more)
    assert before == (sorted(out.rglob("*")) if out.is_dir() else None), "nothing was written"
    return str(caught.value)


def test_refused_before_anything_is_written(painted, tmp_path):
    folder = painted.folder
    for inside in (folder, folder / "export", folder / "edits" / ".." / "new"):
        assert "lies in the decomposition" in refused(painted, inside)
    (tmp_path / "link").symlink_to(folder)
    assert "lies in the decomposition" in refused(painted, tmp_path / "link" / "new")
    assert "no hand-over to houdini" in refused(painted, tmp_path / "out", "nuke", "houdini")
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused(painted, tmp_path / "file")
    assert "no layer fox" in refused(painted, tmp_path / "out", edits={"fox": tmp_path / "x.png"})
    write_image(tmp_path / "src/plate/plate.0000.png", np.zeros((36, 48, 3), np.uint8))
    of_source = changed(painted, source=str(tmp_path / "src/plate"))
    assert "the clip's source" in refused(of_source, tmp_path / "src")


def test_an_edit_that_was_painted_there_is_not_lost(painted, tmp_path):
    out = tmp_path / "out"
    hand_over(painted, out, ["nuke"])
    hand_over(painted, out, ["fusion"])  # again, with the same paint
    edit = read_image(out / "edits/dog.png")
    write_image(out / "edits/dog.png", 255 - edit)
    assert "would be lost" in refused(painted, out, "nuke")
    assert (read_image(out / "edits/dog.png") == 255 - edit).all()


def test_an_unfinished_folder_is_refused(painted, tmp_path, capsys):
    (painted.folder / "manifest.json").unlink()
    out = str(tmp_path / "out")
    assert main(["export", str(painted.folder), "--to", "all", "--out", out]) == 2
    assert "nvd:" in capsys.readouterr().err and not (tmp_path / "out").exists()


class StopsIn(Progress):
    """Is asked to stop in the stage of that name."""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def update(self, done, **more):
        if self._stage == self._name and done == 1:
            self.cancel()
        super().update(done, **more)


@pytest.mark.parametrize("stage", ["export", "render"])
def test_stopped_it_leaves_whole_files_and_no_script(painted, tmp_path, stage):
    with pytest.raises(Cancelled):
        hand_over(painted, tmp_path / "out", ["all"], progress=StopsIn(stage))
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files and not [path for path in files if ".tmp" in path.name]
    assert not list((tmp_path / "out").glob("shot*"))
    hand_over(painted, tmp_path / "out", ["all"])
    assert len(list((tmp_path / "out").glob("shot*"))) == len(PROGRAMS)
