"""Every setting of a decomposition, the presets, and reading them from YAML.

A settings file names only what it changes; what was used is saved as `settings.yaml` in the
decomposition folder and can be given back with `--settings`.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside


@dataclass
class GridSettings:
    """A multi-resolution hash grid (tiny-cuda-nn's layout)."""

    levels: int = 16
    """number of resolutions, from coarse to fine"""
    features: int = 2
    """features a level; the compiled backends are made for 2"""
    log2_table: int = 15
    """binary logarithm of the most entries a level may have"""
    base: int = 16
    """cells along an axis at the coarsest level"""
    finest: int = 0
    """cells along an axis at the finest level; 0 = growth 1.25 a level, as published"""


@dataclass
class MlpSettings:
    """A fully connected network with ReLU between its layers."""

    layers: int = 4
    """linear layers, the output layer included"""
    width: int = 64
    """units of a hidden layer"""


@dataclass
class MappingSettings:
    """The mapping M_n: video coordinate to texture coordinate."""

    start: str = "motion"
    """motion: from the global motion; identity: pre-trained towards the frame (published)"""
    mlp: MlpSettings = field(default_factory=lambda: MlpSettings(3, 64))
    """the network; with start = motion it learns only what the global motion does not express"""
    grid: GridSettings | None = field(
        default_factory=lambda: GridSettings(levels=4, base=4, finest=16)
    )
    """coarse dense grid over (u, v, t) of the motion start; None: plain coordinates"""
    hold_background: bool = True
    """start = motion: a still camera's background deforms only where frames far apart differ"""
    scale_object: float = 0.9
    """half the share of its texture square that an object may fill at the start"""
    scale_background: float = 0.6
    """the same for the background (identity start; the motion start fits it by itself)"""


@dataclass
class LossWeights:
    """Weights of the losses; the numbers behind the names are the paper's equations.

    A loss whose weight is 0 is not computed.
    """

    rgb: float = 5.0
    """(13) squared distance of the colours"""
    gradient: float = 1.0
    """(13) squared distance of their forward differences in x and y"""
    sparsity: float = 1.0
    """(14) squared colour of an object's layer where it is transparent"""
    flow: float = 0.01
    """(15) distance in pixels of the texture coordinates of flow matches"""
    flow_alpha: float = 0.05
    """(15) difference of the alphas of flow matches"""
    mask_bootstrap: float = 2.0
    """weight of `mask` while bootstrapping"""
    mask: float = 0.0
    """(16) cross-entropy of the coarse masks, afterwards: an alpha takes in no surroundings"""
    rigidity: float = 0.001
    """stretch and shear of the mapping over one pixel"""
    global_rigidity_object: float = 0.005
    """the same over 100 pixels, objects, while it is active"""
    global_rigidity_background: float = 0.05
    """the same over 100 pixels, background"""
    residual_consistency: float = 0.1
    """(10) correlation of a patch's light between times it is seen and times it is not"""
    residual_variance: float = 16.0
    """(9) beta, the weight of the variance within (10)"""
    residual_one: float = 0.5
    """(11) squared distance of the residual from 1"""
    residual_mean: float = 0.0
    """squared distance from 1 of the residual's mean over time and a part of the texture"""
    residual_smooth: float = 0.0
    """differences of the residual between neighbouring pixels; edges of light may stay"""
    alpha_binary: float = 0.1
    """(12) cross-entropy of the largest alpha towards 1"""


@dataclass
class Settings:
    """Everything that decides how a clip is trained; see `PRESETS` for the two starting points."""

    preset: str = "fast"
    """the preset these settings started from"""
    iterations: int = 0
    """training steps; 0 = chosen by the clip's number of pixels"""
    steps_factor: float = 1.0
    """multiplies the number of steps that is chosen so"""
    points: int = 4500
    """points p a step; each is evaluated together with its right and lower neighbour"""
    neighbours_count: bool = True
    """whether the rgb loss takes the colours of those neighbours too"""
    share_in_masks: float = 0.33
    """share of the points drawn inside the dilated masks, so that small objects survive"""
    skip_hidden: bool = True
    """evaluate a layer only where it shows, and at a few of the other points"""
    flow_share: float = 0.5
    """share of the points whose flow match is evaluated too"""
    bootstrap_share: float = 0.5
    """share of the steps in which the masks are enforced"""
    mask_margin: float = 0.0
    """pixels by which the masks' outlines may be off; that near to them the picture decides"""
    global_rigidity_share: float = 0.0
    """share of the steps in which the global rigidity is active"""
    consistency_patches: int = 16
    """border patches a step for the residual consistency; 0 = off"""
    consistency_times: int = 3
    """other frames that each such patch is compared with"""
    consistency_every: int = 4
    """steps between two residual consistency terms; its weight grows by as much"""
    learning_rate_grid: float = 2e-2
    """Adam's rate for the hash tables of textures, residuals and alpha"""
    learning_rate_deformation: float = 1e-2
    """the same for the mappings' grids: coordinates want to be steady"""
    learning_rate_mlp: float = 5e-3
    """Adam's rate for network weights"""
    learning_rate_mapping: float = 1e-3
    """Adam's rate for the weights of the mapping networks"""
    learning_rate_motion: float = 2e-4
    """Adam's rate for the per-frame motion"""
    schedule: str = "one-cycle"
    """constant (published) or one-cycle (rise over 5 % of the steps, then a cosine to 1 %)"""
    pretrain_iterations: int = 100
    """steps for ten frames that pull an identity-start mapping to the frame before the main loop"""
    mapping: MappingSettings = field(default_factory=MappingSettings)
    """the mapping networks"""
    encoding: str = "hash"
    """hash: textures, residuals and alpha over hash grids; positional: sines (ablation)"""
    texture_octaves: int = 10
    """octaves of the positional encoding of (u, v) for the textures"""
    residual_octaves: int = 5
    """octaves of the positional encoding of (u, v, t) for the residuals"""
    alpha_octaves: int = 5
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
    residual: str = "multiplicative"
    """multiplicative (the method), additive (ablation) or none (ablation)"""
    residual_huber_delta: float = 0.0
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
    flow_method: str = "dis"
    """dis (needs no weights), raft (needs torchvision and weights) or files"""
    flow_path: str | None = None
    """weights for raft, or the folder of precomputed flow for files"""
    maskrcnn_weights: str | None = None
    """torchvision's weights for masks given as maskrcnn:CLASS"""
    mixed_precision: str = "auto"
    """on: hidden layers of texture, residual and alpha in bfloat16; auto: where the hardware
    multiplies it (CPUs with AVX-512 BF16 or AMX, GPUs from Ampere on)"""
    checkpoint_seconds: float = 20.0
    """seconds of training that an interruption may cost"""
    preview_seconds: float = 15.0
    """seconds between two preview pictures"""
    texels_per_pixel: float = 1.25
    """density of the baked textures, texels for the clip's typical pixel"""
    fit_textures: bool = True
    """whether the baked textures are fitted to all frames; if not, they are the networks'"""


def fast() -> Settings:
    """The default: made for two CPU cores."""
    settings = Settings()
    settings.losses.mask = 0.5
    settings.losses.residual_one, settings.residual_huber_delta = 0.1, 0.1
    settings.losses.residual_mean = 1.0
    settings.losses.residual_smooth = 0.03
    return settings


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
        fit_textures=False,
        mixed_precision="off",
        iterations=50_000,
        points=10_000,
        neighbours_count=False,
        share_in_masks=0.0,
        skip_hidden=False,
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


PRESETS = {"fast": fast, "fine": fine, "paper": paper}


def to_dict(settings: Settings) -> dict:
    """`settings` as plain dictionaries and numbers."""
    return dataclasses.asdict(settings)


def save_settings(settings: Settings, path: Path) -> None:
    """Write all settings as YAML."""
    with written_beside(path, durable=True) as temporary:
        temporary.write_text(yaml.safe_dump(to_dict(settings), sort_keys=False), "utf-8")


def load_settings(path: Path, preset: str = "fast") -> Settings:
    """The preset with what the YAML file changes; NvdError on anything unknown or mistyped."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NvdError(
            f"cannot read the settings {path}",
            found=str(error).splitlines()[0],
            remedy="give a YAML file with settings, such as the settings.yaml of a decomposition",
        ) from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise _bad_setting("the file", "name: value lines", values)
    return settings_from(values, preset)


def settings_from(values: dict, preset: str = "fast") -> Settings:
    """The preset, or that which `values` name, with what the nested dictionary changes."""
    name = _checked("preset", str, values.get("preset", preset))
    return update_settings(PRESETS[name](), values)


RENAMED = {"losses.bootstrap": "mask_bootstrap", "residual_reach": "residual_huber_delta"}
"""settings that had another name in files of version 0.1.0"""


def update_settings(settings: object, values: dict, prefix: str = "") -> object:
    """Change the dataclass `settings` in place by the nested dictionary `values`; returns it."""
    known = {f.name: f for f in dataclasses.fields(settings)}
    for name, value in values.items():
        name = RENAMED.get(f"{prefix}{name}", name)
        label = f"{prefix}{name}"
        if name not in known:
            raise NvdError(
                f"unknown setting {label}",
                remedy=f"use one of: {', '.join(known)}",
            )
        current = getattr(settings, name)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            update_settings(current, value, f"{label}.")
        else:
            setattr(settings, name, _checked(label, known[name].type, value))
    return settings


_CHOICES = {
    "preset": ("fast", "fine", "paper"),
    "schedule": ("one-cycle", "constant"),
    "residual": ("multiplicative", "additive", "none"),
    "encoding": ("hash", "positional"),
    "mixed_precision": ("auto", "on", "off"),
    "flow_method": ("dis", "raft", "files"),
    "mapping.start": ("motion", "identity"),
}


def _checked(label: str, kind: object, value: object) -> object:
    """`value` as the field's type, or NvdError."""
    if kind is bool:
        if not isinstance(value, bool):
            raise _bad_setting(label, "true or false", value)
    elif kind in (int, float):
        if isinstance(value, str):  # YAML reads 1e-2 as a string
            try:
                value = float(value)
            except ValueError:
                raise _bad_setting(label, "a number", value) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad_setting(label, "a number", value)
        if kind is int and value != int(value):
            raise _bad_setting(label, "a whole number", value)
        value = kind(value)
        if label.endswith("_octaves") and not 1 <= value <= 16:
            raise _bad_setting(label, "a whole number from 1 to 16", value)
    elif kind is str:
        if label == "mixed_precision" and isinstance(value, bool):
            value = "on" if value else "off"  # YAML's reading of these words
        if not isinstance(value, str) or value not in _CHOICES.get(label, (value,)):
            raise _bad_setting(label, " or ".join(_CHOICES.get(label, ("text",))), value)
    elif value is not None and kind == (str | None):
        if not isinstance(value, str):
            raise _bad_setting(label, "text", value)
    elif kind == (GridSettings | None):
        if value is not None:
            value = update_settings(GridSettings(), value, f"{label}.")
    elif dataclasses.is_dataclass(kind):
        raise _bad_setting(label, "name: value lines", value)
    return value


def _bad_setting(label: str, expected: str, value: object) -> NvdError:
    return NvdError(
        f"bad value for the setting {label}",
        expected=expected,
        found=repr(value),
        remedy="correct the settings file",
    )
