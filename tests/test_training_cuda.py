"""What training does otherwise on CUDA, as far as a CPU can show it."""

import dataclasses
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from nvd_core.fields import networks
from nvd_core.fields.frame_motion import move_torch
from nvd_core.fields.hash_grid.grid import HashGrid
from nvd_core.fields.inference import composite_frame, texture_colours
from nvd_core.fields.model import ClipShape, LayeredVideo
from nvd_core.fields.networks import Mlp
from nvd_core.priors.mapping_start import layer_starts
from nvd_core.runtime import devices
from nvd_core.runtime.devices import wants_bfloat16
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import MlpSettings, fast, settings_from
from nvd_core.training import losses as plain_losses
from nvd_core.training import objective
from nvd_core.training.checkpoint import checkpoint_step
from nvd_core.training.gpu_clip import SHARE, GpuClip, fits, gpu_clip_if_it_fits
from nvd_core.training.loss_monitor import LossMonitor
from nvd_core.training.objective import Objective
from nvd_core.training.sampling import Sampler
from nvd_core.training.trainer import Trainer
from nvd_core.work import ClipData

pytestmark = pytest.mark.slow

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
DEVICE = CUDA if torch.cuda.is_available() else CPU
FRAMES, HEIGHT, WIDTH = 6, 40, 56


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Arrays of a clip of noise with an object and flow of every kind."""
    folder, random = tmp_path_factory.mktemp("work"), np.random.default_rng(0)
    shape = FRAMES, HEIGHT, WIDTH
    masks = np.zeros((1, *shape), np.uint8)
    masks[0, 1:, 10:25, 20:40] = random.integers(100, 256, (FRAMES - 1, 15, 20), np.uint8)
    flow = random.normal(size=(2, FRAMES - 1, HEIGHT, WIDTH, 2)).astype(np.float16)
    motion = np.tile(np.eye(3), (2, FRAMES, 1, 1))
    motion[..., 0, 2] = 8 * np.arange(FRAMES)  # so that borders go out of sight
    arrays = {
        "frames": random.integers(0, 256, (*shape, 3), np.uint8),
        "masks": masks,
        "mask_weight": random.integers(0, 256, (1, *shape), np.uint8),
        "flow_forward": flow[0],
        "flow_backward": flow[1],
        "flow_ok": random.integers(0, 2, flow.shape[:-1], np.uint8),
        "motion": motion,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def small():
    settings = fast()
    settings.iterations, settings.points, settings.consistency_patches = 50, 60, 4
    for grid in (settings.texture_grid, settings.residual_grid, settings.alpha_grid):
        grid.levels, grid.log2_table = 2, 8
    return settings


def new_model(work, settings) -> LayeredVideo:
    data = ClipData(work)
    torch.manual_seed(0)
    starts = layer_starts(data, np.load(work / "motion.npy"), [False, True])
    return LayeredVideo(ClipShape(*data.shape), ["thing", "background"], settings, starts)


def new_trainer(work, folder, settings) -> Trainer:
    return Trainer(new_model(work, settings), ClipData(work), settings, 0, CPU, folder)


def with_plain_grids(model: LayeredVideo) -> LayeredVideo:
    """`model` with the hash grids that run on any device."""
    for module in model.modules():
        if isinstance(module, HashGrid):
            module.backend = "torch"
    return model


class TestResidency:
    @pytest.mark.parametrize("flow_share", [0.0, 0.5, 1.0])
    def test_a_seed_gives_the_same_points(self, work, flow_share):
        """Bit for bit, whether the arrays are read from disk or lie on the device."""
        data = ClipData(work)
        options = 500, 0.4, flow_share, 7, DEVICE
        mapped = Sampler(data, *options)
        gpu_clip = Sampler(data, *options, gpu_clip=GpuClip(data, DEVICE))
        for step in range(10):
            both = mapped.draw(step), gpu_clip.draw(step)
            for field in dataclasses.fields(both[0]):
                expected, found = (getattr(points, field.name) for points in both)
                assert found.dtype == expected.dtype, field.name
                assert found.is_contiguous()
                assert torch.equal(found, expected), field.name

    def test_all_values_of_a_byte(self, work):
        """Divided as numpy divides them."""
        data = ClipData(work)
        values = torch.arange(256, dtype=torch.uint8, device=DEVICE)
        found = GpuClip(data, DEVICE)._unit(values).cpu().numpy()
        np.testing.assert_array_equal(found, np.arange(256, dtype=np.float32) / 255)

    def test_it_must_fit(self, work, monkeypatch):
        data = ClipData(work)
        per_pixel = 3 + 1 + 1  # colours, mask, weight
        between = 2 * (2 * 2 + 1)  # both ways: two halves of a float, consistent or not
        size = (FRAMES * per_pixel + (FRAMES - 1) * between) * HEIGHT * WIDTH
        assert fits(data, math.ceil(size / SHARE))
        assert not fits(data, math.ceil(size / SHARE) - 2)
        assert gpu_clip_if_it_fits(data, CPU) is None
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (size, 100 * size))
        assert gpu_clip_if_it_fits(data, CUDA) is None


class TestLossWatch:
    def test_how_often_it_is_read_changes_nothing(self):
        random = np.random.default_rng(0)
        errors = [torch.tensor(value, dtype=torch.float32) for value in random.random(20)]
        results = []
        for steps in (1, 7):
            watch = LossMonitor(steps)
            for step, error in enumerate(errors):
                watch.add(step, {"rgb": error}, error)
            watch.read()
            results.append(watch.error)
        assert results[0] == results[1]
        expected = errors[0].item()
        for error in errors[1:]:
            expected = 0.95 * expected + 0.05 * error.item()
        assert results[0] == pytest.approx(expected)

    def test_the_first_broken_step_and_its_terms_are_named(self):
        watch = LossMonitor(10)
        good, bad = torch.tensor(1.0), torch.tensor(math.nan)
        watch.add(0, {"rgb": good, "mask": good}, good)
        watch.add(1, {"rgb": good}, good)
        watch.add(2, {"rgb": good, "mask": bad}, good)
        watch.add(3, {"rgb": bad, "mask": bad}, bad)
        with pytest.raises(NvdError, match="diverged at step 2") as caught:
            watch.read()
        assert caught.value.found == "not finite: mask"

    def test_it_reads_by_itself(self):
        watch = LossMonitor(3)
        good, bad = torch.tensor(1.0), torch.tensor(math.inf)
        watch.add(0, {"rgb": good}, good)  # read at once, so that there is a figure to show
        assert watch.error == 1
        watch.add(1, {"rgb": bad}, good)
        watch.add(2, {"rgb": good}, good)
        with pytest.raises(NvdError, match="diverged at step 1"):
            watch.add(3, {"rgb": good}, good)

    @pytest.mark.parametrize("steps_after", [0, 2])
    def test_a_divergence_leaves_the_checkpoint(self, work, tmp_path, steps_after):
        """Found at the latest before it would be overwritten, even where no loss shows it yet."""
        trainer = new_trainer(work, tmp_path, small())
        trainer.monitor = LossMonitor(25)
        for _ in range(3):
            trainer._step()
        trainer.save()
        kept = trainer.checkpoint.read_bytes()
        with torch.no_grad():
            trainer.model.textures[1].mlp[0].weight[0, 0] = math.nan
        for _ in range(steps_after):
            trainer._step()
        with pytest.raises(NvdError, match="diverged at step 3") as caught:
            trainer.save()
        expected = "rgb" if steps_after else "textures.1.mlp.0.weight"
        assert expected in caught.value.found
        assert trainer.checkpoint.read_bytes() == kept
        assert checkpoint_step(trainer.checkpoint) == 3


class TestMixedPrecision:
    def test_hidden_layers_only_and_only_in_training(self):
        torch.manual_seed(0)
        mlp = Mlp(8, 3, MlpSettings(3, 64))
        x = torch.randn(200, 8)
        full = mlp(x)
        mlp.hidden_bfloat16 = True
        mixed = mlp(x)
        assert mixed.dtype == torch.float32
        assert 0 < (mixed - full).abs().max() < 0.02 * full.abs().max()
        with torch.no_grad():
            torch.testing.assert_close(mlp(x), full, rtol=0, atol=1e-6)

    def test_gradients_stay_near(self):
        torch.manual_seed(0)
        mlp = Mlp(8, 3, MlpSettings(3, 64))
        x = torch.randn(200, 8, requires_grad=True)
        gradients = []
        for mixed in (False, True):
            mlp.hidden_bfloat16 = mixed
            parameters = [x, *mlp.parameters()]
            gradients.append(torch.autograd.grad(mlp(x).square().mean(), parameters))
        for full, mixed in zip(*gradients, strict=True):
            assert mixed.dtype == torch.float32
            # half a percent a rounding, and some units change sides of the ReLU
            assert (mixed - full).norm() < 0.05 * full.norm()

    def test_the_mapping_is_never_mixed(self, work, tmp_path):
        """Coordinates are the same to the last bit; the other networks are rounded."""
        trainer = new_trainer(work, tmp_path, small())
        model, points = trainer.model, trainer.sampler.draw(0)
        found = []
        for mixed in (False, True):
            model.use_bfloat16(mixed)
            uv = [mapping(points.xy, points.t) for mapping in model.mappings]
            others = [model.alpha(points.xy, points.t)]
            for n in range(model.layers):
                others += model.colour(n, uv[n], points.t)[:2]
            found.append((uv, others))
        (uv, exact), (uv_mixed, rounded) = found
        assert all(torch.equal(a, b) for a, b in zip(uv, uv_mixed, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(exact, rounded, strict=True))
        loss, _, _ = Objective(model, trainer.settings, 50, 0)(points, 1)
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())

    @pytest.mark.parametrize(
        ("choice", "capability", "expected"),
        [("off", (9, 0), False), ("auto", (8, 0), True), ("auto", (7, 5), False),
         ("on", (8, 6), True)],
    )  # fmt: skip
    def test_choice(self, monkeypatch, choice, capability, expected):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        assert wants_bfloat16(choice, CUDA) is expected

    def test_choice_on_a_cpu(self, monkeypatch):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        for known in (True, False):
            monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda known=known: known)
            assert wants_bfloat16("auto", CPU) is known
        assert wants_bfloat16("on", CPU) and not wants_bfloat16("off", CPU)

    def test_exception(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T4")
        with pytest.raises(NvdError, match="does not multiply bfloat16") as caught:
            devices.wants_bfloat16("on", CUDA)
        assert caught.value.found == "T4, 7.5"

    @pytest.mark.parametrize(("value", "kept"), [("auto", "auto"), (True, "on"), (False, "off")])
    def test_setting(self, value, kept):
        """YAML reads on and off as true and false."""
        assert settings_from({"mixed_precision": value}).mixed_precision == kept
        with pytest.raises(NvdError, match="mixed_precision"):
            settings_from({"mixed_precision": "half"})


class TestOneDevice:
    """Nothing on the CPU meets what lies on another device (pretended_device.py)."""

    def test_mixing_is_seen(self, pretended_device):
        with pretended_device.PretendedDevice():
            x = torch.rand(3).to(pretended_device.DEVICE)
            assert (x * 2 + torch.tensor(1.0)).device == pretended_device.DEVICE
            with pytest.raises(RuntimeError, match="different devices"):
                x + torch.rand(3)

    @pytest.mark.parametrize("resident", [False, True])
    def test_training(self, work, resident, pretended_device, monkeypatch):
        """The losses are those of the CPU's plain twins, to the bit where the points are."""
        monkeypatch.setattr(objective, "fast_losses", plain_losses)
        monkeypatch.setattr(networks, "move", move_torch)
        data, settings, losses = ClipData(work), small(), []
        settings.consistency_every, settings.global_rigidity_share = 1, 0.5
        for device in (CPU, pretended_device.DEVICE):
            model = with_plain_grids(new_model(work, settings))
            with (
                pretended_device.PretendedDevice()
                if device == pretended_device.DEVICE
                else nullcontext()
            ):
                model = pretended_device.move(model) if device == pretended_device.DEVICE else model
                clip = GpuClip(data, device) if resident else None
                sampler = Sampler(data, 60, 0.3, 0.5, 0, device, gpu_clip=clip)
                points = sampler.draw(0)
                assert {v.device for v in vars(points).values()} == {device}
                loss, terms, _ = Objective(model, settings, 50, 0)(points, 0)
                loss.backward()
                watch = LossMonitor(1)
                watch.add(0, terms, loss.detach())
                losses.append(watch.error)
        assert losses[0] == losses[1]
        assert "residual_consistency" in terms and "global_rigidity" in terms

    def test_inference(self, work, pretended_device):
        model = with_plain_grids(new_model(work, small()))
        low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
        expected = composite_frame(model, 1), texture_colours(model, 1, low, high, 9, 7)
        with pretended_device.PretendedDevice():
            pretended_device.move(model)
            found = composite_frame(model, 1), texture_colours(model, 1, low, high, 9, 7)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)
