"""Whether a layer can be painted on: a traffic light from what was measured, with its reason.

All thresholds are in MEASURES; docs/guide/report.md shows them for artists. Outline and texture
were set on five decompositions. Three that take paint well: the bear of docs/method/clips.md (the
object's outline 0.98, texture 23.7 dB, flicker 0.16 px), the sample clip's doll (0.98, 20.8 dB,
0.15 px), a hiker with masks (23.3 dB, 0.13 px). The same hiker without masks has spilling edges
(0.79 against the true ones). A cyclist without masks after 60 steps is lost (14.3 dB, a fifth of
the texture seen). None of them has folds or stretch to speak of: these limits go by what paint on
turned or stretched coordinates looks like, and flicker's
is twice the worst of the good ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

GREEN, AMBER, RED, GREY = "green", "amber", "red", "grey"
_ORDER = (GREY, GREEN, AMBER, RED)
WORDS = {
    GREEN: "Can be painted on",
    AMBER: "Paint with care",
    RED: "Do not rely on paint here",
    GREY: "Not judged",
}


@dataclass(frozen=True)
class Measure:
    """A figure of a layer, from where on it is good, and from where on it is bad."""

    key: str
    title: str
    unit: str  # "%" (shares are given as 0..1), "dB", "px", or "" for a plain number
    good: float
    bad: float
    amber: str
    """what an artist sees of a doubtful value"""
    red: str
    explained: str

    @property
    def more_is_better(self) -> bool:
        """Whether a large value is a good one."""
        return self.good > self.bad

    def light(self, value: float | None) -> str:
        """The traffic light of this figure alone; grey where it was not measured."""
        if value is None:
            return GREY
        sign = 1 if self.more_is_better else -1
        if sign * value >= sign * self.good:
            return GREEN
        return RED if sign * value < sign * self.bad else AMBER

    def text(self, value: float | None) -> str:
        """The value in words."""
        if value is None:
            return "not measured"
        if self.unit == "%":
            return f"{100 * value:.1f} %"
        return (
            f"{value:.1f} {self.unit}" if self.unit == "dB" else f"{value:.2f} {self.unit}".strip()
        )


MEASURES = (
    Measure(
        "folded_by_layer",
        "Folds",
        "%",
        0.02,
        0.10,
        "paint may appear twice or mirrored in places",
        "paint appears twice or mirrored",
        "Share of the layer's pixels where its coordinates are turned over.",
    ),
    Measure(
        "flicker_by_layer",
        "Flicker",
        "px",
        0.35,
        1.0,
        "paint may tremble a little against the surface",
        "paint trembles against the surface",
        "How far paint jumps from frame to frame beyond the layer's own motion.",
    ),
    Measure(
        "alpha_iou",
        "Outline",
        "",
        0.85,
        0.60,
        "the edge of the layer misses its mask in places, so paint may spill or be cut off there",
        "the layer is not the object that its mask marks",
        "How well the layer's alpha agrees with the mask it was given (IoU, 1 is equal).",
    ),
    Measure(
        "apart_by_layer",
        "Pieces",
        "%",
        0.15,
        0.40,
        "the layer is seen in several pieces, which may be several objects",
        "the layer is a scatter of pieces, or several objects: no texture holds them all",
        "Share of the layer's pixels outside its largest piece.",
    ),
    Measure(
        "psnr_without_residual_by_layer",
        "Texture",
        "dB",
        20.0,
        15.0,
        "the texture alone shows the surface roughly: fine paint may drift from what is under it",
        "the texture does not look like the surface: paint slides over it",
        "PSNR inside the layer from its texture without the light.",
    ),
    Measure(
        "stretched_by_layer",
        "Stretch",
        "%",
        0.10,
        0.40,
        "paint looks coarse or gets lost in the stretched places",
        "paint is stretched or lost over much of the layer",
        "Share of the layer's pixels where the texture is stretched or squeezed more than 4 times.",
    ),
    Measure(
        "coverage",
        "Seen texels",
        "%",
        0.30,
        0.05,
        "most of the texture was never seen, so keep to the part that was",
        "next to nothing of the texture is ever seen",
        "Share of the texture's texels that some frame shows.",
    ),
)
"""in the order in which a bad figure is given as the reason"""


@dataclass(frozen=True)
class Verdict:
    """A layer's traffic light: `rows` are (measure, value, light) of every figure."""

    light: str
    reason: str
    rows: tuple[tuple[Measure, float | None, str], ...]

    @property
    def words(self) -> str:
        """The light in words, for those who do not see its colour."""
        return WORDS[self.light]


def judge(report: Mapping, name: str, is_object: bool = True) -> Verdict:
    """The verdict on the layer `name` by the figures of a `report`, the worst of them.

    Of an object that had no masks it is said that its outline was not checked.
    """
    rows = []
    for measure in MEASURES:
        value = report.get(measure.key, {}).get(name)
        rows.append((measure, value, measure.light(value)))
    if report["folded_by_layer"].get(name) is None:
        return Verdict(
            RED, "It covers no pixel of the clip, so paint on it will not show.", (*rows,)
        )
    worst = max((light for _, _, light in rows), key=_ORDER.index)
    found = [row for row in rows if row[2] == worst]
    if worst in (GREEN, GREY):
        unchecked = is_object and report["alpha_iou"].get(name) is None
        return Verdict(worst, _good(rows, unchecked), (*rows,))
    measure, value, _ = found[0]
    text = measure.red if worst == RED else measure.amber
    more = [m.title.lower() for m, _, _ in found[1:]]
    also = f"; {' and '.join(more)} {'is' if len(more) == 1 else 'are'} no better" if more else ""
    return Verdict(
        worst, f"{text[0].upper()}{text[1:]} ({_named(measure, value)}{also}).", (*rows,)
    )


def _good(rows: list[tuple[Measure, float | None, str]], unchecked: bool) -> str:
    values = {measure.key: (measure, value) for measure, value, _ in rows if value is not None}
    told = [
        _named(*values[key])
        for key in ("flicker_by_layer", "folded_by_layer", "psnr_without_residual_by_layer")
        if key in values
    ]
    outline = "; its outline was not checked, as it had no masks" if unchecked else ""
    return f"Its coordinates are steady and without folds ({', '.join(told)}){outline}."


def _named(measure: Measure, value: float | None) -> str:
    return f"{measure.title.lower()} {measure.text(value)}"
