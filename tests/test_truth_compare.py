"""A decomposition against the truth: perfect ones score at the top, spoilt ones where they hurt."""

import json
import shutil

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.evaluation.truth.compare import measure_truth
from nvd_core.evaluation.truth.edit_fidelity import (
    FidelityMeter,
    SteadinessMeter,
    display_opacity,
    estimated_flow,
    exposure,
)
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import decode_srgb, encode_srgb, read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow

KINDS = ("object", "background")


@pytest.fixture(scope="module")
def truth(truth_shots) -> Truth:
    return Truth.open(truth_shots.TURNING)


@pytest.fixture(scope="module")
def perfect(truth, tmp_path_factory, truth_shots) -> Shot:
    return truth_shots.shot_of_truth(tmp_path_factory.mktemp("perfect") / "shot.nvd", truth)


@pytest.fixture(scope="module")
def best(perfect, truth_shots) -> dict:
    return measure_truth(perfect, truth_shots.TURNING, Progress())


def measured(truth_shots, perfect, tmp_path, change) -> dict:
    return measure_truth(
        truth_shots.spoilt(perfect, tmp_path / "shot.nvd", change), truth_shots.TURNING, Progress()
    )


@pytest.mark.long
def test_the_truth_itself_scores_at_the_top(best):
    assert best["alpha_iou"]["toy"] > 0.99 and best["alpha_error"]["toy"] < 0.003
    assert best["tracks"]["toy"]["OA"] > 0.97 and best["tracks"]["background"]["OA"] > 0.97
    assert best["tracks"]["toy"]["delta_avg"] > 0.85 and best["tracks"]["all"]["AJ"] > 0.8
    assert best["edit_psnr"] > 24 and best["edit_psnr"] > best["edit_psnr_unpainted"] + 12
    assert best["edit_psnr_outside"] > 45
    assert best["light_correlation"]["toy"] > 0.99
    warp = best["edit_warp_error"]
    assert warp["rendered"] < 1.4 * warp["true"]
    assert best["recall"]["all"] > 0.9 and best["ghost"]["all"] < 0.02
    assert best["alpha_error_soft"]["toy"] < 0.15 and best["seam_psnr"] is None
    assert best["seen"]["edit_psnr"] is None, "this truth does not say what its edit frame shows"


@pytest.mark.long
def test_swimming_coordinates_are_seen(perfect, best, tmp_path, truth_shots):
    def swim(t, maps):
        maps.u[:] = np.where(maps.alpha > 0, maps.u + (-1) ** t * 2 / 260, 0)

    found = measured(truth_shots, perfect, tmp_path, swim)
    assert found["edit_psnr"] < best["edit_psnr"] - 3
    assert found["edit_warp_error"]["rendered"] > 1.4 * best["edit_warp_error"]["rendered"]
    assert found["tracks"]["toy"]["delta_avg"] < best["tracks"]["toy"]["delta_avg"] - 0.1
    assert found["tracks"]["background"] == best["tracks"]["background"]
    assert found["recall"]["toy"] < best["recall"]["toy"] - 0.05


@pytest.mark.long
def test_lost_alpha_is_seen(perfect, best, tmp_path, truth_shots):
    def cut(t, maps):
        maps.alpha[:, : 70 + t] = 0

    found = measured(truth_shots, perfect, tmp_path, cut)
    assert found["alpha_iou"]["toy"] < 0.8 and found["alpha_error"]["toy"] > 0.04
    assert found["tracks"]["toy"]["OA"] < best["tracks"]["toy"]["OA"] - 0.1


@pytest.mark.long
def test_wrong_light_is_seen(perfect, best, tmp_path, truth_shots):
    def flat(t, maps):
        maps.residual[:] = 1

    found = measured(truth_shots, perfect, tmp_path, flat)
    assert found["light_correlation"]["toy"] == 0
    assert found["edit_psnr"] < best["edit_psnr"] - 0.3


@pytest.mark.long
def test_how_bright_a_texture_is_does_not_matter(perfect, best, tmp_path, truth_shots):
    """A quarter more light on a texture four fifths as bright is the same layer."""

    def brighter(t, maps):
        maps.residual[:] *= 1.25

    shot = truth_shots.spoilt(perfect, tmp_path / "shot.nvd", brighter)
    texture = read_image(shot.texture_path("toy"))
    texture[..., :3] = texture[..., :3] * 0.8 + 0.5
    write_image(shot.texture_path("toy"), texture)
    found = measure_truth(shot, truth_shots.TURNING, Progress())
    assert found["edit_psnr"] == pytest.approx(best["edit_psnr"], abs=0.2)
    assert found["light_correlation"]["toy"] == pytest.approx(1, abs=0.001)
    truth = Truth.open(truth_shots.TURNING)
    gains = [
        exposure(read_maps(s.map_path(8), s.names).layer(0), truth.light(8), truth.alpha(8)[0])
        for s in (perfect, shot)
    ]
    toy = truth.alpha(8)[0] > 0.99
    np.testing.assert_allclose(gains[1][toy], gains[0][toy] * 1.25, rtol=1e-3)
    np.testing.assert_allclose(gains[0][toy], 1, rtol=0.05)


def test_opacity_shows_a_share_of_light():
    share = np.linspace(0, 1, 11)[None].astype(np.float32)
    paint = np.broadcast_to(np.float32([0.9, 0.8, 0.3]), (1, 11, 3))
    frame = np.broadcast_to(np.float32([0.2, 0.2, 0.25]), (1, 11, 3))
    opacity = display_opacity(share, paint, frame)
    shown = frame + opacity[..., None] * (paint - frame)
    mixed = decode_srgb(frame) + share[..., None] * (decode_srgb(paint) - decode_srgb(frame))
    assert np.abs(shown - encode_srgb(mixed)).max() < 0.03
    assert np.abs(frame + share[..., None] * (paint - frame) - encode_srgb(mixed)).max() > 0.1
    assert opacity[0, 0] == 0 and opacity[0, -1] == pytest.approx(1)
    np.testing.assert_array_equal(display_opacity(share, frame + 0.01, frame), share)


def test_pictures_and_edits_are_left_in_the_report(perfect, best):
    names = {path.name for path in perfect.report.iterdir()}
    assert {"truth_sheet.png", "truth_edit_toy.png", "truth_edit_background.png"} <= names
    assert {"edit_rendered_00008.png", "edit_true_00008.png"} <= names
    rendered, true, frame = (
        read_image(path).astype(float)
        for path in (
            perfect.report / "edit_rendered_00008.png",
            perfect.report / "edit_true_00008.png",
            perfect.frame_path(8),
        )
    )
    painted = np.abs(true - frame).max(2) > 60
    assert painted.sum() > 100
    assert np.abs(rendered - true)[painted].mean() < 0.3 * np.abs(frame - true)[painted].mean()


def test_the_command_adds_truth_and_tracks_to_the_report(perfect, capsys, truth_shots):
    tracks = truth_shots.TURNING / "tracks.npz"
    words = [
        "evaluate",
        str(perfect.folder),
        "--truth",
        str(truth_shots.TURNING),
        "--tracks",
        str(tracks),
    ]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    stored = json.loads((perfect.report / "report.json").read_text())
    assert stored["truth"] == result["truth"] and stored["truth"]["scene"] == "turning"
    assert stored["tracks"]["all"] == stored["truth"]["tracks"]["all"]
    page = (perfect.report / "index.html").read_text()
    assert "Against the truth" in page and f"{stored['truth']['recall']['all']:.3f}" in page
    assert stored["lpips"] is None and "no AlexNet weights" in stored["lpips_note"]


def test_another_clip_is_refused(perfect, tmp_path, truth_shots):
    folder = copied(truth_shots, tmp_path)
    description = json.loads((folder / "truth.json").read_text())
    description["frames"] = 15
    (folder / "truth.json").write_text(json.dumps(description))
    with pytest.raises(NvdError, match="another clip"):
        measure_truth(perfect, folder, Progress())
    description["frames"] = 16
    description["layers"] = description["layers"][::-1]
    for layer, kind in zip(description["layers"], ("object", "background"), strict=True):
        layer["kind"] = kind
    (folder / "truth.json").write_text(json.dumps(description))
    shutil.copytree(folder / "alphas" / "toy", folder / "alphas" / "background")
    shutil.copytree(folder / "masks" / "toy", folder / "masks" / "background")
    with pytest.raises(NvdError, match="another order"):
        measure_truth(perfect, folder, Progress())


def copied(truth_shots, tmp_path):
    return shutil.copytree(truth_shots.TURNING, tmp_path / "truth")


class TestReading:
    def test_values_are_as_documented(self, truth):
        assert truth.names == ["toy", "background"] and truth.frames == 16
        alpha, painted = truth.alpha(8), truth.painted(8)
        np.testing.assert_allclose(alpha.sum(0), 1, atol=1e-6)
        assert (painted <= alpha + 0.05).all() and painted.sum((1, 2)).min() > 100
        assert 0.5 < np.median(truth.light(8)) < 1.5
        changed = np.abs(truth.edited(8) - truth.frame(8)).max(2) > 0.02
        assert changed.any() and not (changed & (painted.max(0) == 0)).any()
        assert truth.flow(0) is None and not truth.has("clean")

    def test_several_edit_frames(self, tmp_path, truth_shots):
        folder = copied(truth_shots, tmp_path)
        description = json.loads((folder / "truth.json").read_text())
        assert Truth.open(folder).all_edit_frames == [description["edit_frame"]]
        first = description["edit_frame"]
        description |= {"edit_frames": [first, 2]}
        (folder / "truth.json").write_text(json.dumps(description))
        assert Truth.open(folder).all_edit_frames == [first, 2]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("schema", "other"),
            ("version", 2),
            ("frames", "16"),
            ("edit_frame", 16),
            ("edit_frames", [8, 16]),
            ("edit_frames", 3),
            ("layers", [{"name": "toy", "kind": "object", "paint": [0, 0, 0]}]),
            ("layers", [{"name": "../toy"}]),
            ("layers", [{"name": "toy", "kind": k, "paint": [0, 0, 0]} for k in KINDS]),
            ("files", {"frames": "frames/%05d.png"}),
            ("files", None),
        ],
    )
    def test_wrong_descriptions_are_refused(self, tmp_path, key, value, truth_shots):
        folder = copied(truth_shots, tmp_path)
        description = json.loads((folder / "truth.json").read_text()) | {key: value}
        (folder / "truth.json").write_text(json.dumps(description))
        with pytest.raises(NvdError):
            Truth.open(folder)

    def test_paths_stay_in_the_folder(self, tmp_path, truth_shots):
        folder = copied(truth_shots, tmp_path)
        description = json.loads((folder / "truth.json").read_text())
        description["files"]["tracks"] = "../tracks.npz"
        (folder / "truth.json").write_text(json.dumps(description))
        with pytest.raises(NvdError, match="outside itself"):
            Truth.open(folder)

    def test_missing_files_are_told(self, tmp_path, truth_shots):
        folder = copied(truth_shots, tmp_path)
        (folder / "edited" / "00015.png").unlink()
        with pytest.raises(NvdError, match=r"edited/00015\.png"):
            Truth.open(folder)
        with pytest.raises(NvdError, match=r"no file truth\.json"):
            Truth.open(tmp_path)


def test_fidelity_sums_inside_and_outside():
    frame = np.full((10, 10, 3), 0.5, np.float32)
    true, edited, painted = frame.copy(), frame.copy(), np.zeros((10, 10), np.float32)
    true[:2], painted[:2] = 0.7, 1
    edited[:2], edited[9] = 0.69, 0.6
    meter = FidelityMeter()
    meter.add(edited, true, frame, painted)
    assert meter.psnr(meter.inside) == pytest.approx(40, abs=1e-3)
    assert meter.psnr(meter.outside) == pytest.approx(10 * np.log10(8 / 0.01), abs=1e-2)
    assert meter.psnr(meter.nothing) == pytest.approx(10 * np.log10(1 / 0.04), abs=1e-2)


def test_steadiness_follows_the_flow():
    random = np.random.default_rng(0)
    wide = random.random((30, 44, 3)).astype(np.float32)
    frame, following = wide[:, 4:], wide[:, :-4]  # moves 4 px to the right
    flow = np.zeros((30, 40, 2), np.float32)
    flow[..., 0] = 4
    followed, painted = np.zeros((30, 40), bool), np.ones((30, 40), np.float32)
    followed[:, :36] = True
    meter = SteadinessMeter()
    assert meter.values() is None
    meter.add((frame, following), (frame, following + 2 / 255), painted, flow, followed)
    assert meter.values()["rendered"] == 0
    assert meter.values()["true"] == pytest.approx(2, abs=0.01)


def test_flow_is_estimated_where_none_is_given():
    y, x = np.mgrid[0:60, 0:88]
    wide = 0.5 + 0.2 * np.sin(x / 3) + 0.2 * np.cos(y / 4 + x / 7)
    wide = np.repeat(wide[..., None], 3, 2).astype(np.float32)
    flow, followed = estimated_flow(wide[:, 4:], wide[:, :-4])
    inner = flow[10:-10, 10:-14]
    assert np.abs(inner - (4, 0)).max() < 0.5 and followed[10:-10, 10:-14].mean() > 0.9
