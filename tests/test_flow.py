"""Optical flow on textures with known motion, from every source, and what happens on errors."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow, consistent, dis, dis_flow
from nvd_core.priors.flow_size import grey
from nvd_core.priors.motion_fit import apply
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Cancelled, Progress

RAFT_SMALL = Path(__file__).parents[2] / "shared" / "weights" / "raft-small.pth"
SHIFT = np.array([3.0, -2.0])


def shifted_clip(moving_clips, work: Path, count: int = 4) -> np.ndarray:
    """frames.npy of a texture that moves by SHIFT from frame to frame."""
    big = moving_clips.texture(160, 200)
    frames = np.stack(
        [
            cv2.warpAffine(big, np.float64([[1, 0, dx], [0, 1, dy]]), (200, 160))[30:126, 30:158]
            for dx, dy in (t * SHIFT for t in range(count))
        ]
    )
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", frames)
    return frames


def inner(array: np.ndarray) -> np.ndarray:
    return array[..., 12:-12, 12:-12, :].astype(np.float64)


class TestDis:
    def test_known_shift(self, tmp_path, moving_clips):
        shifted_clip(moving_clips, tmp_path)
        compute_flow(tmp_path, Progress())
        forward = np.load(tmp_path / "flow_forward.npy", mmap_mode="r")
        backward = np.load(tmp_path / "flow_backward.npy")
        ok = np.load(tmp_path / "flow_ok.npy")
        assert forward.dtype == np.float16 and forward.shape == (3, 96, 128, 2)
        assert ok.dtype == np.uint8 and ok.shape == (2, 3, 96, 128)
        assert np.abs(inner(forward) - SHIFT).mean() < 0.1
        assert np.abs(inner(backward) + SHIFT).mean() < 0.1
        assert ok[:, :, 12:-12, 12:-12].mean() > 0.99
        assert ok[0, :, :, -2:].mean() < 0.1, "leaves the frame on the right"

    def test_light_that_changes_is_not_taken_for_motion(self, moving_clips):
        """A spot of light goes the other way over a texture: 0.02 px wrong, plain DIS 0.09."""
        big = moving_clips.texture(160, 200)
        y, x = np.mgrid[0:96, 0:128]
        lumas = []
        for t in (0, 1):
            shift = np.float64([[1, 0, 1.5 * t], [0, 1, -t]])
            moved = grey(cv2.warpAffine(big, shift, (200, 160)))[30:126, 30:158] * 0.6
            spot = 1 + np.exp(-((x - 70 + 6 * t) ** 2 + (y - 45) ** 2) / 400)
            lumas.append((moved * spot * (0.75 + 0.25 * t)).clip(0, 255).astype(np.uint8))
        away = [
            np.hypot(*np.moveaxis(inner(flow) - (1.5, -1), -1, 0)).mean()
            for flow in (dis_flow(*lumas), dis().calc(*lumas, None))
        ]
        assert away[0] < 0.04 and away[0] < away[1] / 2, away

    def test_a_small_disc_that_turns(self, tmp_path, moving_clips):
        """12 degrees a frame and 4 px onwards; from half the resolution flow is 0.58 px wrong."""
        motion = moving_clips.rolling_disc(tmp_path, 6, 20, 12)
        forward = np.load(tmp_path / "flow_forward.npy").astype(np.float64)
        masks = np.load(tmp_path / "masks.npy")[0]
        disc = np.ones((9, 9), np.uint8)
        wrong = []
        for t in range(5):
            y, x = np.nonzero(cv2.erode(masks[t], disc) > 127)
            points = np.column_stack([x, y])
            true = apply(np.linalg.inv(motion[t + 1]) @ motion[t], points) - points
            wrong.append(np.linalg.norm(forward[t, y, x] - true, axis=-1))
        assert np.concatenate(wrong).mean() < 0.4

    def test_cancelled_leaves_nothing(self, tmp_path, moving_clips):
        shifted_clip(moving_clips, tmp_path)
        progress = Progress()
        progress.cancel()
        with pytest.raises(Cancelled):
            compute_flow(tmp_path, progress)
        assert [p.name for p in tmp_path.iterdir()] == ["frames.npy"]

    @pytest.mark.parametrize("kind", ["one frame", "method"])
    def test_errors(self, tmp_path, kind, moving_clips):
        shifted_clip(moving_clips, tmp_path, 1 if kind == "one frame" else 2)
        with pytest.raises(NvdError) as caught:
            compute_flow(tmp_path, Progress(), "magic" if kind == "method" else "dis")
        assert caught.value.remedy


class TestConsistent:
    def test_agreeing_and_not(self):
        there = np.full((10, 12, 2), 2.0, np.float32)
        assert consistent(there, -there)[:7, :9].all()
        assert not consistent(there, -there)[8:].any(), "target below the frame"
        assert not consistent(there, there).any()


class TestFiles:
    def write_flo(self, path: Path, flow: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        head = b"PIEH" + np.array([flow.shape[1], flow.shape[0]], "<i4").tobytes()
        path.write_bytes(head + flow.astype("<f4").tobytes())

    @pytest.mark.parametrize("layout", ["npy", "flo"])
    def test_read_and_scaled(self, tmp_path, layout, moving_clips):
        shifted_clip(moving_clips, tmp_path / "work")
        half = np.broadcast_to(SHIFT / 2, (3, 48, 64, 2)).astype(np.float32)
        for name, sign in (("forward", 1), ("backward", -1)):
            if layout == "npy":
                np.save(tmp_path / f"{name}.npy", sign * half)
            for t in range(3 if layout == "flo" else 0):
                self.write_flo(tmp_path / name / f"{t + 9}.flo", sign * half[t])
        compute_flow(tmp_path / "work", Progress(), "files", tmp_path)
        assert np.allclose(np.load(tmp_path / "work/flow_forward.npy"), SHIFT)
        assert np.load(tmp_path / "work/flow_ok.npy")[:, :, 4:-4, 4:-4].all()

    def test_errors(self, tmp_path, moving_clips):
        shifted_clip(moving_clips, tmp_path / "work")
        with pytest.raises(NvdError, match="no folder"):
            compute_flow(tmp_path / "work", Progress(), "files")
        with pytest.raises(NvdError, match="wrong number"):
            compute_flow(tmp_path / "work", Progress(), "files", tmp_path)
        for name in ("forward", "backward"):
            for t in range(3):
                self.write_flo(tmp_path / name / f"{t}.flo", np.zeros((8, 8, 2)))
        (tmp_path / "forward" / "1.flo").write_bytes(b"PIEH")
        with pytest.raises(NvdError, match="not a whole"):
            compute_flow(tmp_path / "work", Progress(), "files", tmp_path)


class TestRaft:
    def test_errors(self, tmp_path, moving_clips):
        shifted_clip(moving_clips, tmp_path, 2)
        with pytest.raises(NvdError, match="file of weights"):
            compute_flow(tmp_path, Progress(), "raft")
        (tmp_path / "bad.pth").write_bytes(b"not weights")
        with pytest.raises(NvdError, match="does not hold"):
            compute_flow(tmp_path, Progress(), "raft", tmp_path / "bad.pth")

    @pytest.mark.clips
    @pytest.mark.skipif(not RAFT_SMALL.is_file(), reason="no RAFT weights in ../shared/weights")
    def test_known_shift(self, tmp_path, moving_clips):
        shifted_clip(moving_clips, tmp_path, 2)
        compute_flow(tmp_path, Progress(), "raft", RAFT_SMALL)
        forward = np.load(tmp_path / "flow_forward.npy")
        assert np.abs(inner(forward) - SHIFT).mean() < 0.4
