"""Plots as inline SVG: bars and lines, with their values in words, and no script."""

from html import escape

COLOURS = ("#2f6db5", "#d9822b", "#3a9b62", "#c0504d", "#7d5ba6", "#8a6d3b", "#4bacc6", "#777777")
WIDTH = 640
_LABEL = 240  # pixels for the names beside bars
_ROW = 22


def bars(rows: list[tuple[str, float, bool]], unit: str) -> str:
    """Horizontal bars of (label, value, whether it is ours), from 0; an empty text for no rows."""
    if not rows:
        return ""
    longest = max(value for _, value, _ in rows) or 1
    parts = []
    for i, (label, value, ours) in enumerate(rows):
        y = i * _ROW
        length = max(value, 0) / longest * (WIDTH - _LABEL - 70)
        parts.append(_text(_LABEL - 6, y + 15, label, "end"))
        colour = COLOURS[0] if ours else "#b8b8b8"
        parts.append(
            f'<rect x="{_LABEL}" y="{y + 3}" width="{length:.1f}" height="16" fill="{colour}"/>'
        )
        parts.append(_text(_LABEL + length + 5, y + 15, f"{value:.2f} {unit}"))
    return _svg(len(rows) * _ROW + 4, parts)


def lines(series: dict[str, list[tuple[float, float]]], across: str, up: str) -> str:
    """Lines of points (x, y) by their names, with axes; an empty text where no line has two points.

    `across` and `up` say what the axes are.
    """
    series = {name: points for name, points in series.items() if len(points) > 1}
    if not series:
        return ""
    left, right, top, bottom = 46, WIDTH - 150, 12, 230
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_low, x_high, y_low, y_high = min(xs), max(xs), min(ys), max(ys)
    y_high = y_high if y_high > y_low else y_low + 1

    def at(x: float, y: float) -> tuple[float, float]:
        share = (x - x_low) / ((x_high - x_low) or 1), (y - y_low) / (y_high - y_low)
        return left + share[0] * (right - left), bottom - share[1] * (bottom - top)

    parts = [
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#999"/>',
        _text(left - 5, top + 8, f"{y_high:.1f}", "end"),
        _text(left - 5, bottom, f"{y_low:.1f}", "end"),
        _text(left, bottom + 16, f"{x_low:g}"),
        _text(right, bottom + 16, f"{x_high:g}", "end"),
        _text((left + right) / 2, bottom + 16, across, "middle"),
        _text(left + 6, top + 8, up),
    ]
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        way = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in points)
        parts.append(
            f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
        )
        parts.append(_text(right + 10, top + 12 + 17 * i, name, colour=colour))
    return _svg(max(bottom + 24, top + 17 * len(series) + 12), parts)


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#333") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'


def _svg(height: float, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )
