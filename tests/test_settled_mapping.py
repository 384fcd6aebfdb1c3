"""Mappings with views in time are brought to what the flow says before the main loop."""

import numpy as np
import pytest
import torch

from nvd_core.fields.model import ClipShape, LayeredVideo
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.mapping_start import layer_starts
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast
from nvd_core.training import objective, settled_mapping
from nvd_core.training.sampling import Sampler
from nvd_core.training.settled_mapping import KNOWN, _matches, settle
from nvd_core.work import RIGHTED_OK, ClipData

WINDOWS = [(0, 2), (3, 5)]
DEGREES = 25


@pytest.fixture(scope="module")
def work(tmp_path_factory, moving_clips):
    folder = tmp_path_factory.mktemp("turning")
    moving_clips.turning_drum(folder, 6, DEGREES)
    return folder


@pytest.fixture(scope="module")
def starts(work):
    motion = estimate_global_motion(work, Progress(), windows=[2, 1])
    return layer_starts(ClipData(work), motion, [False, False], True, [WINDOWS, []])


def model_of(work, starts) -> LayeredVideo:
    torch.manual_seed(0)
    return LayeredVideo(ClipShape(*ClipData(work).shape), ["drum", "background"], fast(), starts)


def apart(mapping, work, t: int) -> float:
    """Pixels between the places of one point of the drum in two frames, of a tenth more."""
    mask = np.load(work / "masks.npy")[0, t] > 127
    columns = np.flatnonzero(mask[60])
    middle, half = columns.mean(), len(columns) / 2
    angles = np.linspace(-1.2, 0.7, 40)
    both = []
    for turned, when in ((0.0, t), (np.radians(DEGREES), t + 1)):
        x = middle + half * np.sin(angles + turned)
        xy = torch.tensor(np.column_stack([x, np.full_like(x, 60)]), dtype=torch.float32)
        both.append(mapping(xy, torch.full((len(x),), when)))
    return float((both[0] - both[1]).norm(dim=-1).quantile(0.9)) * mapping.pixels_per_unit


def test_a_turn_is_followed_after_it(work, starts):
    """Within a window; and nothing else of the model changes."""
    model = model_of(work, starts)
    mapping, rest = model.mappings[0], {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        before = apart(mapping, work, 1)
    settle(mapping, ClipData(work), 0, Progress())
    with torch.no_grad():
        assert apart(mapping, work, 1) < 1 < 3 < before
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, rest[k])]
    assert changed and all(k.startswith(("mappings.0.grid", "mappings.0.mlp")) for k in changed)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert not any(grad.any() for grad in grads)  # the main loop's first step is its own


def test_it_is_the_same_each_time_and_can_be_stopped(work, starts, monkeypatch):
    monkeypatch.setattr(settled_mapping, "STEPS", 30)
    states = []
    for _ in range(2):
        mapping = model_of(work, starts).mappings[0]
        settle(mapping, ClipData(work), 0, Progress(), seed=3)
        states.append(torch.cat([p.detach().ravel() for p in mapping.parameters()]))
    assert torch.equal(*states)
    mapping = model_of(work, starts).mappings[0]
    before = mapping.grid.table.clone()
    progress = StoppedAt(10)
    with pytest.raises(Cancelled):
        settle(mapping, ClipData(work), 0, progress)
    assert not torch.equal(mapping.grid.table, before)  # it was on its way


class StoppedAt(Progress):
    """A stop is asked for at a step of the training."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, done, **values):
        if done >= self.step:
            self.cancel()
        super().update(done, **values)


def test_matches_stay_within_their_window_and_the_object(work, starts):
    mapping, data = model_of(work, starts).mappings[0], ClipData(work)
    found = _matches(mapping, data, 0, np.random.default_rng(0))
    frames = {(int(a), int(b)) for a, b in found[:, [2, 5]]}
    assert frames == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3), (4, 5), (5, 4)}
    x, y, t = found[:, :3].round().astype(int).T
    assert (data.masks[0, t, y, x] > 127).all()
    kept = [np.count_nonzero(data.flow_ok[0, t] * (data.masks[0, t] > 127)) for t in (0, 1, 3, 4)]
    assert all(((found[:, 2] == t) & (found[:, 5] == t + 1)).sum() == min(count, KNOWN)
               for t, count in zip((0, 1, 3, 4), kept, strict=True))  # fmt: skip


def test_without_flow_it_stays_at_its_start(work, starts, tmp_path):
    for file in work.glob("*.npy"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.save(tmp_path / RIGHTED_OK, np.zeros_like(np.load(work / RIGHTED_OK)))
    model = model_of(work, starts)
    before = model.mappings[0].grid.table.clone()
    settle(model.mappings[0], ClipData(tmp_path), 0, Progress())
    assert torch.equal(model.mappings[0].grid.table, before)


def test_flow_counts_for_more_where_there_are_views(work, starts, monkeypatch):
    """For the object alone, and only where its flow was put right."""
    data, settings = ClipData(work), fast()
    settings.points = 400
    terms = []
    for of_views in (objective.OF_VIEWS, 1.0):
        monkeypatch.setattr(objective, "OF_VIEWS", of_views)
        model = model_of(work, starts)
        shares = settings.share_in_masks, settings.flow_share
        points = Sampler(data, 400, *shares, 0, torch.device("cpu"), 100, None).draw(0)
        for righted in ({0}, ()):
            terms.append(flow_term(model, settings, points, righted))
        model.mappings[0].windows = ()
        terms.append(flow_term(model, settings, points, {0}))
    of_both, of_none, of_one, plain, again, without = terms
    assert of_both > 2 * plain and of_none == again and of_one == without


def flow_term(model, settings, points, righted) -> float:
    found = objective.Objective(model, settings, 100, 0, None, righted)(points, 0)
    return found[1]["flow"].item()
