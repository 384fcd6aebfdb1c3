"""Large and long clips: memory that does not grow with the clip, flow at a part of its size."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from nvd_core.baking import survey
from nvd_core.fields.inference import FrameLayers
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import is_plain_png, read_image, write_image
from nvd_core.priors import flow_size as flow_size_module
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.flow_size import flow_scale, flow_size
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.motion_fit import apply
from nvd_core.runtime.progress import Progress
from nvd_core.training import sampling
from nvd_core.training.sampling import Sampler
from nvd_core.work import ClipData

pytestmark = pytest.mark.slow

FRAME, MASK, FLOW, OK = 3, 2, 8, 2
"""bytes a pixel of frames.npy, of masks.npy and its weights, and of both ways of the flow"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the memory")
def test_no_stage_holds_the_clip_in_memory():
    """What a stage needs more for a longer clip is a small part of what that clip has more."""
    script = Path(__file__).parent / "scripts" / "stage_memory.py"
    steady = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    run = subprocess.run(
        [sys.executable, script], env=os.environ | steady, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    passes_through = {
        "frames": FRAME,
        "flow": FRAME + FLOW + OK,
        "moving object": FRAME + MASK + FLOW + OK,
        "masks": MASK,
        "motion": FRAME + MASK / 2 + FLOW / 2 + OK / 2,
        "cautions": FRAME + MASK / 2 + OK,
        "points": FRAME + MASK + FLOW + OK,
    }
    printed = json.loads(run.stdout)
    risen, (short_clip, long_clip), (width, height) = map(printed.get, ("risen", "lengths", "size"))
    assert risen.keys() == passes_through.keys()
    for stage, (short, long) in risen.items():
        more = passes_through[stage] * height * width * (long_clip - short_clip) / 2**20
        assert long - short < 0.4 * more, f"{stage}: {short} MB, then {long} of {more:.0f} MB more"


class TestFlowSize:
    def test_sizes(self):
        assert flow_size(432, 768) == (432, 768)
        assert flow_size(720, 1280) == (720, 1280)
        assert flow_size(1080, 1920) == (540, 960)
        assert flow_size(2160, 3840) == (720, 1280)
        assert flow_size(1521, 2705) == (507, 902)
        assert np.allclose(flow_scale((1080, 1920), (540, 960)), 2)
        assert flow_size(1080, 1920, 448) == flow_size(432, 768, 448) == (216, 384)

    @pytest.mark.parametrize("part", [2, 3])
    def test_motion_comes_out_as_from_full_flow(self, tmp_path, monkeypatch, part, moving_clips):
        """Half flow of an even size, and a third, by which the height cannot be divided."""
        true = np.tile(np.eye(3), (6, 1, 1))
        true[:, 0, 2], true[:, 1, 2] = 3.0 * np.arange(6), -1.5 * np.arange(6)
        longest = moving_clips.WIDTH // part
        monkeypatch.setattr(flow_size_module, "LONGEST", longest)
        moving_clips.warped_clip(tmp_path, true)
        rows, columns = flow_size(moving_clips.HEIGHT, moving_clips.WIDTH)
        stored = np.load(tmp_path / "flow_forward.npy")
        assert stored.shape == (5, rows, columns, 2) and columns <= longest
        inner = stored[:, 6:-6, 6:-6].astype(float)
        assert np.abs(inner - (-3.0, 1.5)).mean() < 0.15, "in pixels of the frames"
        motions = estimate_global_motion(tmp_path, Progress())[-1]
        right, bottom = moving_clips.WIDTH - 1, moving_clips.HEIGHT - 1
        corners = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], float)
        expected = apply(np.linalg.inv(true[3]) @ true, corners)
        assert np.abs(apply(motions, corners) - expected).max() < 0.2

    def test_a_smaller_size_may_be_asked_for(self, tmp_path, moving_clips):
        """Then what reads the flow goes by the size that it has."""
        true = np.tile(np.eye(3), (6, 1, 1))
        true[:, 0, 2] = 3.0 * np.arange(6)
        moving_clips.warped_clip(tmp_path, true)
        whole = np.load(tmp_path / "flow_forward.npy")
        compute_flow(tmp_path, Progress(), longest=moving_clips.WIDTH // 2)
        half = np.load(tmp_path / "flow_forward.npy")
        assert half.shape[1:3] == (whole.shape[1] // 2, whole.shape[2] // 2)
        assert np.abs(half[:, 6:-6, 6:-6].astype(float) - (-3.0, 0)).mean() < 0.15
        motions = estimate_global_motion(tmp_path, Progress())[-1]
        corners = np.array([[0, 0], [moving_clips.WIDTH - 1, 0]], float)
        expected = apply(np.linalg.inv(true[3]) @ true, corners)
        assert np.abs(apply(motions, corners) - expected).max() < 0.2

    def test_unknown_flow_stays_finite(self, tmp_path, monkeypatch):
        monkeypatch.setattr(flow_size_module, "LONGEST", 40)
        np.save(tmp_path / "frames.npy", np.zeros((2, 90, 160, 3), np.uint8))
        for name in ("forward", "backward"):
            np.save(tmp_path / f"{name}.npy", np.full((1, 90, 160, 2), np.nan, np.float32))
        compute_flow(tmp_path, Progress(), "files", tmp_path)
        assert np.isfinite(np.load(tmp_path / "flow_forward.npy")).all()
        assert not np.load(tmp_path / "flow_ok.npy").any()


class TestPoints:
    @pytest.fixture
    def data(self, tmp_path) -> ClipData:
        """Noise for frames and priors of two objects; flow that says where in the frame it is."""
        random, shape = np.random.default_rng(0), (5, 31, 50)
        np.save(tmp_path / "frames.npy", random.integers(0, 256, (*shape, 3), np.uint8))
        masks = np.zeros((2, *shape), np.uint8)
        masks[0, :, 4:20, 8:30] = masks[1, 1:3, 2:9, 30:44] = 255
        np.save(tmp_path / "masks.npy", masks)
        np.save(tmp_path / "mask_weight.npy", random.integers(0, 256, masks.shape, np.uint8))
        rows, columns = 10, 17  # a third of the frame's
        where = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
        for name in ("forward", "backward"):
            np.save(tmp_path / f"flow_{name}.npy", np.stack([where] * 4).astype(np.float16))
        np.save(tmp_path / "flow_ok.npy", np.ones((2, 4, rows, columns), np.uint8))
        return ClipData(tmp_path)

    def test_points_do_not_depend_on_how_many_are_read_ahead(self, data, monkeypatch):
        monkeypatch.setattr(sampling, "POINTS_AHEAD", 700)
        one, many = (
            Sampler(data, 200, 0.3, 0.5, 7, torch.device("cpu"), steps) for steps in (0, 8)
        )
        for step in (0, 1, 2, 3, 7, 2):
            alone, ahead = one.draw(step), many.draw(step)
            for name, value in vars(alone).items():
                assert torch.equal(value, getattr(ahead, name)), name

    def test_nor_do_those_by_error(self, data, monkeypatch):
        options = (data, 200, 0.3, 0.5, 7, torch.device("cpu"), 400, None, 0.5)
        far, near = Sampler(*options), Sampler(*options)
        for step in range(45):
            drawn = far.draw(step)
            with monkeypatch.context() as small:
                small.setattr(sampling, "POINTS_AHEAD", 700)
                same = near.draw(step)
            for name, value in vars(drawn).items():
                assert torch.equal(value, getattr(same, name)), name
            for sampler in (far, near):
                sampler.learn(drawn.xy[:, 0])
        assert len(far._ahead) == 20 and len(near._ahead) <= 3

    def test_flow_of_a_smaller_size_is_that_around_the_point(self, data):
        points = Sampler(data, 500, 0.3, 1.0, 0, torch.device("cpu")).draw(0)
        column, row = (points.match_xy - points.xy).T
        # centres of the flow's pixels, in pixels of the frame
        centre = torch.stack([(column + 0.5) * 50 / 17 - 0.5, (row + 0.5) * 3.1 - 0.5], 1)
        assert (centre - points.xy).abs().max() <= 3.1 / 2 + 1e-3


class TestImport:
    def save(self, path: Path, kind: str, seed: int) -> None:
        """A PNG of 32 x 24 put together by hand, since few programs write all kinds."""
        random = np.random.default_rng(seed)
        colour_type, channels = {"alpha": (6, 4), "palette": (3, 1)}.get(kind, (2, 3))
        rows = random.integers(0, 256, (24, 32 * channels), np.uint8)
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", 32, 24, 8, colour_type, 0, 0, 0)),
            *{
                "plain": [(b"tEXt", b"Comment\0shot today")],
                "palette": [(b"PLTE", random.bytes(768))],
                "key": [(b"tRNS", struct.pack(">HHH", *rows[0, :3]))],
                "srgb": [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455))],
                "gamma": [(b"gAMA", struct.pack(">I", 100000))],
            }.get(kind, []),
            (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
            (b"IEND", b""),
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        ]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))

    @pytest.mark.parametrize(
        "kind", ["plain", "srgb", "smaller", "alpha", "palette", "key", "gamma"]
    )
    def test_a_plain_png_is_copied_all_else_is_written_anew(self, tmp_path, kind):
        for t in range(3):
            self.save(tmp_path / f"clip/{t}.png", kind, t)
        height = 16 if kind == "smaller" else None
        clip = open_clip(tmp_path / "clip", (1, 2), height, plate_height=height)
        import_clip(clip, tmp_path / "shot", Progress())
        for t, frame in enumerate(clip):
            file = tmp_path / f"shot/frames/{t:05d}.png"
            assert np.array_equal(read_image(file)[..., :3], frame)
            same = file.read_bytes() == (tmp_path / f"clip/{t + 1}.png").read_bytes()
            assert same == (kind in ("plain", "srgb", "alpha", "gamma"))  # kept with what it says
        file.write_bytes(b"")
        assert read_image(tmp_path / "clip/2.png").size, "the source is not touched"

    def test_a_png_that_ends_too_soon_is_not_plain(self, tmp_path):
        write_image(tmp_path / "whole.png", np.zeros((8, 8, 3), np.uint8))
        whole = (tmp_path / "whole.png").read_bytes()
        assert is_plain_png(tmp_path / "whole.png")
        for length in (0, 7, 20, 33):
            (tmp_path / "part.png").write_bytes(whole[:length])
            assert not is_plain_png(tmp_path / "part.png")


def test_survey_of_many_frames_keeps_a_sample(monkeypatch):
    """The texture's size does not hang on how many densities are kept."""

    class Model:
        layers, names = 1, ["background"]
        shape = type("Shape", (), {"frames": 40, "height": 540, "width": 960})

    def layers(model: Model, t: int, stride: int, light: bool) -> FrameLayers:
        y, x = np.mgrid[0:540:stride, 0:960:stride].astype(np.float32)
        uv = np.stack([x / 960 + t / 400, y / 960], -1) * (1 + 0.1 * np.sin(t)) - 0.5
        return FrameLayers(uv[None], np.ones((1, *x.shape), np.float32), np.ones((1, 1)), None)

    monkeypatch.setattr(survey, "frame_layers", layers)
    kept = []
    whole = survey._texture_frame
    monkeypatch.setattr(survey, "_texture_frame", lambda *a: (kept.append(len(a[2])), whole(*a))[1])
    (all_of_them,) = survey.survey(Model, 1.25, Progress())
    monkeypatch.setattr(survey, "SURVEY_AREAS", 5000)
    (sample,) = survey.survey(Model, 1.25, Progress())
    assert kept[0] > 1_000_000 and kept[1] <= 5000
    assert abs(sample.width / all_of_them.width - 1) < 0.01
