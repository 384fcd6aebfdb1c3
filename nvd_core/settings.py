"""Every setting of a decomposition, the presets, and reading them from YAML.

A settings file names only what it changes; what was used is saved as `settings.yaml` in the
decomposition folder and can be given back with `--settings`. docs/reference/settings.md is made
from the declarations below.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from nvd_core.runtime.declared import (
    Declared,
    Fault,
    PathText,
    kinds_of,
    read,
    unknown,
    within,
)
from nvd_core.runtime.documents import Unreadable, parse_yaml, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.shown import shown

MOST_GRID_VALUES = 2**29
"""learnable numbers of one grid: 2 GiB, and training keeps four of each"""
MOST_WEIGHTS = 2**26
"""of one fully connected network"""
REFERENCE = "docs/reference/settings.md"
_CORRECT = "correct the settings file"


Share = Annotated[float, within(0, 1)]
WindowCount = Annotated[int, within(1, 64)] | Literal["auto"]
Rate = Annotated[float, within(0, 1)]
Weight = Annotated[float, within(0, 1e6)]
Preset = Literal["draft", "fast", "fine", "paper"]


@dataclass
class GridSettings(Declared):
    """A multi-resolution hash grid (tiny-cuda-nn's layout)."""

    levels: Annotated[int, within(1, 32)] = 16
    """number of resolutions, from coarse to fine"""
    features: Annotated[int, within(1, 8)] = 2
    """features a level; the compiled backends are made for 2"""
    log2_table: Annotated[int, within(3, 26)] = 15
    """binary logarithm of the most entries a level may have"""
    base: Annotated[int, within(1, 4096)] = 16
    """cells along an axis at the coarsest level"""
    finest: Annotated[int, within(-1, 65536)] = 0
    """cells along an axis at the finest level, base or more; 0 = growth 1.25 a level, as published;
    -1 = as many as the clip's pixels ask for (textures: one a pixel, alpha: one for two)"""


@dataclass
class MlpSettings(Declared):
    """A fully connected network with ReLU between its layers."""

    layers: Annotated[int, within(1, 32)] = 4
    """linear layers, the output layer included"""
    width: Annotated[int, within(1, 4096)] = 64
    """units of a hidden layer"""


@dataclass
class MappingSettings(Declared):
    """The mapping M_n: video coordinate to texture coordinate."""

    start: Literal["motion", "identity"] = "motion"
    """motion: from the global motion; identity: pre-trained towards the frame (published)"""
    mlp: MlpSettings = field(default_factory=lambda: MlpSettings(3, 64))
    """the network; with start = motion it learns only what the global motion does not express"""
    grid: GridSettings | None = field(
        default_factory=lambda: GridSettings(levels=4, base=4, finest=16)
    )
    """coarse dense grid over (u, v, t) of the motion start; null: plain coordinates"""
    hold_background: bool = True
    """start = motion: a still camera's background deforms only where frames far apart differ"""
    scale_object: Annotated[float, within(0.01, 1)] = 0.9
    """half the share of its texture square that an object may fill at the start"""
    scale_background: Annotated[float, within(0.01, 1)] = 0.6
    """the same for the background (identity start; the motion start fits it by itself)"""


@dataclass
class LossWeights(Declared):
    """Weights of the losses; the numbers behind the names are the paper's equations.

    A loss whose weight is 0 is not computed.
    """

    rgb: Weight = 5.0
    """(13) squared distance of the colours"""
    gradient: Weight = 1.0
    """(13) squared distance of their forward differences in x and y"""
    sparsity: Weight = 1.0
    """(14) squared colour of an object's layer where it is transparent"""
    flow: Weight = 0.01
    """(15) distance in pixels of the texture coordinates of flow matches"""
    flow_alpha: Weight = 0.05
    """(15) difference of the alphas of flow matches"""
    mask_bootstrap: Weight = 2.0
    """weight of `mask` while bootstrapping"""
    mask: Weight = 0.0
    """(16) cross-entropy of the coarse masks, afterwards: an alpha takes in no surroundings"""
    rigidity: Weight = 0.001
    """stretch and shear of the mapping over one pixel"""
    global_rigidity_object: Weight = 0.005
    """the same over 100 pixels, objects, while it is active"""
    global_rigidity_background: Weight = 0.05
    """the same over 100 pixels, background"""
    residual_consistency: Weight = 0.1
    """(10) correlation of a patch's light between times it is seen and times it is not"""
    residual_variance: Weight = 16.0
    """(9) beta, the weight of the variance within (10)"""
    residual_one: Weight = 0.5
    """(11) squared distance of the residual from 1"""
    residual_mean: Weight = 0.0
    """squared distance from 1 of the residual's mean over time and a part of the texture"""
    residual_smooth: Weight = 0.0
    """differences of the residual between neighbouring pixels; edges of light may stay"""
    alpha_binary: Weight = 0.1
    """(12) cross-entropy of the largest alpha towards 1"""


@dataclass
class Settings(Declared):
    """Everything that decides how a clip is trained; see `PRESETS` for where they start."""

    preset: Preset = "fast"
    """the preset these settings started from"""
    iterations: Annotated[int, within(0, 10_000_000)] = 0
    """training steps; 0 = chosen by the clip's number of pixels"""
    steps_factor: Annotated[float, within(0.001, 1000)] = 1.0
    """multiplies the number of steps that is chosen so"""
    early_stop: Annotated[float, within(0, 255)] = 0.0
    """how much nearer to the clip a tenth of the steps after `bootstrap_share` has to bring the
    pictures, root mean square in 1/255, where `iterations` is 0; where it brings less, the rest of
    the schedule is gone through in a fifth of its steps; 0 = all steps are taken"""
    points: Annotated[int, within(16, 1_000_000)] = 4500
    """points p a step; each is evaluated together with its right and lower neighbour"""
    neighbours_count: bool = True
    """whether the rgb loss takes the colours of those neighbours too"""
    share_in_masks: Annotated[float, within(0, 0.95)] = 0.33
    """share of the points drawn inside the dilated masks, so that small objects survive"""
    share_by_error: Annotated[float, within(0, 0.95)] = 0.5
    """share of the other points that are drawn where the pictures are still off the clip, once
    there is something to go by"""
    windows: WindowCount | dict[str, WindowCount] = "auto"
    """windows in time, of every object or by a layer's name: each view has a part of the texture;
    auto: as many as the object's tracks ask for, one where they do not; of the background, named
    so, several where they tell it clearly better"""
    find_parts: bool | dict[str, bool] = False
    """whether limbs are looked for in the outline of each object without parts of its own, or of
    those named, and made parts where that pays"""
    skip_hidden: bool = True
    """evaluate a layer only where it shows, and at a few of the other points"""
    skip_settled: bool = True
    """take the alphas of a point for its two neighbours too where they have settled, and evaluate
    those at a few of these points"""
    flow_share: Share = 0.5
    """share of the points whose flow match is evaluated too"""
    bootstrap_share: Share = 0.5
    """share of the steps in which the masks are enforced"""
    mask_margin: Annotated[float, within(0, 1000)] = 0.0
    """pixels by which the masks' outlines may be off; that near to them the picture decides"""
    global_rigidity_share: Share = 0.0
    """share of the steps in which the global rigidity is active"""
    consistency_patches: Annotated[int, within(0, 4096)] = 16
    """border patches a step for the residual consistency; 0 = off"""
    consistency_times: Annotated[int, within(1, 1000)] = 3
    """other frames that each such patch is compared with"""
    consistency_every: Annotated[int, within(1, 1000)] = 4
    """steps between two residual consistency terms; its weight grows by as much"""
    learning_rate_grid: Rate = 2e-2
    """Adam's rate for the hash tables of textures, residuals and alpha"""
    learning_rate_deformation: Rate = 1e-2
    """the same for the mappings' grids: coordinates want to be steady"""
    learning_rate_mlp: Rate = 5e-3
    """Adam's rate for network weights"""
    learning_rate_mapping: Rate = 1e-3
    """Adam's rate for the weights of the mapping networks"""
    learning_rate_motion: Rate = 2e-4
    """Adam's rate for the per-frame motion"""
    schedule: Literal["linear", "one-cycle", "constant"] = "one-cycle"
    """constant (published), or a rise over 5 % of the steps and then a fall to 1 %, straight
    (linear) or by a cosine (one-cycle)"""
    pretrain_iterations: Annotated[int, within(0, 100_000)] = 100
    """steps for ten frames that pull an identity-start mapping to the frame before the main loop"""
    mapping: MappingSettings = field(default_factory=MappingSettings)
    """the mapping networks"""
    encoding: Literal["hash", "positional"] = "hash"
    """hash: textures, residuals and alpha over hash grids; positional: sines (ablation)"""
    texture_octaves: Annotated[int, within(1, 16)] = 10
    """octaves of the positional encoding of (u, v) for the textures"""
    residual_octaves: Annotated[int, within(1, 16)] = 5
    """octaves of the positional encoding of (u, v, t) for the residuals"""
    alpha_octaves: Annotated[int, within(1, 16)] = 5
    """octaves of the positional encoding of (x, y, t) for alpha"""
    texture_grid: GridSettings = field(
        default_factory=lambda: GridSettings(levels=12, log2_table=17, finest=-1)
    )
    """2-D grid of the textures; finest = -1: one cell a pixel of the clip"""
    texture_mlp: MlpSettings = field(default_factory=lambda: MlpSettings(3, 64))
    """network behind it"""
    residual_grid: GridSettings = field(
        default_factory=lambda: GridSettings(levels=6, log2_table=16, base=8, finest=96)
    )
    """3-D grid of the residuals over (u, v, t)"""
    residual_mlp: MlpSettings = field(default_factory=lambda: MlpSettings(3, 64))
    """network behind it"""
    residual: Literal["multiplicative", "additive", "none"] = "multiplicative"
    """multiplicative (the method), additive (ablation) or none (ablation)"""
    residual_huber_delta: Annotated[float, within(0, 100)] = 0.0
    """delta of the pseudo-Huber form of (11), once bootstrapped: a larger change of light costs its
    size, not its square; 0 = always square"""
    alpha_grid: GridSettings = field(
        default_factory=lambda: GridSettings(levels=8, log2_table=16, base=10, finest=256)
    )
    """3-D grid of the alphas over (x, y, t)"""
    alpha_mlp: MlpSettings = field(default_factory=lambda: MlpSettings(3, 64))
    """network behind it"""
    losses: LossWeights = field(default_factory=LossWeights)
    """weights of the losses"""
    flow_method: Literal["dis", "raft", "files"] = "dis"
    """dis (needs no weights), raft (needs torchvision and weights) or files"""
    flow_longest: Annotated[int, within(32, 65536)] = 1280
    """pixels along the longer side of the flow at most: frames are shrunk by a whole number"""
    flow_path: PathText | None = None
    """weights for raft, or the folder of precomputed flow for files"""
    maskrcnn_weights: PathText | None = None
    """torchvision's weights for masks given as maskrcnn:CLASS"""
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    """on: hidden layers of texture, residual and alpha in bfloat16; auto: where the hardware
    multiplies it (CPUs with AVX-512 BF16 or AMX, GPUs from Ampere on)"""
    checkpoint_seconds: Annotated[float, within(0, 1e9)] = 20.0
    """seconds of training that an interruption may cost"""
    preview_seconds: Annotated[float, within(0, 1e9)] = 15.0
    """seconds between two preview pictures"""
    texels_per_pixel: Annotated[float, within(0.05, 16)] = 1.25
    """density of the baked textures, texels for the typical pixel of the size that is looked at"""
    texture_size: Literal[1, 2, 4] = 1
    """how many times as wide and high the baked textures are: more hold more of a larger plate"""
    bake: Literal["nodes", "coarse", "exact"] = "nodes"
    """nodes: the networks are asked where their fields bend, and what lies between is
    interpolated, within 0.015 texels and 1/255; exact: they are asked at every pixel; coarse: as
    nodes, within 0.25 texels and 4/255"""
    maps: Literal["both", "compact"] = "both"
    """compact: the maps are kept as compact files alone, and EXR is written when `nvd maps` asks
    for it; both: EXR is written too, once the folder can be painted. Maps that are `exact` are
    always EXR"""
    fit_textures: bool = True
    """whether the baked textures are fitted to all frames; if not, they are the networks'"""
    fit_every: Annotated[int, within(1, 1000)] = 1
    """of how many frames one is fitted to; with more than one, in one step in place of two"""


def fast() -> Settings:
    """The default: made for two CPU cores."""
    settings = Settings()
    settings.losses.mask = 0.5
    settings.losses.residual_one, settings.residual_huber_delta = 0.1, 0.1
    settings.losses.residual_mean = 1.0
    settings.losses.residual_smooth = 0.03
    return settings


DRAFT_STEPS, DRAFT_POINTS = 300, 3000
DRAFT_FLOW = 448
"""pixels along the longer side of a draft's flow"""


def draft() -> Settings:
    """`fast` with few steps however long the clip is, flow at a small size, and maps baked more
    coarsely: to paint in half a minute, and see whether masks and layers are right."""
    settings = as_draft(fast())
    settings.preset, settings.flow_longest = "draft", DRAFT_FLOW
    return settings


def as_draft(settings: Settings) -> Settings:
    """The networks of `settings`, trained and baked as a draft."""
    return dataclasses.replace(
        settings,
        iterations=min(settings.iterations or DRAFT_STEPS, DRAFT_STEPS),
        points=min(settings.points, DRAFT_POINTS),
        preview_seconds=5.0,
        bake="coarse",
        fit_every=4,
    )


def fine() -> Settings:
    """`fast` with more patience: three times the steps, more points in each, finer light."""
    settings = fast()
    settings.preset, settings.steps_factor, settings.points = "fine", 3.0, 6000
    settings.learning_rate_grid = 1e-2
    settings.residual_grid = GridSettings(levels=8, log2_table=17, base=8, finest=192)
    return settings


def paper() -> Settings:
    """The published schedule, sizes and weights (method.md's table and the published program)."""
    return Settings(
        preset="paper",
        windows=1,
        fit_textures=False,
        bake="exact",
        mixed_precision="off",
        iterations=50_000,
        points=10_000,
        neighbours_count=False,
        share_in_masks=0.0,
        share_by_error=0.0,
        skip_hidden=False,
        skip_settled=False,
        flow_share=1.0,
        bootstrap_share=0.2,
        global_rigidity_share=0.1,
        consistency_patches=64,
        consistency_times=15,
        consistency_every=1,
        learning_rate_grid=1e-2,
        learning_rate_mlp=1e-4,
        learning_rate_mapping=1e-4,
        schedule="constant",
        mapping=MappingSettings("identity", MlpSettings(4, 256), None),
        texture_grid=GridSettings(),
        texture_mlp=MlpSettings(),
        residual_grid=GridSettings(),
        residual_mlp=MlpSettings(),
        alpha_grid=GridSettings(),
        alpha_mlp=MlpSettings(),
    )


PRESETS = {"draft": draft, "fast": fast, "fine": fine, "paper": paper}

RENAMED = {"losses.bootstrap": "mask_bootstrap", "residual_reach": "residual_huber_delta"}
"""settings that had another name in files of version 0.1.0"""

BEFORE = {"share_by_error": 0.0, "skip_settled": False}
"""what was done before these could be set: a folder's own list without them means that"""
LATER = {"bake", "early_stop", "find_parts", "fit_every", "flow_longest", "maps"}
LATER |= {"residual_huber_delta", "texture_size", "windows", *BEFORE}
"""what the list of all settings in a folder of version 0.1.0 or later may lack"""


def to_dict(settings: Settings) -> dict:
    """`settings` as plain dictionaries and numbers."""
    return dataclasses.asdict(settings)


def save_settings(settings: Settings, path: Path) -> None:
    """Write all settings as YAML."""
    with written_beside(path, durable=True) as temporary:
        temporary.write_text(yaml.safe_dump(to_dict(settings), sort_keys=False), "utf-8")


def load_settings(path: Path, preset: str | None = None) -> Settings:
    """The preset with what the YAML file changes; NvdError on anything unknown or out of range.

    `preset` None takes the one that the file names, else fast; another than the file's is refused.
    A file that names all settings but the newest says `BEFORE` of those.
    """
    try:
        values = read_yaml(path)
    except Unreadable as error:
        raise NvdError(
            f"cannot read the settings {path}",
            found=str(error),
            remedy="give a YAML file with settings, such as the settings.yaml of a decomposition",
        ) from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise NvdError(
            f"the settings file {path} is no list of settings",
            expected="name: value lines",
            found=shown(values),
            remedy=f"{_CORRECT}; {REFERENCE} lists every setting",
        )
    if kinds_of(Settings).keys() - values.keys() <= LATER:
        values = BEFORE | values  # all that a folder was made with, and not some to change
    named = values.get("preset")
    if preset is not None and isinstance(named, str) and named in PRESETS and named != preset:
        raise NvdError(
            f"--preset {preset} and the settings file {path} name two presets",
            expected=f"preset: {preset} in the file, or none",
            found=f"preset: {named}",
            remedy=f"leave out --preset, or take the line preset: {named} out of the file",
        )
    return settings_from(values, preset or "fast")


def settings_from(values: dict, preset: str = "fast", place: str = "") -> Settings:
    """The preset, or that which `values` name, with what the nested dictionary changes.

    `place` stands before the names in an error: where in its file the dictionary is.
    """
    try:
        name = read(kinds_of(Settings)["preset"], values.get("preset", preset), key="preset")
        settings = PRESETS[name]()
        _update(settings, values, "")
        _check(settings)
    except Fault as fault:
        raise _refusal(fault, place, "correct the list" if place else _CORRECT) from fault
    return settings


def update_settings(settings: Settings, values: dict) -> Settings:
    """Change `settings` in place by the nested dictionary `values`, checked; returns them."""
    try:
        _update(settings, values, "")
        _check(settings)
    except Fault as fault:
        raise _refusal(fault) from fault
    return settings


def set_settings(settings: Settings, words: list[str]) -> Settings:
    """Change `settings` in place by `NAME=VALUE` each, such as losses.flow=0.02; returns them.

    Whole groups may be given too: `mapping.grid=null`. A value is what YAML takes it for. NvdError
    with the name of what does not fit.
    """
    try:
        for word in words:
            name, _, text = word.partition("=")
            if name == "preset":
                raise Fault(name, "type", "--preset NAME in place of --set", word)
            try:
                value = parse_yaml(text)
            except Unreadable:
                raise Fault(name[:60], "type", "a value as in a YAML file", text) from None
            for part in reversed(name.split(".")[1:]):
                value = {part: value}
            _update(settings, {name.partition(".")[0]: value}, "")
        _check(settings)
    except Fault as fault:
        raise _refusal(fault, remedy="correct the --set") from fault
    return settings


def check_settings(settings: Settings) -> None:
    """NvdError where settings do not fit each other."""
    try:
        _check(settings)
    except Fault as fault:
        raise _refusal(fault) from fault


def _update(settings: Any, values: dict, prefix: str) -> None:
    """Change the record `settings` in place by the nested dictionary `values`; Fault."""
    kinds, given = kinds_of(type(settings)), set()
    for name, value in values.items():
        name = RENAMED.get(f"{prefix}{name}" if isinstance(name, str) else "", name)
        if name not in kinds:
            raise unknown(prefix, name, kinds)
        label = f"{prefix}{name}"
        if name in given:
            raise Fault(label, "twice", "its present name alone", value)
        given.add(name)
        current = getattr(settings, name)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            _update(current, value, f"{label}.")
        else:
            setattr(settings, name, read(kinds[name], value, key=label))


def _check(settings: Settings) -> None:
    """Fault where settings, each in its range, do not fit each other."""
    mapping = settings.mapping
    grids = [
        ("texture_grid", settings.texture_grid, 2, False),
        ("residual_grid", settings.residual_grid, 3, False),
        ("alpha_grid", settings.alpha_grid, 3, False),
    ]
    grids += [("mapping.grid", mapping.grid, 3, True)] if mapping.grid else []
    for name, grid, dims, dense in grids:
        if 0 < grid.finest < grid.base:
            expected = f"0, -1, or base ({grid.base}) or more"
            raise Fault(f"{name}.finest", "range", expected, grid.finest)
        by_clip = grid.finest < 0 and name in ("texture_grid", "alpha_grid")
        values = grid.features * sum(_level_entries(grid, dims, dense, by_clip))
        if values > MOST_GRID_VALUES:
            expected = f"{MOST_GRID_VALUES} learnable numbers in all its levels at the most"
            raise Fault(name, "range", expected, values)
    for name in ("mapping.mlp", "texture_mlp", "residual_mlp", "alpha_mlp"):
        mlp = mapping.mlp if name == "mapping.mlp" else getattr(settings, name)
        if (weights := mlp.layers * mlp.width**2) > MOST_WEIGHTS:
            expected = f"layers x width x width of {MOST_WEIGHTS} at the most"
            raise Fault(name, "range", expected, weights)
    if settings.flow_method != "dis" and settings.flow_path is None:
        what = {"raft": "the file of RAFT's weights", "files": "the folder of flow files"}
        expected = f"{what[settings.flow_method]}, for flow_method: {settings.flow_method}"
        raise Fault("flow_path", "range", expected, None)


def _level_entries(grid: GridSettings, dims: int, dense: bool, by_clip: bool) -> Iterator[int]:
    """Entries of each level, as `fields/hash_grid/grid.py` lays them out, to the nearest vertex.

    `by_clip`: the clip decides how fine the grid is, so that every level may be full.
    """
    growth = 1.25
    if grid.finest > 0:
        growth = (grid.finest / grid.base) ** (1 / max(grid.levels - 1, 1))
    for level in range(grid.levels):
        full = math.ceil(grid.base * growth**level) ** dims
        if grid.levels == 1 and grid.finest > 0:
            full = grid.finest**dims
        yield full if dense else 2**grid.log2_table if by_clip else min(full, 2**grid.log2_table)


def _named(name: str, record: Any, prefix: str = "") -> Iterator[str]:
    """The settings of the groups in `record` that are called `name`, with their groups."""
    for part in kinds_of(type(record)):
        value = getattr(record, part)
        if part == name:
            yield f"{prefix}{part}"
        if dataclasses.is_dataclass(value):
            yield from _named(name, value, f"{prefix}{part}.")


def _refusal(fault: Fault, place: str = "", remedy: str = _CORRECT) -> NvdError:
    """The NvdError for a Fault; `place` says where in its file the settings are."""
    where = f" in {place}" if place else ""
    if fault.what == "unknown":
        name = fault.key.rpartition(".")[2]
        near = fault.expected or " or ".join(_named(name, Settings()))
        near = f"did you mean {near}? " if near else ""
        return NvdError(
            f"unknown setting {fault.key}{where}",
            remedy=f"{near}{REFERENCE} lists every setting",
        )
    problem = f"bad value for the setting {fault.key}{where}"
    if fault.what == "twice":
        problem = f"the setting {fault.key}{where} is given by an older name too"
    return NvdError(
        problem,
        expected=fault.expected,
        found=fault.found,
        remedy=f"{remedy}; {REFERENCE} lists every setting with its range",
    )
