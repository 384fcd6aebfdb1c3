"""Clips with known motion made of textures, and pieces of the real clips, as arrays of `work/`."""

from pathlib import Path

import cv2
import numpy as np

from helpers.promises import CLIPS
from nvd_core.priors.flow import compute_flow
from nvd_core.runtime.progress import Progress

HEIGHT, WIDTH = 120, 160


def warped_clip(work: Path, motions: np.ndarray, square: tuple | None = None) -> None:
    """Frames whose pixels `motions` [T, 3, 3] take into one big texture.

    `square` = (side, [T, 2] places) is an object of another texture on top, with its mask.
    """
    big, other = texture(400, 500, 1), texture(100, 100, 2)
    other = (0.7 * other + (76, 38, 0)).astype(np.uint8)  # a colour of its own
    shift = np.array([[1, 0, 170], [0, 1, 140], [0, 0, 1]], float)
    frames, masks = [], np.zeros((1 if square else 0, len(motions), HEIGHT, WIDTH), np.uint8)
    for t, motion in enumerate(motions):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = cv2.warpPerspective(big, shift @ motion, (WIDTH, HEIGHT), flags=flags)
        if square:
            side, places = square
            x, y = (int(v) for v in places[t])
            frame[y : y + side, x : x + side] = other[:side, :side]
            masks[0, t, y : y + side, x : x + side] = 255
        frames.append(frame)
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", np.stack(frames))
    np.save(work / "masks.npy", masks)
    np.save(work / "mask_weight.npy", np.full_like(masks, 255))
    compute_flow(work, Progress())


def walked_past(work: Path, count: int, nearer: float, light: float = 0.0) -> None:
    """A camera goes past a wall, 2 px a frame, and past posts that move `nearer` times as fast.

    By the end the light has changed by `light`, more on one side than on the other.
    """
    wall, post = texture(HEIGHT, WIDTH + 2 * count, 1), texture(HEIGHT, 16, 2)
    frames = []
    for t in range(count):
        frame = wall[:, 2 * t : 2 * t + WIDTH].copy()
        for place in range(30, round(WIDTH + 2 * nearer * count), 44):
            left = place - round(2 * nearer * t)
            first, last = max(left, 0), min(left + 16, WIDTH)
            if first < last:
                frame[:, first:last] = post[:, first - left : last - left]
        shade = 1 - light * t / count * np.linspace(0.3, 1, WIDTH)[None, :, None]
        frames.append(np.rint(frame * shade).astype(np.uint8))
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", np.stack(frames))
    np.save(work / "masks.npy", np.zeros((0, count, HEIGHT, WIDTH), np.uint8))
    np.save(work / "mask_weight.npy", np.zeros((0, count, HEIGHT, WIDTH), np.uint8))
    compute_flow(work, Progress())


def rolling_disc(work: Path, count: int, radius: float, degrees: float) -> np.ndarray:
    """A textured disc rolls through a still frame; its motions [T, 3, 3] into its own texture.

    It turns by `degrees` a frame and moves on as far as its rim does.
    """
    big, other = texture(HEIGHT, WIDTH, 1), texture(100, 100, 2)
    other = (0.7 * other + (76, 38, 0)).astype(np.uint8)  # a colour of its own
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    frames, masks, motions = [], np.zeros((1, count, HEIGHT, WIDTH), np.uint8), []
    for t in range(count):
        turn = np.radians(degrees) * t
        c, s = np.cos(turn), np.sin(turn)
        px, py = radius + 2 + radius * turn, HEIGHT / 2
        motion = np.array([[c, s, 50 - c * px - s * py], [-s, c, 50 + s * px - c * py], [0, 0, 1]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        disc = cv2.warpPerspective(other, motion, (WIDTH, HEIGHT), flags=flags)
        cover = np.clip(radius + 0.5 - np.hypot(x - px, y - py), 0, 1)[..., None]
        frames.append(np.rint(cover * disc + (1 - cover) * big).astype(np.uint8))
        masks[0, t] = np.rint(255 * cover[..., 0])
        motions.append(motion)
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", np.stack(frames))
    np.save(work / "masks.npy", masks)
    np.save(work / "mask_weight.npy", np.full_like(masks, 255))
    compute_flow(work, Progress())
    return np.array(motions)


def turning_drum(work: Path, count: int, degrees: float, repeats: int = 0) -> None:
    """An upright drum before a still frame turns by `degrees` a frame, and nothing else moves.

    Above and below a band of two fifths its pattern repeats so many times around, if at all.
    """
    big, other = texture(HEIGHT, WIDTH, 1), texture(80, 240, 2)
    other = (0.7 * other + (76, 38, 0)).astype(np.uint8)  # a colour of its own
    if repeats:
        for rows in (slice(0, 24), slice(56, 80)):
            other[rows] = np.tile(other[rows, : 240 // repeats], (1, repeats, 1))
    half, top, bottom = 36, 20, 100
    frames, masks = [], np.zeros((1, count, HEIGHT, WIDTH), np.uint8)
    x = np.arange(-half, half + 1)
    angles = np.arcsin(x / (half + 0.5))
    left = WIDTH // 2 - half
    for t in range(count):
        around = (angles - np.radians(degrees) * t) / (2 * np.pi) * other.shape[1]
        columns = np.broadcast_to(around % other.shape[1], (bottom - top, len(x)))
        rows = np.broadcast_to(np.arange(bottom - top)[:, None], columns.shape)
        places = [np.ascontiguousarray(a, np.float32) for a in (columns, rows)]
        drum = cv2.remap(other, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        frame = big.copy()
        frame[top:bottom, left : left + len(x)] = drum
        masks[0, t, top:bottom, left : left + len(x)] = 255
        frames.append(frame)
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", np.stack(frames))
    np.save(work / "masks.npy", masks)
    np.save(work / "mask_weight.npy", np.full_like(masks, 255))
    compute_flow(work, Progress())


def camera(count: int, perspective: float = 0.0) -> np.ndarray:  # [T, 3, 3]
    """A pan with a slow turn and zoom; the middle frame stands at the identity."""
    motions = []
    for k in np.arange(count) - count // 2:
        c, s = 1.006**k * np.cos(0.006 * k), 1.006**k * np.sin(0.006 * k)
        motions.append([[c, -s, 2.4 * k], [s, c, 0.8 * k], [perspective * k, 0, 1]])
    return np.array(motions)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:  # uint8 [H, W, 3]
    """Soft noise with detail at several sizes, of little colour as most pictures are."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    noise = 0.8 * noise[..., :1] + 0.2 * noise
    image = sum(size * cv2.GaussianBlur(noise, (0, 0), size) for size in (1.5, 3, 6))
    return np.clip(128 + 90 * image / image.std() / 2, 0, 255).astype(np.uint8)


def clip_arrays(work: Path, name: str, numbers: range, width: int) -> np.ndarray:
    """frames.npy, masks.npy and mask_weight.npy of a real clip; returns the masks [1, T, H, W]."""
    frames, masks = [], []
    for t in numbers:
        image = cv2.imread(str(CLIPS / name / "frames" / f"{t:05d}.jpg"))
        mask = cv2.imread(str(CLIPS / name / "masks" / f"{t:05d}.png"), cv2.IMREAD_GRAYSCALE)
        size = (width, round(image.shape[0] * width / image.shape[1]))
        frames.append(cv2.resize(image[..., ::-1], size, interpolation=cv2.INTER_AREA))
        masks.append(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "frames.npy", np.stack(frames))
    np.save(work / "masks.npy", np.stack(masks)[None])
    np.save(work / "mask_weight.npy", np.full_like(np.stack(masks)[None], 255))
    return np.stack(masks)[None]


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    """Mean over the frames of the intersection over union; both uint8 [T, H, W]."""
    found, true = found > 127, true > 127
    both, either = (found & true).sum(axis=(1, 2)), (found | true).sum(axis=(1, 2))
    return float((both[either > 0] / either[either > 0]).mean())
