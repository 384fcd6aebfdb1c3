"""Fitting chains of plane motions: matches of two frames, models of motion, robust pair fits.

A motion is a homogeneous 3x3 matrix. A chain has one for every frame, from that frame's
coordinates to those of the reference frame. Coordinates are normalised (`normaliser`): the frame's
centre is 0 and its longer side spans -1..1, so that all entries are of one magnitude.
"""

from dataclasses import dataclass

import cv2
import numpy as np

MODELS = ("translation", "similarity", "affine", "homography")
"""From the stiffest to the richest."""


@dataclass
class Matches:
    """Points of frame i and where they lie in frame j, normalised."""

    i: int
    j: int
    start: np.ndarray  # float64 [n, 2]
    end: np.ndarray  # float64 [n, 2]


def normaliser(height: int, width: int, aspect: float = 1.0) -> np.ndarray:  # [3, 3]
    """The matrix from pixels, `aspect` times as wide as high, to normalised coordinates."""
    scale = 2.0 / max(width * aspect, height)
    return np.array(
        [
            [scale * aspect, 0, -scale * aspect * (width - 1) / 2],
            [0, scale, -scale * (height - 1) / 2],
            [0, 0, 1],
        ]
    )


def generators(model: str) -> np.ndarray:  # [P, 3, 3]
    """The directions in which a motion of `model` can change: I + sum of p_k * generator_k."""
    unit = np.eye(9).reshape(9, 3, 3)
    shift = [unit[2], unit[5]]
    turn_and_scale = [unit[0] + unit[4], unit[3] - unit[1]]
    shear = [unit[0] - unit[4], unit[1] + unit[3]]
    perspective = [unit[6], unit[7]]
    parts = {
        "translation": shift,
        "similarity": shift + turn_and_scale,
        "affine": shift + turn_and_scale + shear,
        "homography": shift + turn_and_scale + shear + perspective,
    }
    return np.stack(parts[model])


def apply(
    matrix: np.ndarray, points: np.ndarray
) -> np.ndarray:  # [..., 3, 3], [n, 2] -> [..., n, 2]
    """Where the matrix takes the points."""
    moved = points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2]
    return moved[..., :2] / moved[..., 2:]


def fit_pair(model: str, start: np.ndarray, end: np.ndarray, tolerance: float) -> np.ndarray | None:
    """The motion that takes most of start [n, 2] to within `tolerance` of end, or None."""
    if len(start) < 8:
        return None
    if model == "translation":
        matrix = np.eye(3)
        matrix[:2, 2] = np.median(end - start, axis=0)
        return matrix
    if model == "homography":
        found = cv2.findHomography(start, end, cv2.USAC_MAGSAC, tolerance)[0]
        return None if found is None or abs(found[2, 2]) < 1e-6 else found / found[2, 2]
    fit = cv2.estimateAffine2D if model == "affine" else cv2.estimateAffinePartial2D
    found = fit(start, end, method=cv2.RANSAC, ransacReprojThreshold=tolerance)[0]
    return None if found is None else np.vstack([found, [0, 0, 1]])


def chain(steps: list[np.ndarray | None], reference: int) -> np.ndarray:  # [T, 3, 3]
    """From steps (t -> t+1) to motions into the reference frame; a missing step stands still."""
    motions = np.tile(np.eye(3), (len(steps) + 1, 1, 1))
    for t in range(reference, len(steps)):
        step = steps[t]
        motions[t + 1] = motions[t] if step is None else motions[t] @ np.linalg.inv(step)
    for t in range(reference - 1, -1, -1):
        step = steps[t]
        motions[t] = motions[t + 1] if step is None else motions[t + 1] @ step
    return motions / motions[:, 2:, 2:]


def distances(motions: np.ndarray, matches: list[Matches]) -> np.ndarray:  # [sum of n]
    """How far each match lies from where the motions put it, in frame j."""
    if not matches:
        return np.zeros(0)
    return np.concatenate(
        [
            np.linalg.norm(
                apply(np.linalg.inv(motions[m.j]) @ motions[m.i], m.start) - m.end, axis=1
            )
            for m in matches
        ]
    )
