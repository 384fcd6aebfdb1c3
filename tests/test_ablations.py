"""Ablations as settings: each trains the tiny clip from the command line to a measured result."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nvd_core.cli.main import main
from nvd_core.editing.render import render_frames
from nvd_core.evaluation.report import evaluate
from nvd_core.fields.inference import composite_frame
from nvd_core.fields.networks import IdentityMapping, PositionalEncoding
from nvd_core.fields.saved_model import load_model
from nvd_core.job import Job
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.pipeline import make_trainer
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot
from nvd_core.training import losses, objective
from nvd_core.training.trainer import Trainer

pytestmark = pytest.mark.slow

SMALL = """
iterations: {steps}
points: 400
texture_grid: {{levels: 6, log2_table: 12}}
residual_grid: {{levels: 4, log2_table: 12}}
alpha_grid: {{levels: 4, log2_table: 12}}
consistency_every: 1
global_rigidity_share: 1
"""

ABLATIONS = {
    "additive": "residual: additive",
    "no residual": "residual: none",
    "positional": "encoding: positional",
    "identity": "mapping: {start: identity}",
    "layered neural atlases": """
residual: none
encoding: positional
mapping: {start: identity, mlp: {layers: 6, width: 64}, grid: null}
texture_mlp: {layers: 8, width: 64}
alpha_mlp: {layers: 8, width: 64}
""",
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    return folder


def decompose(clip: Path, folder: Path, changes: str, steps: int = 60, *words: str) -> Shot | None:
    """The tiny clip decomposed by `nvd decompose` with these changes of the settings.

    With more `words` for the command it may have ended before there is a shot.
    """
    (folder / "changes.yaml").write_text(SMALL.format(steps=steps) + changes)
    code = main(
        [
            "decompose", str(clip / "frames"), "--out", str(folder / "shot.nvd"), "--json",
            "--mask", f"disc={clip / 'masks'}", "--settings", str(folder / "changes.yaml"),
            *words,
        ]
    )  # fmt: skip
    assert code == 0
    return None if words else Shot.open(folder / "shot.nvd")


QUICK = "no residual"
"""the one that every run trains; the others go the same way"""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == QUICK else pytest.mark.long) for n in ABLATIONS]
)
def test_an_ablation_goes_the_whole_way(name, clip, tmp_path):
    shot = decompose(clip, tmp_path, f"{ABLATIONS[name]}\nfit_textures: false")
    report = evaluate(shot)
    assert report["psnr"] > 12
    lights = report["psnr"] - report["psnr_without_residual"]
    assert lights == 0 if "residual: none" in ABLATIONS[name] else lights != 0
    model = load_model(shot.folder)
    for t, rendered in enumerate(render_frames(shot, mode="full", bit_depth=16)):
        assert np.abs(to_float(rendered) - composite_frame(model, t).clip(0, 1)).mean() < 0.02


@pytest.fixture(scope="module")
def additive(trained, tmp_path_factory) -> Shot:
    """A copy, since it is evaluated."""
    folder = tmp_path_factory.mktemp("additive") / "shot.nvd"
    shutil.copytree(trained(residual="additive").folder, folder)
    return Shot.open(folder)


class TestAdditive:
    def test_it_learns_the_light(self, additive):
        report = evaluate(additive)
        assert report["psnr"] > 25 and report["psnr"] > report["psnr_without_residual"] + 2

    def test_maps_hold_light_that_is_added_and_none_that_multiplies(self, additive):
        maps = read_maps(additive.map_path(0), additive.names)
        assert (maps.residual == 1).all()
        assert np.abs(maps.added).max() > 0.02 and np.abs(maps.added).max() <= 1

    def test_its_picture_is_grey_where_nothing_is_added(self, additive):
        evaluate(additive)
        picture = read_image(additive.report / "residual_00000.png").astype(float)
        added = read_maps(additive.map_path(0), additive.names).added
        np.testing.assert_allclose(picture, 127.5 * (1 + added.clip(-1, 1)), atol=1)
        assert np.ptp(picture) > 5

    def test_paint_takes_no_light(self, additive, tmp_path):
        """Delta: frame + alpha (e - c). Added light stays where it was, whatever is painted."""
        edit = read_image(additive.texture_path("background"))
        edit[..., :3] = np.minimum(edit[..., :3], 235) + 20
        write_image(tmp_path / "brighter.png", edit)
        paths = {"background": tmp_path / "brighter.png"}
        t = 3
        plain, painted = (
            to_float(next(render_frames(additive, edits, mode="full", frames=(t, t), bit_depth=16)))
            for edits in ({}, paths)
        )
        alpha = read_maps(additive.map_path(t), additive.names).uva[1, ..., 2]
        inside = (alpha > 0.99) & (painted.max(-1) < 0.99) & (plain.min(-1) > 0)
        assert inside.sum() > 100
        gain = (painted - plain)[inside]
        assert np.abs(gain - 20 / 255).max() < 0.004


class TestPositional:
    def test_it_is_the_sines_and_cosines_of_octaves(self):
        encoded = PositionalEncoding(2, 3)(torch.tensor([[0.6, 0.25]]))[0]
        x = np.array([0.2, -0.5])[:, None] * np.pi * np.array([1, 2, 4])
        expected = np.concatenate([np.sin(x).ravel(), np.cos(x).ravel()])
        assert np.allclose(encoded, expected, atol=1e-6)

    @pytest.mark.long
    def test_no_table_is_left(self, clip, tmp_path):
        shot = decompose(clip, tmp_path, ABLATIONS["layered neural atlases"], 2)
        model = load_model(shot.folder)
        assert model.grid_tables() == []


def test_the_identity_start_is_pre_trained(clip, tmp_path, tiny_clip):
    shot = decompose(clip, tmp_path, "mapping: {start: identity}\npretrain_iterations: 400", 1)
    mapping = load_model(shot.folder).mappings[1]
    assert isinstance(mapping, IdentityMapping)
    xy = torch.tensor([[10.0, 10.0], [60.0, 40.0]])
    t = torch.tensor([2, tiny_clip.FRAMES - 1])
    assert (mapping(xy, t) - mapping.start(xy, t)).abs().max() < 0.1


LOSSES = {
    "rgb": "rgb",
    "gradient": "gradient",
    "sparsity": "sparsity",
    "flow": "flow",
    "flow_alpha": "flow_alpha",
    "mask_bootstrap, mask": "mask",
    "rigidity, global_rigidity_object, global_rigidity_background": "rigidity",
    "residual_consistency": "residual_consistency",
    "residual_one": "residual_one",
    "residual_mean": "residual_mean",
    "residual_smooth": "residual_smooth",
    "alpha_binary": "alpha_binary",
}
"""weights by their settings' names, and the function that computes them"""


@pytest.fixture(scope="module")
def begun(clip, tmp_path_factory) -> Path:
    """A folder with all that a training needs, and none of its weights."""
    folder = tmp_path_factory.mktemp("begun")
    decompose(clip, folder, "", 1, "--until", "training")
    (folder / "shot.nvd" / "checkpoint.safetensors").unlink()
    return folder / "shot.nvd"


def train(begun: Path, folder: Path, changes: str, steps: int) -> None:
    """Only the training of a decomposition with these changes of the settings."""
    shutil.copytree(begun, folder / "shot.nvd")
    (folder / "changes.yaml").write_text(SMALL.format(steps=steps) + changes)
    settings = load_settings(folder / "changes.yaml")
    make_trainer(folder / "shot.nvd", Job.load(begun), settings).run(Progress())


class TestLossOff:
    """By the plain losses, which are called one by one."""

    @pytest.fixture(autouse=True)
    def plain_losses(self, monkeypatch):
        monkeypatch.setattr(objective, "fast_losses", losses)

    @pytest.mark.parametrize("weights", LOSSES)
    def test_a_weight_of_0_skips_the_loss(self, weights, begun, tmp_path, monkeypatch):
        def must_not_run(*_):
            raise AssertionError("this loss was computed")

        monkeypatch.setattr(losses, LOSSES[weights], must_not_run)
        zeros = ", ".join(f"{name}: 0" for name in weights.split(", "))
        train(begun, tmp_path, f"losses: {{{zeros}}}", 3)

    def test_with_its_weight_every_loss_is_computed(self, begun, tmp_path, monkeypatch):
        called = set()

        def noted(name, function):
            def loss(*arguments):
                called.add(name)
                return function(*arguments)

            return loss

        for name in LOSSES.values():
            monkeypatch.setattr(losses, name, noted(name, getattr(losses, name)))
        train(begun, tmp_path, "bootstrap_share: 0.5", 3)
        assert called == set(LOSSES.values())

    def test_far_points_are_not_evaluated_without_the_global_rigidity(
        self, begun, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(objective, "FAR", None)  # any use of it would fail
        weights = "global_rigidity_object: 0, global_rigidity_background: 0"
        train(begun, tmp_path, f"losses: {{{weights}}}", 2)

    def test_matches_are_not_evaluated_without_the_flow(self, begun, tmp_path, monkeypatch):
        whole_init = Trainer.__init__

        def without_matches(self, *arguments):
            whole_init(self, *arguments)
            sampler = self.sampler

            def drawn(step, whole=sampler.draw):
                points = whole(step)
                points.match_xy = None
                return points

            sampler.draw = drawn

        monkeypatch.setattr(Trainer, "__init__", without_matches)
        train(begun, tmp_path, "losses: {flow: 0, flow_alpha: 0}", 2)
