"""The commands `nvd evaluate` and `nvd info`: how good a decomposition is, and what it holds."""

import argparse
from pathlib import Path

from nvd_core.runtime.progress import Progress


def add_evaluate(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `nvd evaluate`."""
    evaluate = commands.add_parser("evaluate", help="measure a decomposition, write report/")
    evaluate.add_argument("shot", type=Path)
    evaluate.add_argument("--truth", type=Path, metavar="DIR", help="folder of a clip's truth")
    evaluate.add_argument("--tracks", type=Path, metavar="FILE", help=".npz of points to follow")
    evaluate.add_argument("--lpips", type=Path, metavar="FILE", help="AlexNet weights for LPIPS")
    evaluate.add_argument(
        "--no-page", dest="page", action="store_false", help="figures and pictures, no index.html"
    )
    evaluate.set_defaults(command=_evaluate)
    return evaluate


def add_info(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `nvd info`."""
    info = commands.add_parser("info", help="say what a decomposition folder holds")
    info.add_argument("shot", type=Path)
    info.set_defaults(command=_info)
    return info


def _evaluate(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.evaluation.report import evaluate
    from nvd_core.shot.shot import Shot

    return evaluate(
        Shot.open(parsed.shot),
        progress,
        truth=parsed.truth,
        tracks=parsed.tracks,
        lpips=parsed.lpips,
        page=parsed.page,
    )


def _info(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.shot.shot import Shot

    manifest = Shot.open(parsed.shot).manifest
    clip = manifest.clip
    return {
        "source": clip.source,
        "frames": clip.frames,
        "numbers": clip.numbers or "from 0",
        "size": f"{clip.width}x{clip.height}",
        **({"looked at": f"{a.width}x{a.height}"} if (a := clip.analysis) else {}),
        "rate": round(clip.rate[0] / clip.rate[1], 3),
        **({"space": f"{space.name} of {space.config}"} if (space := clip.picture.space) else {}),
        **({"refinement": f"{r.done} of {r.planned}"} if (r := manifest.refinement) else {}),
        "layers": {r.name: f"{r.texture_width}x{r.texture_height}" for r in manifest.layers},
        "program": manifest.program,
        "cautions": manifest.cautions,
    }
