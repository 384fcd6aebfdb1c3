"""The garbage matte: found or given, and left out of everything that is learned."""

import json
import os
import shutil

import numpy as np
import pytest

from nvd_core.begun import check_same
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.editing.render import render, render_frames
from nvd_core.evaluation.report import evaluate
from nvd_core.job import Job
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import read_image, write_image
from nvd_core.origin import reads_outside
from nvd_core.pipeline import decompose, resume
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.garbage import load_garbage, write_garbage
from nvd_core.priors.garbage_search import find_garbage
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, fast, update_settings
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values
from nvd_core.work import FLOW_OK, FRAMES, GARBAGE, open_array, open_garbage

pytestmark = pytest.mark.slow

SMALL = {
    "iterations": 200,
    "points": 500,
    "texture_grid": {"levels": 6, "log2_table": 12},
    "residual_grid": {"levels": 4, "log2_table": 12},
    "alpha_grid": {"levels": 4, "log2_table": 12},
}
FOUND = "this does not change while the picture around it moves"


def prepared(folder, frames):
    """Frames and flow of a clip in `folder`/work, and what is known of the clip."""
    clip = open_clip(frames)
    import_clip(clip, folder, Progress())
    compute_flow(folder / "work", Progress())
    return clip.info


def settings() -> Settings:
    return update_settings(fast(), SMALL)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, marked_clip):
    """Frames and masks of the clip with bars and a logo."""
    return marked_clip.write(tmp_path_factory.mktemp("marked"))


@pytest.fixture(scope="module")
def priors(tmp_path_factory, clip):
    """A folder with its frames and flow, and what is known of the clip. To be copied."""
    folder = tmp_path_factory.mktemp("priors")
    return folder, prepared(folder, clip[0])


@pytest.fixture(scope="module")
def matte(tmp_path_factory, marked_clip):
    """A picture of what is burnt in."""
    path = tmp_path_factory.mktemp("matte") / "matte.png"
    write_image(path, marked_clip.marks().astype(np.uint8) * 255)
    return path


@pytest.fixture(scope="module")
def shot(tmp_path_factory, clip, matte):
    """The clip decomposed with the matte that was given."""
    folder = tmp_path_factory.mktemp("with") / "shot.nvd"
    job = Job(str(clip[0]), masks=[["disc", str(clip[1])]], garbage=str(matte))
    decompose(folder, job, settings(), Progress())
    return Shot.open(folder)


def greenest(image):
    """How much greener than red and blue the greenest texel is."""
    colours = image[..., :3].astype(int)
    return (colours[..., 1] - np.maximum(colours[..., 0], colours[..., 2])).max()


class TestSearch:
    def test_bars_and_logo_are_found_to_their_edges(self, priors, marked_clip):
        found = find_garbage(priors[0] / "work", Progress())
        missed = marked_clip.marks() & (found.matte == 0)
        assert not missed.any()
        beyond = (found.matte > 0) & ~marked_clip.marks()
        assert beyond.mean() < 0.12  # compression smears: two pixels around
        assert "104 x 10 pixels at x 0, y 0" in found.words
        assert "of the picture" in found.words

    @pytest.mark.parametrize("marked", [True, False])
    def test_a_still_camera_says_nothing(self, tmp_path, marked_clip, marked):
        frames, _ = marked_clip.write(tmp_path, pan=0, marked=marked)
        prepared(tmp_path / "shot", frames)
        assert find_garbage(tmp_path / "shot" / "work", Progress()) is None

    def test_a_clean_pan_says_nothing(self, tmp_path, marked_clip):
        frames, _ = marked_clip.write(tmp_path, marked=False)
        prepared(tmp_path / "shot", frames)
        assert find_garbage(tmp_path / "shot" / "work", Progress()) is None

    def test_a_clear_sky_is_no_bar(self, tmp_path, marked_clip):
        """Rows of one colour that end softly are a picture."""
        frames, _ = marked_clip.write(tmp_path, marked=False)
        fade = np.clip((np.arange(marked_clip.HEIGHT) - 6) / 40, 0, 1)[:, None, None]
        for path in frames.iterdir():
            write_image(path, (read_image(path) * fade).astype(np.uint8))
        prepared(tmp_path / "shot", frames)
        assert find_garbage(tmp_path / "shot" / "work", Progress()) is None

    @pytest.mark.long
    @pytest.mark.clips
    @pytest.mark.parametrize("name", ["bear", "hike", "car-turn", "lucia", "bmx-trees"])
    def test_real_clips_say_nothing(self, tmp_path, clips, name):
        opened = open_clip(clips / name / "frames", None, 240)
        import_clip(opened, tmp_path, Progress())
        compute_flow(tmp_path / "work", Progress())
        assert find_garbage(tmp_path / "work", Progress()) is None

    def test_it_is_a_caution_and_changes_nothing(self, tmp_path, priors):
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        before = {path.name: path.read_bytes() for path in (folder / "work").iterdir()}
        (said,) = write_garbage(None, priors[1], folder, Progress())
        assert said.startswith(FOUND) and "--garbage auto" in said and "--garbage PATH" in said
        after = {path.name: path.read_bytes() for path in (folder / "work").iterdir()}
        assert after == before and not (folder / "masks").exists()

    def test_auto_uses_it(self, tmp_path, priors, marked_clip):
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        (said,) = write_garbage("auto", priors[1], folder, Progress())
        assert said.startswith("left out as garbage: ")
        kept = read_image(folder / "masks" / "garbage.png")[..., 0]
        np.testing.assert_array_equal(open_garbage(folder / "work")[0], kept)
        assert (kept[marked_clip.marks()] == 255).all()

    def test_auto_without_a_finding_says_so(self, tmp_path, marked_clip):
        frames, _ = marked_clip.write(tmp_path, marked=False)
        info = prepared(tmp_path / "shot", frames)
        (said,) = write_garbage("auto", info, tmp_path / "shot", Progress())
        assert "found nothing" in said
        assert open_garbage(tmp_path / "shot" / "work") is None


class TestGiven:
    def test_one_picture_is_for_all_frames_whatever_its_number(self, tmp_path, priors, marked_clip):
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        path = tmp_path / "0005.png"  # numbered as a frame of the clip is
        write_image(path, (~marked_clip.marks()).astype(np.uint8) * 255)
        assert write_garbage(f"!{path}", priors[1], folder, Progress()) == []
        garbage = open_garbage(folder / "work")
        assert garbage.shape == (1, marked_clip.HEIGHT, marked_clip.WIDTH)
        np.testing.assert_array_equal(garbage[0] > 0, marked_clip.marks())

    def test_a_sequence_moves_and_its_gaps_have_the_matte_before(self, tmp_path, priors):
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        info = priors[1]

        def spot(t):
            image = np.zeros((info.height, info.width), np.uint8)
            image[20:30, 5 * t : 5 * t + 10] = 255
            return image

        for t in (2, 3, 7):
            write_image(tmp_path / "m" / f"{t:04d}.png", spot(t))
        write_garbage(str(tmp_path / "m"), info, folder, Progress())
        garbage = open_garbage(folder / "work")
        assert len(garbage) == info.frames
        for t, given in ((0, 2), (2, 2), (5, 3), (7, 7), (info.frames - 1, 7)):
            np.testing.assert_array_equal(garbage[t], spot(given))
            kept = read_image(folder / "masks" / "garbage" / f"{t:05d}.png")
            np.testing.assert_array_equal(kept[..., 0], spot(given))
        ok, before = (open_array(f / "work", FLOW_OK) for f in (folder, priors[0]))
        assert not ok[0, 7][20:30, 35:45].any() and not ok[1, 6][20:30, 35:45].any()
        assert before[0, 7][20:30, 35:45].any()
        np.testing.assert_array_equal(ok[:, :, 45:], before[:, :, 45:])

    def test_flow_that_ends_in_the_matte_is_not_ok(self, tmp_path, priors):
        """The wall moves to the left by four pixels a frame."""
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        image = np.zeros((priors[1].height, priors[1].width), np.uint8)
        image[12:22, 40:50] = 255
        write_image(tmp_path / "matte.png", image)
        write_garbage(str(tmp_path / "matte.png"), priors[1], folder, Progress())
        ok = open_array(folder / "work", FLOW_OK)
        assert not ok[0, :, 15:19, 55:58].any()  # beyond the margin of four
        assert not ok[1, :, 15:19, 33:36].any()

    def test_what_cannot_be_a_matte_is_refused(self, tmp_path, priors, marked_clip):
        info = priors[1]
        with pytest.raises(NvdError, match="not detected by a class"):
            load_garbage("maskrcnn:person", info)
        with pytest.raises(NvdError, match="an object is called garbage"):
            load_garbage("auto", info, ["Garbage"])
        everything = np.full((info.height, info.width), 255, np.uint8)
        everything[:2] = 0
        write_image(tmp_path / "all.png", everything)
        folder = shutil.copytree(priors[0], tmp_path / "shot")
        with pytest.raises(NvdError, match="covers nearly the whole picture"):
            write_garbage(str(tmp_path / "all.png"), info, folder, Progress())


class TestDecomposition:
    def test_the_texture_is_free_of_it(self, shot, marked_clip):
        assert greenest(read_image(shot.texture_path("background"))) < 120
        rows = read_image(shot.texture_path("background"))[..., :3].max((1, 2))
        assert rows.min() > 20  # no black bar

    def test_no_layer_shows_there(self, shot, marked_clip):
        marks = marked_clip.marks()
        for maps in iter_maps(shot, range(shot.frames)):
            total = maps.uva[..., 2].sum(0)
            assert (total[marks] == 0).all()
            np.testing.assert_allclose(total[~marks], 1, atol=1e-3)

    def test_unedited_it_renders_the_source(self, shot, clip, tmp_path):
        render(shot, tmp_path / "%04d.png")
        for t in range(shot.frames):
            expected = read_image(clip[0] / f"{t:04d}.png")
            np.testing.assert_array_equal(read_image(tmp_path / f"{t:04d}.png"), expected)

    @pytest.mark.parametrize("mode", ["delta", "full"])
    def test_painted_it_renders_the_source_in_the_matte(
        self, shot, clip, tmp_path, marked_clip, mode
    ):
        paint = np.full_like(read_image(shot.texture_path("background")), 255)
        paint[..., 0] = 0
        write_image(tmp_path / "paint.png", paint)
        edits, marks = {"background": tmp_path / "paint.png"}, marked_clip.marks()
        for t, frame in enumerate(render_frames(shot, edits, mode=mode)):
            expected = read_image(clip[0] / f"{t:04d}.png")
            np.testing.assert_array_equal(frame[marks], expected[marks])
            assert np.abs(frame[~marks].astype(int) - expected[~marks]).mean() > 20

    def test_full_mode_in_half_a_matte_is_a_mixture(self, shot, tmp_path, marked_clip):
        whole = next(render_frames(shot, mode="full"))
        for maps in iter_maps(shot, [0]):
            maps.uva[..., 2] *= 0.5
        soft = tmp_path / "soft.nvd"
        shutil.copytree(shot.folder, soft)
        from nvd_core.shot.map_writer import MapWriter

        with MapWriter(soft / "maps", shot.names) as writer:
            writer.write(0, [maps.layer(n) for n in range(len(shot.names))], None)
        mixed = next(render_frames(Shot.open(soft), mode="full", frames=(0, 0)))
        frame = read_image(shot.frame_path(0))
        outside = ~marked_clip.marks()
        expected = (whole[outside].astype(float) + frame[outside]) / 2
        assert np.abs(mixed[outside] - expected).max() <= 1.5

    def test_behind_an_invisible_layer_is_no_frame(self, shot, clip, marked_clip):
        values = Values().with_value("background", "visibility", 0)
        hidden = next(render_frames(shot, mode="full", values=values))
        marks, background = marked_clip.marks(), next(iter_maps(shot, [0], ["background"]))
        alone = background.uva[0, ..., 2] > 0.999
        np.testing.assert_array_equal(hidden[marks], read_image(clip[0] / "0000.png")[marks])
        assert alone.any() and hidden[alone].max() <= 1

    def test_a_layer_alone_is_transparent_there(self, shot, marked_clip):
        frame = next(LayerAlone(shot, "background", None, None).frames([3]))
        assert (frame[marked_clip.marks(), 3] == 0).all()
        assert frame[30, 60:, 3].min() > 200

    def test_the_folder_keeps_matte_and_option(self, shot, matte):
        manifest = json.loads((shot.folder / "manifest.json").read_text())
        assert manifest["garbage"] == "masks/garbage.png"
        kept = read_image(shot.folder / manifest["garbage"])
        np.testing.assert_array_equal(kept[..., 0], read_image(matte)[..., 0])
        assert json.loads((shot.folder / "job.json").read_text())["garbage"] == str(matte)
        with pytest.raises(NvdError, match="another job"):
            job = Job.load(shot.folder)
            job.garbage = None
            check_same(shot.folder, job, settings())

    def test_the_report_measures_the_rest(self, shot, tmp_path):
        folder = shutil.copytree(shot.folder, tmp_path / "shot.nvd")
        measured = evaluate(Shot.open(folder))
        whole = dict(json.loads((folder / "manifest.json").read_text()))
        del whole["garbage"]  # then black in place of the frame counts
        (folder / "manifest.json").write_text(json.dumps(whole))
        without = evaluate(Shot.open(folder))
        assert measured["psnr"] > without["psnr"] + 3


class TestAround:
    def test_old_folders_open(self, shot, tmp_path):
        folder = shutil.copytree(shot.folder, tmp_path / "shot.nvd")
        for name in ("manifest.json", "job.json"):
            values = json.loads((folder / name).read_text())
            del values["garbage"]
            (folder / name).write_text(json.dumps(values))
        assert Shot.open(folder).manifest.garbage is None
        assert Job.load(folder).garbage is None

    @pytest.mark.parametrize("bad", ["../x.png", "masks/x.jpg", 3, "masks/%s.png"])
    def test_a_bad_path_in_the_manifest_is_refused(self, shot, tmp_path, bad):
        folder = shutil.copytree(shot.folder, tmp_path / "shot.nvd")
        values = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(values | {"garbage": bad}))
        with pytest.raises(NvdError):
            Shot.open(folder)

    def test_resume_goes_on_with_it(self, tmp_path, clip, matte):
        class Stop(Progress):
            def update(self, done, **values):
                if self._stage == "motion":
                    self.cancel()
                super().update(done, **values)

        folder = tmp_path / "shot.nvd"
        job = Job(str(clip[0]), masks=[["disc", str(clip[1])]], garbage=str(matte))
        few = update_settings(fast(), SMALL | {"iterations": 5, "fit_textures": False})
        with pytest.raises(Cancelled):
            decompose(folder, job, few, Stop())
        assert Job.load(folder).garbage == str(matte)
        assert (folder / "work" / GARBAGE).is_file() and (folder / "work" / FRAMES).is_file()
        resume(folder, Progress())
        assert Shot.open(folder).manifest.garbage == "masks/garbage.png"

    def test_a_strangers_folder_asks_before_it_is_read(self, tmp_path):
        job = Job("/clips/a", garbage="!/home/me/secret.png", done=["frames", "flow"], clip={})
        job.clip = {"frames": 1}
        said = reads_outside(tmp_path, job, fast())
        assert f"the garbage matte {os.sep}home{os.sep}me{os.sep}secret.png" in said
        job.garbage = "auto"
        assert not [text for text in reads_outside(tmp_path, job, fast()) if "garbage" in text]

    def test_run_lists_and_the_command_name_it_as_a_mask(self, tmp_path, monkeypatch):
        from nvd_core.cli import decompose as command
        from nvd_core.evaluation.reproduce.run_list import load_run_list

        written = {"a": "auto", "b": "m/matte.png", "c": "!m/matte.png#2"}
        clips = "".join(
            f"  {name}: {{source: x, garbage: '{given}', masks: {{dog: '{given}'}}}}\n"
            for name, given in written.items()
        )
        (tmp_path / "list.yaml").write_text(f"clips:\n{clips}")
        jobs = {run.clip: run.job for run in load_run_list(tmp_path / "list.yaml")}
        monkeypatch.chdir(tmp_path)
        beside = f"{tmp_path / 'm' / 'matte.png'}"
        for name, wanted in (("a", "auto"), ("b", beside), ("c", f"!{beside}#2")):
            assert jobs[name].garbage == wanted == command._garbage(written[name])
            assert jobs[name].masks[0][1] == (wanted if name != "a" else str(tmp_path / "auto"))
