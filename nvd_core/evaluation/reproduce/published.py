"""The published figures that ours stand beside; `published.yaml` holds them."""

import re
from dataclasses import dataclass
from importlib import resources

from nvd_core.runtime.documents import parse_yaml

MEASURES = ("psnr", "ssim", "lpips", "AJ", "delta_avg", "OA")
"""what both the tables and our reports may hold"""


@dataclass(frozen=True)
class PublishedRow:
    """One method's figures for one clip, as printed; None where the table has none."""

    clip: str
    method: str
    table: int
    figures: dict[str, float]
    size: str | None = None
    minutes: float | None = None
    fps: float | None = None
    memory_gb: float | None = None


def published_rows() -> list[PublishedRow]:
    """Every figure of the tables, a row for each table, method, size and clip."""
    text = (
        resources.files("nvd_core.evaluation.reproduce")
        .joinpath("published.yaml")
        .read_text("utf-8")
    )
    rows = []
    for entry in parse_yaml(text)["rows"]:
        measures = {name: entry.pop(name) for name in MEASURES if name in entry}
        for clip in next(iter(measures.values())):
            figures = {name: values[clip] for name, values in measures.items()}
            rows.append(PublishedRow(clip=clip, figures=figures, **entry))
    return rows


def rows_of(clip: str) -> list[PublishedRow]:
    """The rows of a clip, however its name is spelled: car-turn, car_turn, Car Turn."""
    return [row for row in published_rows() if _plain(row.clip) == _plain(clip)]


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
