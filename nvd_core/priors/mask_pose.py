"""The step by which an object as a whole moves to the next frame, checked by its looks.

Its flow is wrong where it moves fast, is blurred, or goes behind something. So what fits its flow,
and going on as it did against the background, are tried with places around both: former looks are
laid over the picture, each pixel with a bounded say, since some are hidden.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.motion_fit import apply, fit_pair

POINTS = 160
"""Pixels of a look that are compared."""
SIMILAR = 30.0
"""Distance of two colours in Lab from which they say nothing of each other."""
REACH, FINER = 5, (1, 2, 4)
"""Steps from where it is expected to the last place tried, of about this share of its size; and
what these are divided by, one after the other."""
STEP = 1 / 24
"""Share of the object's size, the root of its area, of a step."""
FAR = 0.02
"""What a place loses for each step that it is away from where it is expected."""
BETTER = 0.04
"""By how much another step must fit better than that of the flow."""

LEAST, OFF, MOST = 30, 1.5, 0.75
"""Points of flow by which a look is laid anew at the least, within how many pixels they agree, and
what share of them more than that."""


@dataclass
class Points:
    """Pixels of an object in a frame in which it is known, and that frame's motion."""

    places: np.ndarray  # float64 [n, 2]
    colours: np.ndarray  # float32 [n, 3], Lab
    area: float


def points_of(lab: np.ndarray, mask: np.ndarray) -> Points | None:
    """Points of a frame float32 [h, w, 3] where `mask` float32 [h, w] has the object."""
    rows, columns = np.nonzero(mask > 0.7)
    if len(rows) < 4:
        return None
    chosen = np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    places = np.stack([columns, rows], 1).astype(np.float64)
    return Points(places, lab[rows, columns], float((mask > 0.5).sum()))


def checked_step(
    lab: np.ndarray,  # float32 [h, w, 3]
    looks: Iterable[tuple[Points | None, np.ndarray]],
    steps: list[np.ndarray],
) -> np.ndarray:  # [3, 3]
    """The step to the newest frame that fits the `looks` best, of some and of places near to them;
    the first of the `steps` where no other is clearly better. Each look comes with the motion
    [3, 3] from its frame to the last."""
    known = [(look, motion) for look, motion in looks if look is not None]
    if not known:
        return steps[0]
    lab = cv2.GaussianBlur(lab, (0, 0), 0.8)
    size = np.sqrt(known[0][0].area)
    unit = max(1.0, size * STEP)
    best, step = told(lab, known, steps[0], np.zeros((1, 2)))[0] + BETTER, steps[0]
    for base in steps:
        at, span = np.zeros(2), unit
        for share in FINER:
            span = max(unit / share, 1.0)
            side = np.arange(-REACH, REACH + 1) if share == 1 else np.arange(-1, 2)
            away = at + span * np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
            score = told(lab, known, base, away) - FAR * np.linalg.norm(away, axis=1) / unit
            k = int(score.argmax())
            at = away[k]
            if score[k] > best:
                best, step = score[k], shifted(base, at)
            if span == 1.0 and share > 1:
                break
    return step


def fit_of(lab: np.ndarray, look: Points, pose: np.ndarray) -> float:
    """How well a look fits a frame float32 [h, w, 3] whose pixels `pose` [3, 3] takes to its, 0 to
    1."""
    return float(told(lab, [(look, np.linalg.inv(pose))], np.eye(3), np.zeros((1, 2)))[0])


def realigned(
    lab: np.ndarray,
    look: Points | None,
    pose: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    canvas: np.ndarray,
) -> np.ndarray:  # [3, 3]
    """A pose that makes up for what steps have added up to, where flow from the frame's `start`
    [n, 2] to the look's `end` [n, 2] shows it of most of the object and its looks fit better so;
    else the `pose` itself. `lab` is a picture whose pixels `canvas` [3, 3] takes to the frame's."""
    if len(start) < LEAST or look is None:
        return pose
    fit = fit_pair("similarity", start, end, OFF)
    if fit is None or not 0.5 < np.linalg.det(fit[:2, :2] @ np.linalg.inv(pose[:2, :2])) < 2:
        return pose
    near = np.linalg.norm(apply(fit, start) - end, axis=1) < OFF
    better = fit_of(lab, look, fit @ canvas) > fit_of(lab, look, pose @ canvas)
    return fit if better and near.mean() > MOST else pose


def told(
    lab: np.ndarray,
    looks: list[tuple[Points, np.ndarray]],
    step: np.ndarray,
    away: np.ndarray,  # [m, 2]
) -> np.ndarray:  # [m]
    """How well looks fit after a step and `away` from there, 0 to 1."""
    height, width = lab.shape[:2]
    score = np.zeros(len(away))
    for look, motion in looks:
        middles = apply(step @ motion, look.places)
        places = np.rint(middles[None] + away[:, None]).astype(int)
        x, y = places[..., 0], places[..., 1]
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        there = lab[y.clip(0, height - 1), x.clip(0, width - 1)]
        apart = np.abs(there - look.colours).sum(-1)
        score += (np.maximum(1 - apart / SIMILAR, 0) * inside).mean(1)
    return score / len(looks)


def shifted(step: np.ndarray, away: np.ndarray) -> np.ndarray:
    """A step that goes (x, y) pixels farther."""
    shift = np.eye(3)
    shift[:2, 2] = away
    return shift @ step
