"""Networks, sampling and the training loop, on a tiny real clip."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nvd_core.fields.inference import composite_frame, frame_layers, texture_colours
from nvd_core.fields.model import ClipShape, LayeredVideo, frame_outline
from nvd_core.fields.networks import layer_alphas
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import read_image
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.mapping_start import layer_starts
from nvd_core.priors.masks import load_masks, write_masks
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, fast, fine, paper
from nvd_core.training import objective as objective_module
from nvd_core.training.border_patches import border_patches, inside_polygon
from nvd_core.training.checkpoint import checkpoint_step
from nvd_core.training.error_map import ErrorMap
from nvd_core.training.objective import Objective
from nvd_core.training.sampling import Sampler
from nvd_core.training.trainer import Trainer, automatic_steps, rate_factor
from nvd_core.work import ClipData, mask_boxes

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_clip) -> Path:
    """The priors of the tiny clip."""
    folder = tmp_path_factory.mktemp("tiny")
    frames, masks = tiny_clip.write(folder)
    clip = open_clip(frames)
    import_clip(clip, folder, Progress())
    sources = load_masks([("disc", masks)], clip.info)
    write_masks(sources, folder, tiny_clip.FRAMES, tiny_clip.HEIGHT, tiny_clip.WIDTH, Progress())
    compute_flow(folder / "work", Progress())
    estimate_global_motion(folder / "work", Progress())
    return folder / "work"


def small(settings: Settings, steps: int) -> Settings:
    settings.iterations, settings.points = steps, 400
    for grid in (settings.texture_grid, settings.residual_grid, settings.alpha_grid):
        grid.levels, grid.log2_table = 4, 12
    return settings


def new_model(work: Path, settings: Settings) -> tuple[LayeredVideo, ClipData]:
    data = ClipData(work)
    torch.manual_seed(0)
    starts = layer_starts(data, np.load(work / "motion.npy"), [False, True])
    return LayeredVideo(ClipShape(*data.shape), ["disc", "background"], settings, starts), data


def new_trainer(work: Path, folder: Path, settings: Settings, seed: int = 0) -> Trainer:
    model, data = new_model(work, settings)
    return Trainer(model, data, settings, seed, CPU, folder)


class StopAt(Progress):
    """Asks for a stop once a stage has done so many steps."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, done, **values):
        if self._stage == "training" and done >= self.step:
            self.cancel()
        super().update(done, **values)


class TestFields:
    def test_layer_alphas_follow_the_hierarchy(self):
        alphas = layer_alphas(torch.tensor([[0.5, 0.5], [1.0, 0.3], [0.0, 0.0]]))
        expected = [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        assert torch.allclose(alphas, torch.tensor(expected))

    def test_ranges(self, work, tiny_clip):
        model, _ = new_model(work, small(fast(), 1))
        xy = torch.rand(100, 2) * torch.tensor([tiny_clip.WIDTH - 1.0, tiny_clip.HEIGHT - 1.0])
        t = torch.randint(0, tiny_clip.FRAMES, (100,))
        alphas = model.alpha(xy, t)
        assert torch.allclose(alphas.sum(-1), torch.ones(100), atol=1e-6)
        for n in range(2):
            colour, residual, lit = model.colour(n, model.mappings[n](xy, t), t)
            assert colour.min() >= 0 and colour.max() <= 1
            assert residual.min() > 0 and torch.allclose(lit, colour * residual)
            assert (residual - 1).abs().max() < 0.2  # the light starts at 1

    def test_the_residual_does_not_move_the_mapping(self, work, tiny_clip):
        model, _ = new_model(work, small(fast(), 1))
        xy, t = torch.rand(50, 2) * 40, torch.randint(0, tiny_clip.FRAMES, (50,))
        uv = model.mappings[0](xy, t)
        uv.retain_grad()
        model.colour(0, uv, t)[1].sum().backward()
        assert uv.grad is None

    def test_the_motion_start_puts_a_moving_object_at_one_place(self, work, tiny_clip):
        model, _ = new_model(work, small(fast(), 1))
        first, last = torch.tensor([[22.0, 22.0]]), torch.tensor([[43.0, 25.5]])
        start = model.mappings[0].start
        distance = start(first, torch.tensor([0])) - start(
            last, torch.tensor([tiny_clip.FRAMES - 1])
        )
        slid = distance.norm() * model.mappings[0].pixels_per_unit
        assert slid < 0.2 * (last - first).norm()

    def test_identity_mapping_stays_in_the_square(self, work, tiny_clip):
        model, _ = new_model(work, small(paper(), 1))
        uv = model.mappings[0](torch.rand(50, 2) * 1e4, torch.randint(0, tiny_clip.FRAMES, (50,)))
        assert uv.abs().max() <= 1

    def test_a_frame_in_chunks_equals_points(self, work, monkeypatch):
        model, _ = new_model(work, small(fast(), 1))
        monkeypatch.setattr("nvd_core.fields.inference.CHUNK", 1000)
        layers = frame_layers(model, 3)
        xy = torch.tensor([[30.0, 24.0]])
        alphas = model.alpha(xy, torch.tensor([3]))[0]
        assert np.allclose(layers.alpha[:, 24, 30], alphas.detach(), atol=1e-5)
        uv = model.mappings[1](xy, torch.tensor([3]))[0]
        assert np.allclose(layers.uv[1, 24, 30], uv.detach(), atol=1e-5)

    def test_texture_is_sampled_at_texel_centres(self, work):
        model, _ = new_model(work, small(fast(), 1))
        low, high = np.array([-0.5, -0.25]), np.array([0.5, 0.25])
        image = texture_colours(model, 1, low, high, 8, 4)
        centre = torch.tensor([[-0.5 + 2.5 / 8, -0.25 + 1.5 / 4 * 0.5]])
        assert np.allclose(image[1, 2], model.textures[1](centre)[0].detach(), atol=1e-5)


class TestSampling:
    def test_same_step_same_points_other_step_other_points(self, work):
        sampler = Sampler(ClipData(work), 200, 0.3, 0.5, 0, CPU)
        first, again, other = sampler.draw(5), sampler.draw(5), sampler.draw(6)
        assert torch.equal(first.xy, again.xy) and not torch.equal(first.xy, other.xy)

    def test_values_belong_to_their_points(self, work, tiny_clip):
        data = ClipData(work)
        points = Sampler(data, 300, 0.3, 1.0, 0, CPU).draw(0)
        for i in range(0, 300, 17):
            (x, y), t = points.xy[i].int().tolist(), points.t[i].item()
            assert np.allclose(points.colour[i] * 255, data.frames[t, y, x], atol=1e-3)
            assert np.allclose(points.colour_right[i] * 255, data.frames[t, y, x + 1], atol=1e-3)
            assert np.allclose(points.colour_below[i] * 255, data.frames[t, y + 1, x], atol=1e-3)
            assert np.allclose(points.masks[i] * 255, data.masks[:, t, y, x], atol=1e-3)
            other = points.match_t[i].item()
            assert abs(other - t) == 1 and 0 <= other < tiny_clip.FRAMES
            flow = data.flow[0][t] if other > t else data.flow[1][other]
            assert np.allclose(points.match_xy[i] - points.xy[i], flow[y, x], atol=1e-3)

    def test_share_in_masks_reaches_the_object(self, work):
        data = ClipData(work)
        uniform = Sampler(data, 4000, 0.0, 0.5, 0, CPU).draw(0)
        dense = Sampler(data, 4000, 0.5, 0.5, 0, CPU).draw(0)
        assert dense.masks.mean() > 1.5 * uniform.masks.mean()
        assert dense.uniform.sum() == 2000 and uniform.uniform.all()
        assert abs(dense.masks[dense.uniform].mean() - uniform.masks.mean()) < 0.05

    def test_points_come_to_where_the_pictures_are_off(self, work, tiny_clip):
        data = ClipData(work)
        options = (4000, 0.3, 0.5, 0, CPU, 400)
        sampler, plain = Sampler(data, *options, share_by_error=0.5), Sampler(data, *options)
        for step in range(21):
            points = sampler.draw(step)
            left = points.xy[:, 0] < tiny_clip.WIDTH / 2
            sampler.learn(torch.where(left, 1.0, 0.01))
        assert points.uniform.sum() == 1400  # 1200 in masks, 1400 where the errors are
        drawn = sampler.draw(20).xy[:, 0] < tiny_clip.WIDTH / 2
        other = plain.draw(20).xy[:, 0] < tiny_clip.WIDTH / 2
        assert drawn.float().mean() > other.float().mean() + 0.08

    def test_boxes_hold_the_mask_and_skip_absent_frames(self):
        masks = np.zeros((1, 3, 40, 60), np.uint8)
        masks[0, 1, 10:20, 30:50] = 255
        (boxes,) = mask_boxes(masks)
        assert len(boxes) == 1
        t, x0, y0, x1, y1 = boxes[0]
        assert t == 1 and x0 <= 30 and x1 >= 50 and y0 <= 10 and y1 >= 20


class TestConsistency:
    def test_patches_touch_the_border_and_stay_inside(self):
        shape = ClipShape(5, 30, 50)
        centres, t = border_patches(shape, 500, np.random.default_rng(0))
        x, y = centres.T
        assert (np.isin(x, (1, 48)) | np.isin(y, (1, 28))).all()
        assert x.min() >= 1 and x.max() <= 48 and y.min() >= 1 and y.max() <= 28
        assert set(t) == set(range(5))

    def test_inside_polygon(self):
        outline = torch.from_numpy(frame_outline(ClipShape(1, 30, 50)))
        points = torch.tensor(
            [[10.0, 10.0], [48.5, 28.5], [-1.0, 10.0], [60.0, 10.0], [10.0, 40.0]]
        )
        assert inside_polygon(points, outline).tolist() == [True, True, False, False, False]
        several = torch.stack([outline, outline + 20])
        assert inside_polygon(points, several)[1].tolist() == [False, True, False, False, False]


class TestObjective:
    def test_every_weighted_term_is_there_and_finite(self, work):
        settings = small(fast(), 10)
        settings.global_rigidity_share, settings.consistency_every = 0.5, 1
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        loss, terms, predicted = Objective(model, settings, 10, 0)(points, 0)
        assert set(terms) == {
            "rgb", "gradient", "sparsity", "flow", "flow_alpha", "mask", "rigidity",
            "global_rigidity", "residual_one", "residual_mean", "residual_smooth", "alpha_binary",
            "residual_consistency",
        }  # fmt: skip
        assert predicted.shape == (400, 3)
        assert loss.item() == pytest.approx(sum(v.item() for v in terms.values()), rel=1e-5)

    @pytest.mark.parametrize("kind", ["multiplicative", "additive", "none"])
    def test_the_plain_losses_give_the_same(self, kind, work, monkeypatch):
        settings = small(fast(), 10)
        settings.residual, settings.global_rigidity_share = kind, 1.0
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        results = []
        for module in (objective_module.fast_losses, objective_module.losses):
            monkeypatch.setattr(objective_module, "fast_losses", module)
            model.zero_grad()
            loss, terms, predicted = Objective(model, settings, 10, 0)(points, 4)
            loss.backward()
            gradients = {
                name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None
            }
            results.append(({**terms, "predicted": predicted}, gradients))
        for fast_ones, plain_ones in zip(*results, strict=True):
            assert list(fast_ones) == list(plain_ones)
            for name, plain in plain_ones.items():
                assert (fast_ones[name] - plain).norm() <= 1e-3 * plain.norm() + 1e-9, name

    def test_skipping_hidden_layers_changes_no_colour(self, work):
        settings = small(fast(), 10)
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        skipped = Objective(model, settings, 10, 0)(points, 1)[2]
        settings.skip_hidden = False
        whole = Objective(model, settings, 10, 0)(points, 1)[2]
        assert (skipped - whole).abs().max() < 0.01

    def test_alphas_that_have_settled_are_those_of_the_neighbours_too(self, work, monkeypatch):
        settings = small(fast(), 10)
        model, data = new_model(work, settings)
        points = Sampler(data, 3000, 0.3, 0.5, 0, CPU).draw(0)
        asked = []
        alphas_at = model.alpha.forward
        monkeypatch.setattr(
            model.alpha, "forward", lambda xy, t: (asked.append(len(xy)), alphas_at(xy, t))[1]
        )
        for bias, rows in ((0.0, 3 * 3000 + 1500), (8.0, 3000 + 1500 + 2 * 256)):
            torch.nn.init.constant_(model.alpha.mlp[-1].bias, bias)  # unsettled, and settled
            losses = []
            for settings.skip_settled in (True, False):
                asked.clear()
                losses.append(Objective(model, settings, 10, 0)(points, 1)[0].item())
                assert sum(asked) == (rows if settings.skip_settled else 3 * 3000 + 1500)
            assert losses[0] == pytest.approx(losses[1], rel=1e-4)

    def test_a_layer_is_evaluated_where_it_shows_at_a_round_number_of_points(self, work):
        settings = small(fast(), 10)
        model, data = new_model(work, settings)
        points = Sampler(data, 3000, 0.3, 0.5, 0, CPU).draw(0)
        alphas = torch.zeros(9000, 2)
        alphas[[5, 3000 + 7, 6000 + 9], 0] = 0.5  # at a point, right of one, below one
        points.masks[:] = 0
        points.masks[11] = 1
        objective, random = Objective(model, settings, 10, 0), torch.rand(3000)
        kept = objective._kept(points, alphas, 0, random)
        assert {5, 7, 9, 11} <= set(kept.tolist())
        assert len(kept) == len(kept.unique()) == 256 and (kept[1:] > kept[:-1]).all()
        assert set(torch.nonzero(random < 0.05).flatten().tolist()) <= set(kept.tolist())
        alphas[:, 0] = 0.5
        assert len(objective._kept(points, alphas, 0, random)) == 3000

    def test_neighbours_count_in_the_colours_unless_the_settings_say_no(self, work):
        settings = small(fast(), 10)
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        points.colour_right[:] = 3.0
        counted = Objective(model, settings, 10, 0)(points, 1)[1]["rgb"]
        settings.neighbours_count = False
        alone = Objective(model, settings, 10, 0)(points, 1)[1]["rgb"]
        assert counted > 2 * alone

    def test_bootstrap_ends(self, work):
        settings = small(fast(), 10)
        settings.losses.mask = 0.0
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        objective = Objective(model, settings, 10, 0)
        assert "mask" in objective(points, 0)[1] and "mask" not in objective(points, 9)[1]

    def test_strong_light_is_free_once_the_bootstrap_has_ended(self, work):
        settings = small(fast(), 10)
        model, data = new_model(work, settings)
        points = Sampler(data, 400, 0.3, 0.5, 0, CPU).draw(0)
        held = {}
        for delta in (0.0, 1e-6):  # within which there is next to nothing
            settings.residual_huber_delta = delta
            objective = Objective(model, settings, 10, 0)
            held[delta] = [objective(points, step)[1]["residual_one"].item() for step in (4, 5)]
        assert held[0.0][0] == held[1e-6][0] > 0
        assert held[1e-6][1] < held[0.0][1] / 10


class TestTrainer:
    @pytest.fixture
    def two_threads(self):
        before = torch.get_num_threads()
        torch.set_num_threads(max(2, before))
        yield
        torch.set_num_threads(before)

    def test_it_learns(self, work, tmp_path, tiny_clip):
        trainer = new_trainer(work, tmp_path, small(fast(), 200))
        trainer.run(Progress())
        errors = []
        for t in range(tiny_clip.FRAMES):
            true = trainer.data.frames[t] / 255
            errors.append(np.square(composite_frame(trainer.model, t) - true).mean())
        assert -10 * np.log10(np.mean(errors)) > 25
        preview = read_image(tmp_path / "preview.png")
        height, width = trainer.data.frames.shape[1:3]
        assert preview.shape == (2 * height, 2 * width, 3)  # two pictures, two textures
        assert np.array_equal(preview[:height, :width], trainer.data.frames[tiny_clip.FRAMES // 2])
        alpha = frame_layers(trainer.model, 4).alpha[0] > 0.5
        mask = trainer.data.masks[0, 4] > 127
        assert (alpha & mask).sum() / (alpha | mask).sum() > 0.9

    @pytest.mark.parametrize("preset", [fast, paper])
    def test_resumed_equals_uninterrupted(self, preset, work, tmp_path):
        settings = small(preset(), 24)
        settings.pretrain_iterations = min(settings.pretrain_iterations, 5)
        whole = new_trainer(work, tmp_path / "whole", settings)
        whole.run(Progress())
        with pytest.raises(Cancelled):  # when points are drawn where the errors were
            new_trainer(work, tmp_path / "parts", settings).run(StopAt(18))
        assert checkpoint_step(tmp_path / "parts" / "checkpoint.safetensors") == 18
        resumed = new_trainer(work, tmp_path / "parts", settings)
        resumed.run(Progress())
        for (name, a), b in zip(
            whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name

    def test_a_seed_gives_the_same_bits(self, work, tmp_path, two_threads):
        settings = small(fast(), 3)
        settings.points = fast().points  # sums of few points are left to one thread
        results = []
        for name in ("one", "other"):
            trainer = new_trainer(work, tmp_path / name, settings)
            trainer.run(Progress())
            results.append(trainer.model.state_dict())
        different = [name for name in results[0] if not torch.equal(*(r[name] for r in results))]
        assert not different

    def test_another_seed_gives_another_result(self, work, tmp_path):
        results = []
        for seed in (0, 1):
            trainer = new_trainer(work, tmp_path / str(seed), small(fast(), 3), seed)
            trainer.run(Progress())
            results.append(trainer.model.alpha.mlp[0].weight.detach().clone())
        assert not torch.equal(*results)

    @pytest.fixture
    def easily(self):
        """Settings by which any training hurries at its third look, after 60 of 400 steps."""
        settings = small(fast(), 0)
        settings.steps_factor, settings.early_stop, settings.bootstrap_share = 1 / 3, 100.0, 0.05
        return settings

    def test_an_early_stop_hurries_to_the_end_of_the_schedule(self, easily, work, tmp_path):
        said, totals = [], []

        class Heard(Progress):
            def message(self, text):
                said.append(text)

            def expect(self, total):
                super().expect(total)
                totals.append(total)

        trainer = new_trainer(work, tmp_path, easily)
        assert trainer.steps == 400
        trainer.run(Heard())
        assert trainer.step == trainer.steps == totals[-1] == 60 + 340 // 5
        assert len(said) == 1 and "128 steps of training in place of 400" in said[0]
        assert trainer.optimisers[0].param_groups[0]["lr"] < 0.02 * easily.learning_rate_grid
        again = new_trainer(work, tmp_path, easily)
        again.restore()  # as where baking is done by another process
        assert again.steps == 128 and again.progression.why == said[0]

    @pytest.mark.parametrize("stop", [10, 55, 60, 90])
    def test_an_early_stop_resumed_equals_uninterrupted(self, easily, work, tmp_path, stop):
        """Before the first look, between two predictions of one, at it, and while it hurries."""
        whole = new_trainer(work, tmp_path / "whole", easily)
        whole.run(Progress())
        with pytest.raises(Cancelled):
            new_trainer(work, tmp_path / "parts", easily).run(StopAt(stop))
        assert checkpoint_step(tmp_path / "parts" / "checkpoint.safetensors") == stop
        resumed = new_trainer(work, tmp_path / "parts", easily)
        resumed.run(Progress())
        assert resumed.steps == whole.steps == 128
        assert resumed.progression == whole.progression
        ours = resumed.model.state_dict()
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, ours[name]), name

    def test_a_plain_clip_stops_as_soon_as_it_may(self, work, tmp_path):
        plain = tmp_path / "plain" / "work"
        shutil.copytree(work, plain)
        frames = np.load(plain / "frames.npy", mmap_mode="r+")
        disc = np.load(plain / "masks.npy")[0] > 127
        frames[:] = np.where(disc[..., None], np.uint8([200, 60, 40]), np.uint8([60, 90, 120]))
        frames.flush()
        settings = small(fast(), 0)
        settings.steps_factor, settings.early_stop = 1 / 3, 0.5
        trainer = new_trainer(plain, tmp_path / "plain", settings)
        trainer.run(Progress())
        assert trainer.steps == 240 + 160 // 5 and trainer.progression.figures[-1] < 2

    def test_who_asks_for_steps_gets_them(self, easily, work, tmp_path):
        easily.iterations = 400
        assert not new_trainer(work, tmp_path, easily).progression.looking

    @pytest.mark.parametrize("kind", ["additive", "none"])
    def test_ablations_of_the_residual_train(self, kind, work, tmp_path):
        settings = small(fast(), 5)
        settings.residual = kind
        new_trainer(work, tmp_path, settings).run(Progress())

    def test_divergence_is_an_error_with_a_remedy(self, work, tmp_path):
        settings = small(fast(), 5)
        vars(settings.losses)["rgb"] = float("inf")  # no file or --set gives it
        with pytest.raises(NvdError, match="diverged at step 0") as caught:
            new_trainer(work, tmp_path, settings).run(Progress())
        assert "rgb" in caught.value.found and "learning rates" in caught.value.remedy

    def test_a_damaged_checkpoint_is_an_error(self, work, tmp_path):
        (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
        with pytest.raises(NvdError, match="cannot read the checkpoint"):
            new_trainer(work, tmp_path, small(fast(), 5)).run(Progress())

    def test_a_map_of_errors_of_another_clip_is_refused(self, work, tmp_path):
        settings = small(fast(), 5)
        trainer = new_trainer(work, tmp_path, settings)
        trainer.sampler.error_map = ErrorMap((4, 400, 400), 5)
        trainer.step = 1
        trainer.save()
        with pytest.raises(NvdError, match="map of errors is not of this clip"):
            new_trainer(work, tmp_path, settings)._restore_errors()

    def test_schedules(self):
        assert rate_factor("constant", 700, 1000) == 1
        rates = [rate_factor("one-cycle", step, 1000) for step in range(1000)]
        assert rates[0] < 0.2 and max(rates) == pytest.approx(1) and rates.index(max(rates)) == 50
        assert rates[-1] < 0.02 and min(rates) > 0
        straight = [rate_factor("linear", step, 1000) for step in range(1000)]
        assert straight[:51] == rates[:51] and straight[525] == pytest.approx(0.505)
        assert np.allclose(np.diff(straight[50:]), -0.99 / 950)

    def test_the_fine_preset_takes_three_times_the_steps(self, work, tmp_path):
        steps = [new_trainer(work, tmp_path, preset()).steps for preset in (fast, fine)]
        assert steps == [1200, 3600]

    def test_steps_grow_with_the_clip(self):
        assert automatic_steps(82 * 768 * 432) == 2800
        assert automatic_steps(10**4) == 1200 < automatic_steps(80 * 432 * 240) < 2800
