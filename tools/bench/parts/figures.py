"""What a benchmark found: figures with their units, as a table and as JSON."""

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Figure:
    """One measured value."""

    part: str  # of the benchmark
    case: str  # what was measured, such as "1080p, 2 layers"
    name: str  # which of its properties
    value: float | None  # None: not to be had, the note says why
    unit: str
    note: str = ""


def table(figures: list[Figure]) -> str:
    """All figures, aligned, under the name of their part; equal notes of one part stand once."""
    cases = max(len(figure.case) for figure in figures)
    names = max(len(figure.name) for figure in figures)
    lines = []
    for part, group in groupby(figures, lambda figure: figure.part):
        lines += ["", part]
        last_case, last_note = None, ""
        for figure in group:
            case = figure.case if figure.case != last_case else ""
            note = figure.note if figure.note != last_note else ""
            last_case, last_note = figure.case, figure.note
            row = f"  {case:<{cases}}  {figure.name:<{names}}  {shown(figure.value):>9} "
            lines.append(f"{row}{figure.unit:<4} {note}".rstrip())
    return "\n".join(lines[1:])


def shown(value: float | None) -> str:
    """About four significant digits; whole numbers as such."""
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:.0f}"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1
    return f"{value:.{digits}f}"
