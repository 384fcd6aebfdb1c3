"""Writes report/index.html: figures and pictures put into the page's template."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from nvd_core.evaluation.page.against_truth import truth_rows
from nvd_core.evaluation.page.chart import chart, worst_frames
from nvd_core.evaluation.page.gather import BYTES, Pictured
from nvd_core.evaluation.paintable import MEASURES, judge
from nvd_core.evaluation.remedies import remedy_for
from nvd_core.media.numbering import from_text
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.shown import visible
from nvd_core.shot.shot import Shot

PAGE = "index.html"
_HERE = Path(__file__).parent
_MOST_CAUTIONS = 40
_LONGEST_TEXT = 2000  # letters of a caution or a name; what cuts a clip has may fill pages


def write_page(shot: Shot, report: dict, pictured: Pictured) -> None:
    """Write the page on `shot` beside report.json, from what that holds and the pictures."""
    text = page_text(shot, report, pictured)
    with written_beside(inside(shot.report, PAGE)) as temporary:
        temporary.write_text(text, "utf-8")


def page_text(shot: Shot, report: dict, pictured: Pictured) -> str:
    """The page itself."""
    return render("page.html.j2", script="page.js", **_context(shot, report, pictured))


def render(template: str, *, script: str | None = None, **context: Any) -> str:
    """A page of this package: its template with look.css and, where there is one, its `script`.

    Every text is escaped for HTML and shows what does not print; the page may load nothing, and
    run no script but its own.
    """
    css, js = _text("look.css"), _text(script) if script else ""
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(css)}" + (f"; script-src {_digest(js)}" if js else "")
    )
    return (
        _environment()
        .get_template(template)
        .render(css=Markup(css), js=Markup(js), policy=policy, **context)
    )


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: object) -> object:
    """What an expression of a template comes to, so that no name can hide what it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 3] + "...")
    return value


def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8").replace("\r\n", "\n")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _context(shot: Shot, report: dict, pictured: Pictured) -> dict:
    clip, drawn = shot.manifest.clip, chart(*_curves(report))
    layers = shot.manifest.layers
    verdicts = {layer.name: judge(report, layer.name, layer.kind == "object") for layer in layers}
    aspect = clip.picture.pixel_aspect
    own = from_text(clip.numbers, clip.frames) if clip.numbers else None
    data = {
        "numbers": pictured.numbers,
        "own": [own[n] for n in pictured.numbers] if own else None,
        "frames": pictured.frames,
        "fps": clip.rate[0] / clip.rate[1] * len(pictured.numbers) / clip.frames,
        "ratio": clip.width * aspect[0] / (clip.height * aspect[1]),
        "last": clip.frames - 1,
        "psnr": [report["psnr_per_frame"][n] for n in pictured.numbers],
        "unlit": [report["psnr_without_residual_per_frame"][n] for n in pictured.numbers],
        "points": drawn["points"],
        "chart": [drawn["width"], drawn["height"]],
    }
    cautions = report["cautions"]
    return {
        "title": shot.folder.absolute().name,
        "clip": clip,
        "program": shot.manifest.program,
        "report": report,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "size": (layer.texture_width, layer.texture_height),
                "verdict": verdicts[layer.name],
                "coverage": report["coverage"][layer.name],
                "pictures": {k: Markup(uri) for k, uri in pictured.textures[layer.name].items()},
                "painted": layer.name in pictured.painted,
            }
            for layer in layers
        ],
        "measures": MEASURES,
        "truth": truth_rows(report.get("truth")),
        "pictured": pictured,
        "chart": drawn,
        "chart_paths": [Markup(path) for path in drawn["paths"]],  # longer than any text
        "chart_area": Markup(drawn["area"]),
        "worst": worst_frames(report["psnr_per_frame"]),
        "cautions": [(text, remedy_for(text)) for text in cautions[:_MOST_CAUTIONS]],
        "more_cautions": max(len(cautions) - _MOST_CAUTIONS, 0),
        "most_megabytes": BYTES // 1_000_000,
        "data": data,
    }


def _curves(report: dict) -> tuple[list, list]:
    return report["psnr_per_frame"], report["psnr_without_residual_per_frame"]
