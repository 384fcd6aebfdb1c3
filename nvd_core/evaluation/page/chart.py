"""The curve of PSNR over the frames: where its lines and points lie in the page's drawing."""

import math

import numpy as np

WIDTH, HEIGHT = 1000, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 0, WIDTH, 14, HEIGHT - 8
_MOST_POINTS = 1200
_HIGHEST = 60.0
"""dB; what is better looks the same, and would press all else together"""


def chart(full: list[float | None], unlit: list[float | None]) -> dict:
    """The curves with light and without it, dB by frame, as paths, ticks and points.

    Of a long clip every point stands for a few frames, and is the worst of them.
    """
    values = [np.array([_HIGHEST if v is None else v for v in series]) for series in (full, unlit)]
    frames = _thinned(values[0])
    shown = [np.minimum(series[frames], _HIGHEST) for series in values]
    low, high = min(s.min() for s in shown), max(s.max() for s in shown)
    step = next(s for s in (1, 2, 5, 10, 20) if (high - low) / s <= 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step + 1e-6) * step
    last = max(len(full) - 1, 1)

    def x(frame: int) -> float:
        return round(_LEFT + frame / last * (_RIGHT - _LEFT), 1)

    def y(value: float) -> float:
        return round(_BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP), 1)

    paths = [
        "M" + "L".join(f"{x(f)} {y(v)}" for f, v in zip(frames, series, strict=True))
        for series in shown
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "paths": paths,
        "area": f"{paths[0]}L{x(frames[-1])} {_BOTTOM}L{x(frames[0])} {_BOTTOM}Z",
        "ticks": [
            {"y": y(v), "share": round(100 * y(v) / HEIGHT, 2), "text": f"{v:g}"}
            for v in np.arange(low, high + step / 2, step)
        ],
        "points": [
            [int(f), round(float(values[0][f]), 1), round(float(values[1][f]), 1), x(f), y(a), y(b)]
            for f, a, b in zip(frames, *shown, strict=True)
        ],
        "thinned": len(frames) < len(full),
    }


def worst_frames(full: list[float | None], most: int = 4) -> list[tuple[int, float]]:
    """The frames (number, dB) of the lowest PSNR, apart from each other, the worst first."""
    known = [(value, frame) for frame, value in enumerate(full) if value is not None]
    apart = max(len(full) // 12, 1)
    found: list[tuple[int, float]] = []
    for value, frame in sorted(known):
        if all(abs(frame - other) > apart for other, _ in found):
            found.append((frame, value))
        if len(found) == most:
            break
    return found


def _thinned(values: np.ndarray) -> np.ndarray:
    """The frames that are drawn: all, or the worst of each of _MOST_POINTS parts."""
    if len(values) <= _MOST_POINTS:
        return np.arange(len(values))
    parts = np.array_split(np.arange(len(values)), _MOST_POINTS)
    return np.array([part[np.argmin(values[part])] for part in parts])
