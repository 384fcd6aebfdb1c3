"""The index of a run list: index.html, a row for every run, each leading to that run's report."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from nvd_core.evaluation.page.encode import Encoder, data_uri
from nvd_core.evaluation.page.write import PAGE, render
from nvd_core.evaluation.pictures import shrunk
from nvd_core.media.images import read_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside

_PICTURE = 272  # longest side of a row's picture, pixels
_PICTURE_BYTES = 8_000


def write_index(
    out: Path,
    facts: dict,
    records: list[dict],
    columns: dict[str, tuple[str, str]],
    figure: Callable[[dict, str], float | None],
) -> None:
    """Write `out`/index.html of the run records so far.

    `facts` are those of report.json, `columns` the figures by name (heading, format), and
    `figure` finds one in a run's report.
    """
    done = [record for record in records if record["state"] == "done"]
    used = [n for n in columns if any(figure(record["report"], n) is not None for record in done)]

    def row(record: dict) -> dict:
        report = record["report"] if record["state"] == "done" else {}
        values = [(figure(report, name), columns[name][1]) for name in used] if report else []
        problem = record["problem"] or {"problem": record["state"], "remedy": ""}
        return {
            "variant": record["variant"],
            "link": _link(out, record),
            "picture": _picture(out, record),
            "lights": [
                (name, verdict["light"], verdict["reason"])
                for name, verdict in report.get("paintable", {}).items()
            ],
            "figures": ["" if v is None else format(v, f) for v, f in values],
            "size": record["size"] or "",
            "minutes": f"{record['seconds'] / 60:.1f}",
            "problem": "" if report else problem["problem"],
            "remedy": "" if report else problem["remedy"],
        }

    clips = dict.fromkeys(record["clip"] for record in records)
    text = render(
        "runs.html.j2",
        title=out.absolute().name,
        clips=[
            {"name": clip, "runs": [row(r) for r in records if r["clip"] == clip]} for clip in clips
        ],
        columns=[columns[name][0] for name in used],
        done=len(done),
        failed=sum(record["state"] == "failed" for record in records),
        left=facts["planned"] - len(records),
        written=facts["written"],
        program=facts["program"],
        machine=facts["machine"],
    )
    with written_beside(inside(out, PAGE)) as temporary:
        temporary.write_text(text, "utf-8")


def _report(record: dict) -> str:
    return f"{record['clip']}/{record['variant']}.nvd/report"


def _link(out: Path, record: dict) -> str:
    """Where the run's own report is, relative to the index; empty where there is none."""
    path = f"{_report(record)}/{PAGE}"
    return quote(path) if inside(out, path).is_file() else ""


def _picture(out: Path, record: dict) -> Markup | None:
    """The run's first frame as it was put together, small; None where it has no pictures."""
    path = inside(out, f"{_report(record)}/reconstruction_00000.png")
    if not path.is_file():
        return None
    try:
        picture = shrunk(read_image(path), _PICTURE)
    except NvdError:  # a picture that someone damaged is no reason to go without the others
        return None
    return Markup(data_uri(Encoder(_PICTURE_BYTES).encode(picture)))
