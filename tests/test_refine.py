"""A finished decomposition that is made better: the command `nvd refine`."""

import json
import shutil

import numpy as np
import pytest

from nvd_core.begun import check_same
from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.media.images import read_image, write_image
from nvd_core.origin import note_begun
from nvd_core.pipeline import resume
from nvd_core.refine import PICTURE, next_version, refine
from nvd_core.runtime.errors import Cancelled, NvdError, Unconfirmed
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def painted(trained, tmp_path_factory) -> Shot:
    """The tiny clip with a stroke on both layers; not to be changed."""
    folder = tmp_path_factory.mktemp("painted") / "shot.nvd"
    shutil.copytree(trained().folder, folder)
    # another worker may have trained it, and each has a user of its own
    note_begun(folder, Job.load(folder), load_settings(folder / "settings.yaml"))
    shot = Shot.open(folder)
    for name in shot.names:
        image = read_image(shot.texture_path(name)).copy()
        height, width = image.shape[:2]
        image[height // 3 : height // 2, width // 3 : width // 2] = 255, 20, 20, 255
        write_image(shot.edit_path(name), image)
    return shot


@pytest.fixture(scope="module")
def refined(painted) -> Shot:
    """It, refined by the command; not to be changed."""
    assert main(["refine", str(painted.folder), "--steps", "60"]) == 0
    return Shot.open(painted.folder.with_name("shot_v2.nvd"))


def red(shot: Shot, frame: int) -> np.ndarray:
    """Where the rendered frame is red and the plate is not."""
    from nvd_core.editing.render import render_frames

    picture = next(render_frames(shot, frames=(frame, frame))).astype(int)
    plate = read_image(shot.frame_path(frame))[..., :3].astype(int)
    return (picture[..., 0] - picture[..., 1] - (plate[..., 0] - plate[..., 1])) > 80


def test_the_paint_lies_where_it_lay(painted, refined):
    for frame in (0, painted.frames // 2, painted.frames - 1):
        before, after = red(painted, frame), red(refined, frame)
        both, any_ = (before & after).sum(), (before | after).sum()
        assert any_ > 30 and both / any_ > 0.85


def test_it_is_no_worse_and_says_what_it_came_from(painted, refined):
    job = Job.load(refined.folder)
    assert job.refines == str(painted.folder) and job.goes_on
    assert load_settings(refined.folder / "settings.yaml").iterations == 120
    assert (refined.folder / PICTURE).is_file()
    assert _psnr(refined) > _psnr(painted) - 0.5


def _psnr(shot: Shot) -> float:
    assert main(["evaluate", str(shot.folder)]) == 0
    return json.loads((shot.folder / "report/report.json").read_text())["psnr"]


def test_the_old_folder_is_untouched_and_again_does_nothing(painted, refined):
    before = {p: p.stat().st_mtime_ns for p in painted.folder.rglob("*.png")}
    facts = refine(painted.folder, refined.folder, steps=60)
    assert facts["finished_before"]
    assert before == {p: p.stat().st_mtime_ns for p in painted.folder.rglob("*.png")}


class Stopped(Progress):
    """Cancels in a stage."""

    def __init__(self, stage: str, step: int) -> None:
        super().__init__()
        self.stage_wanted, self.step, self.now = stage, step, ""

    def stage(self, name: str, total: int, start: int = 0) -> None:
        self.now = name

    def update(self, done: int, **facts) -> None:
        if self.now == self.stage_wanted and done >= self.step:
            raise Cancelled


@pytest.mark.parametrize(("stage", "step"), [("flow", 1), ("training", 70), ("carrying", 1)])
def test_stopped_and_resumed_it_is_the_same(painted, refined, stage, step, tmp_path):
    out = tmp_path / "again.nvd"
    with pytest.raises(Cancelled):
        refine(painted.folder, out, steps=60, progress=Stopped(stage, step))
    resume(out, Progress())
    again = Shot.open(out)
    for name in again.names:
        for path in (Shot.texture_path, Shot.edit_path):
            expected = read_image(path(refined, name))
            np.testing.assert_array_equal(read_image(path(again, name)), expected)


def test_a_corrected_mask_changes_the_layer(painted, tmp_path):
    """The disc's mask cut in half: the alpha goes with it."""
    masks = tmp_path / "masks"
    for t in range(painted.frames):
        mask = read_image(painted.mask_path("disc", t)).copy()
        mask[: mask.shape[0] // 2] = 0
        write_image(masks / f"{t:05d}.png", mask)
    out = tmp_path / "half.nvd"
    facts = refine(painted.folder, out, masks={"disc": str(masks)}, steps=150)
    assert "background" in facts["carried"]
    before, after = _alpha(painted), _alpha(Shot.open(out))
    top = slice(0, before.shape[0] // 2)
    assert after[top].sum() < 0.5 * before[top].sum()
    assert after.sum() > 0.25 * before.sum()


def _alpha(shot: Shot) -> np.ndarray:
    from nvd_core.shot.maps import read_maps

    return read_maps(shot.map_path(1), ["disc"]).uva[0, ..., 2]


def test_other_frames_begin_anew_and_keep_the_paint(painted, tmp_path):
    out = tmp_path / "short.nvd"
    facts = refine(painted.folder, out, frames=(1, painted.frames - 1), steps=150)
    assert not Job.load(out).goes_on
    assert sorted(facts["carried"]) == sorted(painted.names)
    before, after = red(painted, 2), red(Shot.open(out), 1)
    assert (before & after).sum() / (before | after).sum() > 0.6


def test_new_parts_begin_anew_and_keep_the_paint(painted, tmp_path):
    """The disc's lower half, drawn on one frame of a shot that had no parts."""
    mask = read_image(painted.mask_path("disc", 0)).copy()
    rows = np.nonzero(mask.any(axis=(1, 2)))[0]
    mask[: (rows[0] + rows[-1]) // 2] = 0
    write_image(tmp_path / "half/0000.png", mask)
    out = tmp_path / "parts.nvd"
    words = ["refine", str(painted.folder), "--out", str(out), "--steps", "150"]
    assert main([*words, "--part", f"disc.half={tmp_path / 'half'}"]) == 0
    job, shot = Job.load(out), Shot.open(out)
    assert not job.goes_on and job.refines == str(painted.folder)
    assert [part.name for part in shot.layer("disc").parts] == ["rest", "half"]
    before, after = red(painted, 0), red(shot, 0)
    assert (before & after).sum() / (before | after).sum() > 0.75
    again = tmp_path / "again.nvd"
    with pytest.raises(Cancelled):
        refine(shot.folder, again, steps=20, progress=Stopped("training", 25))
    job = Job.load(again)
    assert job.goes_on and [name for name, _ in job.parts] == ["disc.half"]


def test_a_folder_that_has_gone_is_said_and_costs_nothing(painted, tmp_path):
    gone = tmp_path / "gone.nvd"
    shutil.copytree(painted.folder, gone)
    out = tmp_path / "new.nvd"
    with pytest.raises(Cancelled):
        refine(gone, out, steps=20, progress=Stopped("training", 25))
    shutil.rmtree(gone)
    said = []
    progress = Progress()
    progress.caution = said.append
    facts = resume(out, progress)
    assert facts["carried"] == [] and any("nvd carry" in word for word in said)


def test_what_is_refused(painted, tmp_path):
    with pytest.raises(NvdError, match="no object horse"):
        refine(painted.folder, tmp_path / "x.nvd", masks={"horse": "x"})
    with pytest.raises(NvdError, match="no part of a layer"):
        refine(painted.folder, tmp_path / "x.nvd", parts={"horse.leg": "x"})
    assert main(["refine", str(painted.folder), "--mask", "disc=/nowhere"]) == 2
    assert main(["refine", str(tmp_path)]) == 2
    damaged = tmp_path / "damaged.nvd"
    shutil.copytree(painted.folder, damaged)
    (damaged / "checkpoint.safetensors").write_bytes(b"x")
    with pytest.raises(NvdError, match="checkpoint"):
        refine(damaged, tmp_path / "y.nvd", steps=20)
    assert not (tmp_path / "y.nvd/manifest.json").exists()


def test_a_strangers_folder_asks_before_it_reads_paint(painted, tmp_path, monkeypatch):
    out = tmp_path / "new.nvd"
    with pytest.raises(Cancelled):
        refine(painted.folder, out, steps=20, progress=Stopped("training", 25))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    with pytest.raises(Unconfirmed, match="not begun by you"):
        resume(out, Progress())


def test_a_strangers_folder_asks_before_it_reads_its_clip(painted, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    out = tmp_path / "new.nvd"
    with pytest.raises(Unconfirmed, match="not begun by you") as said:
        refine(painted.folder, out, steps=20)
    assert "nvd refine --yes" in said.value.remedy and not out.exists()
    with pytest.raises(Cancelled):
        refine(painted.folder, out, steps=20, yes=True, progress=Stopped("flow", 1))


def test_another_refinement_is_another_job(painted, refined):
    job = Job.load(refined.folder)
    job.refines = "/elsewhere/shot.nvd"
    with pytest.raises(NvdError, match="refines"):
        check_same(refined.folder, job, load_settings(refined.folder / "settings.yaml"))


def test_names_of_versions(tmp_path):
    assert next_version(tmp_path / "shot.nvd") == tmp_path / "shot_v2.nvd"
    (tmp_path / "shot_v2.nvd").mkdir()
    assert next_version(tmp_path / "shot.nvd") == tmp_path / "shot_v3.nvd"
    assert next_version(tmp_path / "shot_v2.nvd") == tmp_path / "shot_v3.nvd"
