"""The report of `nvd reproduce`: report.json, report.html with pictures and plots, index.html."""

import dataclasses
import datetime
import platform
from html import escape
from pathlib import Path

import numpy as np
import torch

import nvd_core
from nvd_core.evaluation import pictures
from nvd_core.evaluation.page.write import PAGE
from nvd_core.evaluation.plots import bars, lines
from nvd_core.evaluation.reproduce.index import write_index
from nvd_core.evaluation.reproduce.published import PublishedRow, rows_of
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.cores import usable_cores
from nvd_core.runtime.files import without_nan, write_json, written_beside
from nvd_core.runtime.inside import inside
from nvd_core.settings import PRESETS, to_dict

SCHEMA, VERSION = "nvd.reproduction", 1
REPORTS = "report.json", "report.html", PAGE

COLUMNS = {
    "psnr": ("PSNR", ".2f"),
    "psnr_without_residual": ("without light", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "lpips": ("LPIPS", ".3f"),
    "edit_psnr": ("edit PSNR", ".2f"),
    "AJ": ("AJ", ".2f"),
    "delta_avg": ("δ avg", ".2f"),
    "OA": ("OA", ".2f"),
    "alpha_iou": ("alpha IoU", ".3f"),
    "folded": ("folded", ".2%"),
}
"""figures by their names in our reports: heading and format; those that no row has are left out"""

_SHEET_WIDTH = 1600
_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em }
body { color: #222; background: #fff }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 3px 10px; text-align: right }
th { border-bottom: 1px solid #999; font-weight: 600 }
td:first-child, th:first-child { text-align: left; white-space: nowrap }
tr.published { color: #777 } tr.failed { color: #b03030 } img { max-width: 100% }
.best { font-weight: 700 } .note { color: #666; font-size: 13px }
"""


def write_report(out: Path, records: list[dict], planned: int) -> None:
    """Write report.json, report.html and index.html into `out`.

    They are of the run records so far, of `planned` runs.
    """
    published = {record["clip"]: rows_of(record["clip"]) for record in records}
    facts = {
        "schema": SCHEMA,
        "version": VERSION,
        "program": nvd_core.__version__,
        "written": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        "planned": planned,
    }
    rows = [dataclasses.asdict(row) for clip in published.values() for row in clip]
    write_json(inside(out, REPORTS[0]), without_nan(facts | {"runs": records, "published": rows}))
    parts = [_head(facts, records), _over_clips(records)]
    for clip, theirs in published.items():
        parts.append(_clip(out, clip, [r for r in records if r["clip"] == clip], theirs))
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>nvd reproduce</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    with written_beside(inside(out, REPORTS[1])) as temporary:
        temporary.write_text(page, "utf-8")
    write_index(out, facts, records, COLUMNS, figure)


def machine() -> str:
    """What the runs ran on, in words."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    on = f"{platform.system()} {platform.machine()}, {usable_cores()} cores{gpu}"
    return f"{on}, torch {torch.__version__}"


def figure(report: dict, name: str) -> float | None:
    """The figure `name` of a decomposition's report; None where it was not measured.

    alpha_iou is the mean over the objects. AJ, delta_avg and OA are of all points of the tracks
    given, else of the truth's; edit_psnr is the edit against the truth's.
    """
    if name == "alpha_iou":
        found = [value for value in report[name].values() if value is not None]
        return float(np.mean(found)) if found else None
    truth = report.get("truth", {})
    if name in ("AJ", "delta_avg", "OA"):
        return report.get("tracks", truth.get("tracks", {})).get("all", {}).get(name)
    if name == "edit_psnr":
        return truth.get(name)
    return report.get(name)


def _head(facts: dict, records: list[dict]) -> str:
    count = {state: sum(r["state"] == state for r in records) for state in ("done", "failed")}
    left = facts["planned"] - len(records)
    standing = f"{count['done']} runs done, {count['failed']} failed, {left} to come"
    return (
        "<h1>Runs beside the published figures</h1>"
        f"<p>{standing}. Written {escape(facts['written'])} by nvd {facts['program']} on "
        f"{escape(facts['machine'])}.</p>"
        '<p class="note">Our frames are composed from the baked textures and maps, and compared at '
        "the size of their row. Grey rows are the tables of the paper (Chan et al., ICCV 2023) as "
        "printed: measured by its authors, on one RTX 3090 Ti, with other masks and flow. Minutes "
        "are of the whole decomposition. Bold is the best of ours. Clips are matched by their "
        f"names alone.</p>{_variants(records)}"
    )


def _variants(records: list[dict]) -> str:
    """What each variant changes of its preset."""
    items = {}
    for record in records:
        settings = record["request"]["settings"]
        preset = flat(to_dict(PRESETS[settings["preset"]]()))
        changed = [f"{k}: {v}" for k, v in flat(settings).items() if preset.get(k, "") != v]
        text = ", ".join(changed) or "nothing changed"
        items[record["variant"]] = f"<b>{escape(record['variant'])}</b>: preset " + escape(
            f"{settings['preset']}, {text}"
        )
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items.values())}</ul>"


def flat(values: dict, prefix: str = "") -> dict:
    """A nested dictionary as one, with names such as losses.flow."""
    found: dict = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _over_clips(records: list[dict]) -> str:
    """The mean of every variant over the clips that all variants have done."""
    done = [r for r in records if r["state"] == "done"]
    variants = list(dict.fromkeys(r["variant"] for r in done))
    clips = [
        clip
        for clip in dict.fromkeys(r["clip"] for r in done)
        if {r["variant"] for r in done if r["clip"] == clip} == set(variants)
    ]
    if len(clips) < 2:
        return ""
    rows = []
    for variant in variants:
        same = [r for r in done if r["variant"] == variant and r["clip"] in clips]
        means = {name: _mean([figure(r["report"], name) for r in same]) for name in COLUMNS}
        rows.append((variant, "ours", means, ["", f"{_mean([_minutes(r) for r in same]):.1f}"]))
    return f"<h2>Mean over {', '.join(map(escape, clips))}</h2>{_table(rows)}"


def _clip(out: Path, clip: str, records: list[dict], theirs: list[PublishedRow]) -> str:
    done = [r for r in records if r["state"] == "done"]
    rows = [
        (
            r["variant"],
            "ours",
            {name: figure(r["report"], name) for name in COLUMNS},
            [r["size"], f"{_minutes(r):.1f}"],
        )
        for r in done
    ]
    for row in theirs:
        label = f"{row.method} (table {row.table})"
        minutes = "" if row.minutes is None else f"{row.minutes:g}"
        rows.append((label, "published", row.figures, [row.size or "", minutes]))
    parts = [f"<h2>{escape(clip)}</h2>", _table(rows) if rows else ""]
    parts += [_failed(r) for r in records if r["state"] != "done"]
    parts += _plots(done, theirs)
    for r in done:
        sheet = _sheet(out, r)
        shown = f"frames, reconstructions, alpha, light and textures of {clip}, {r['variant']}"
        parts.append(
            f"<details{' open' if r is done[0] else ''}><summary>{escape(r['variant'])}</summary>"
            f'<img alt="{escape(shown)}" src="{escape(sheet)}">{_cautions(r)}</details>'
        )
    return "".join(parts)


def _plots(done: list[dict], theirs: list[PublishedRow]) -> list[str]:
    heights = [(r["variant"], r["report"]["psnr"], True) for r in done]
    for row in theirs:
        if row.table == 1 or (row.table == 2 and not any(r.table == 1 for r in theirs)):
            heights.append((f"{row.method} {row.size or ''}".strip(), row.figures["psnr"], False))
    while_training = {r["variant"]: [tuple(point) for point in r["curve"]] for r in done}
    by_frame = {r["variant"]: list(enumerate(r["report"]["psnr_per_frame"])) for r in done}
    plots = {
        "PSNR": bars(heights, "dB") if done else "",
        "While training (running estimate at the drawn points)": lines(
            while_training, "step", "PSNR, dB"
        ),
        "Frame by frame": lines(by_frame, "frame", "PSNR, dB"),
    }
    return [f"<h3>{title}</h3>{plot}" for title, plot in plots.items() if plot]


def _table(rows: list[tuple[str, str, dict, list[str]]]) -> str:
    """Rows of label, class, figures by name, and cells for size and minutes; our best are bold."""
    used = [name for name in COLUMNS if any(row[2].get(name) is not None for row in rows)]
    best = {}
    for name in used:
        ours = [row[2][name] for row in rows if row[1] == "ours" and row[2].get(name) is not None]
        if len(ours) > 1:
            value = min(ours) if name in ("lpips", "folded") else max(ours)
            if ours.count(value) == 1:
                best[name] = value
    sized = any(row[3][0] for row in rows)
    heads = ["", *(COLUMNS[name][0] for name in used), *(["size"] if sized else []), "minutes"]
    lines_ = ["<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for label, kind, figures, others in rows:
        cells = [f"<td>{escape(label)}</td>"]
        for name in used:
            value = figures.get(name)
            text = "" if value is None else format(value, COLUMNS[name][1])
            bold = kind == "ours" and value is not None and best.get(name) == value
            cells.append(f'<td class="best">{text}</td>' if bold else f"<td>{text}</td>")
        cells += [f"<td>{escape(other)}</td>" for other in others[0 if sized else 1 :]]
        lines_.append(f'<tr class="{kind}">{"".join(cells)}</tr>')
    return f"<table>{''.join(lines_)}</table>"


def _failed(record: dict) -> str:
    problem = record["problem"] or {"problem": record["state"], "remedy": "run the command again"}
    details = [f"{k} {problem[k]}" for k in ("expected", "found") if problem.get(k)]
    text = problem["problem"] + (f" ({'; '.join(details)})" if details else "")
    return (
        f'<p style="color:#b03030"><b>{escape(record["variant"])} failed:</b> {escape(text)}<br>'
        f"What to do: {escape(problem['remedy'])}</p>"
    )


def _sheet(out: Path, record: dict) -> str:
    """A smaller copy of the run's contact sheet; returns its path relative to the report."""
    name = f"pictures/{record['clip']}-{record['variant']}.jpg"
    run = f"{record['clip']}/{record['variant']}.nvd"
    source = inside(out, f"{run}/report/contact_sheet.png")
    if not source.is_file():  # someone tidied the folder up: the figures and the copy still stand
        return name
    copy = inside(out, name)
    if not copy.is_file() or copy.stat().st_mtime < source.stat().st_mtime:
        write_image(copy, pictures.shrunk(read_image(source), _SHEET_WIDTH))
    return name


def _cautions(record: dict) -> str:
    return "".join(f'<p class="note">{escape(text)}</p>' for text in record["report"]["cautions"])


def _minutes(record: dict) -> float:
    return record["seconds"] / 60


def _mean(values: list[float | None]) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))
