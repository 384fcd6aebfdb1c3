"""Decompose scenes whose truth is known, evaluate against it, and print one table.

    .envs/engine/bin/python tools/bench/measure_truth.py --out /tmp/fidelity
    .envs/engine/bin/python tools/bench/measure_truth.py disco --masks dilated drawn --out OUT

Scenes are those of samples/truth, or of --truth (scenes/make_truth_scenes.py makes larger ones).
The masks given to the engine are the true ones (given), those widened by 6 px (dilated), or only
that of the first frame that shows the whole object (drawn); with truth, nothing is decomposed: the
truth's own coordinates, alphas and light are evaluated, the most that can be reached. Writes
OUT/<scene>-<masks>.nvd with its report, OUT/table.md and OUT/table.json. What is done already is
only evaluated; a scene that fails is said and left out.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import read_image, write_image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware

ROOT = Path(__file__).resolve().parents[2]
MASKS = ("given", "dilated", "drawn", "truth")
DILATED = 6  # px
COLUMNS = {
    "scene": "scene", "masks": "masks", "psnr": "PSNR", "psnr_without_residual": "w/o residual",
    "alpha_iou": "alpha IoU", "edit_psnr": "edit", "edit_psnr_unpainted": "no edit",
    "edit_psnr_outside": "outside", "warp": "warp error (true)", "delta_avg": "delta_avg",
    "AJ": "AJ", "OA": "OA", "delta_by_layer": "delta_avg by layer", "light": "light corr.",
    "recall": "recall", "ghost": "ghost", "edit_seen": "edit seen", "edit_later": "edit later",
    "edit_again": "edit after re-appearance", "recall_again": "recall after re-appearance",
    "soft": "soft edge", "seconds": "seconds",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="SCENE", help="default: all in the folder")
    parser.add_argument("--truth", type=Path, default=ROOT / "samples" / "truth")
    parser.add_argument("--masks", nargs="+", choices=MASKS, default=["given"])
    parser.add_argument("--settings", type=Path, help="settings of the training, YAML")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.truth.glob("*/truth.json"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows, failed = [], []
    for kind in arguments.masks:
        for name in names:
            try:
                rows.append(measure(arguments, name, kind))
            except Failed as error:
                failed.append(f"{name}, masks {kind}: {error}")
                print(failed[-1], file=sys.stderr, flush=True)
            write_tables(arguments, rows, failed)
    print(table(rows))
    return 1 if failed else 0


class Failed(Exception):
    """A scene that could not be measured, with what the engine said."""


def measure(arguments: argparse.Namespace, name: str, kind: str) -> dict:
    """Decompose and evaluate one scene; its row of the table."""
    truth = Truth.open(arguments.truth / name)
    shot = arguments.out / f"{name}-{kind}.nvd"
    cost = arguments.out / f"{name}-{kind}.json"
    if not (shot / "manifest.json").exists():
        shutil.rmtree(shot, ignore_errors=True)  # whose training was cut off
        started = time.monotonic()
        if kind == "truth":
            run(ROOT / "tools" / "bench" / "truth_shot.py", truth.folder, shot)
        else:
            decompose(arguments, truth, kind, shot)
        cost.write_text(json.dumps({"seconds": round(time.monotonic() - started, 1)}))
    report = nvd("evaluate", shot, "--truth", truth.folder)
    known, objects = report["truth"], truth.names[:-1]
    rate = [known["light_correlation"][layer] for layer in truth.names]
    return {
        "scene": name,
        "masks": kind,
        "psnr": report["psnr"],
        "psnr_without_residual": report["psnr_without_residual"],
        "alpha_iou": min(known["alpha_iou"][layer] for layer in objects),
        **{key: known[key] for key in ("edit_psnr", "edit_psnr_unpainted", "edit_psnr_outside")},
        "warp": list(known["edit_warp_error"].values()),
        **{key: known["tracks"]["all"][key] for key in ("delta_avg", "AJ", "OA")},
        "delta_by_layer": [known["tracks"][layer]["delta_avg"] for layer in truth.names],
        "light": rate,
        **{kind: known[kind]["all"] for kind in ("recall", "ghost")},
        "edit_seen": known["seen"]["edit_psnr"],
        "edit_later": known["later"]["edit_psnr"],
        "edit_again": known["reappeared"]["edit_psnr"],
        "recall_again": known["reappeared"]["recall"],
        "soft": max((known["alpha_error_soft"][layer] or 0.0) for layer in objects),
        "seconds": json.loads(cost.read_text())["seconds"],
    }


def decompose(arguments: argparse.Namespace, truth: Truth, kind: str, shot: Path) -> None:
    words = ["--preset", arguments.preset]
    words += ["--settings", arguments.settings] if arguments.settings else []
    for layer in truth.names[:-1]:
        words += ["--mask", f"{layer}={masks(arguments.out, truth, layer, kind)}"]
    nvd("decompose", truth.path("frames").parent, "--out", shot, *words)


def masks(out: Path, truth: Truth, layer: str, kind: str) -> Path:
    """Where the masks of one layer are; made where they are not the true ones."""
    given = truth.path("masks", 0, layer).parent
    if kind == "given":
        return given
    folder = out / "masks" / f"{truth.scene}-{kind}-{layer}"
    if kind == "dilated":
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * DILATED + 1,) * 2)
        for path in sorted(given.glob("*.png")):
            write_image(folder / path.name, cv2.dilate(read_image(path)[..., 0], disc)[..., None])
        return folder
    sizes = [int((read_image(path) > 127).sum()) for path in sorted(given.glob("*.png"))]
    first = next(t for t, size in enumerate(sizes) if size >= 0.9 * np.max(sizes))
    drawn = folder / f"{first:05d}.png"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(truth.path("masks", first, layer), drawn)
    return drawn


def nvd(*words: object) -> dict:
    """Run an nvd command; its last JSON line."""
    return json.loads(run("-m", "nvd_core", *words, "--json").splitlines()[-1])


def run(*words: object) -> str:
    """Run this Python; what it printed. Failed with its last words where it fails."""
    finished = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, cwd=ROOT
    )
    if finished.returncode:
        last = finished.stdout.splitlines()[-1:] + finished.stderr.splitlines()[-3:]
        raise Failed(f"{' '.join(map(str, words[:3]))}: {' '.join(last)}")
    return finished.stdout


def write_tables(arguments: argparse.Namespace, rows: list[dict], failed: list[str]) -> None:
    about = f"{hardware()}, commit {commit()}, preset {arguments.preset}"
    text = [table(rows), "", about, *(f"\nfailed: {text}" for text in failed)]
    (arguments.out / "table.md").write_text("\n".join(text) + "\n")
    value = {"about": about, "rows": rows, "failed": failed}
    (arguments.out / "table.json").write_text(json.dumps(value, indent=2) + "\n")


def table(rows: list[dict]) -> str:
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        lines.append("| " + " | ".join(shown(key, row[key]) for key in COLUMNS) + " |")
    return "\n".join(lines)


def shown(key: str, value: object) -> str:
    """A figure with the digits that mean something."""
    if isinstance(value, list):
        if key == "warp":
            return f"{value[0]:.1f} ({value[1]:.1f})"
        return " / ".join(shown(key, one) for one in value)
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if key == "seconds":
        return f"{value:.0f}"
    return f"{value:.1f}" if key.startswith(("psnr", "edit")) else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
