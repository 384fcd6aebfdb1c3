"""What each command does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..decompose.job import decompose_job, scene_rate
from ..decompose.prepare import prepare
from ..decompose.refine_job import next_version
from ..engine.find import find_engine
from ..errors import AddonError
from ..shot import finish, flat_nodes, shot_events, shots
from ..shot.edge_nodes import KEPT, in_words, lacks
from ..shot.finish_file import read_finish
from ..shot.flat import is_current
from ..shot.folder import CompactOnly, read_shot
from ..shot.scripting import open_shot
from ..shot.shots import add_shot
from ..shot.stack_file import read_stack
from .compositing import composite, replace_edits
from .engine_job import engine_job, run
from .say import Say


def decompose(given, say: Say) -> dict:
    """Decompose a clip, or go on where an earlier run stopped."""
    out = Path(given.out).resolve()
    if (out / "manifest.json").is_file() and given.command == "all":
        return {"folder": str(out)}
    python = find_engine().python
    if (out / "job.json").is_file() and not (out / "manifest.json").is_file():
        job = engine_job(python, "resume", str(out), *["--yes"] * given.yes)
    else:
        job = decompose_job(
            Path(given.source).resolve(),
            out,
            masks=[(name, Path(path).resolve()) for name, path in given.mask],
            parts=[(name, absolute_mask(path)) for name, path in given.part],
            frames=given.frames,
            height=given.height,
            plate_height=given.plate_height,
            texture_size=given.texture_size,
            mask_margin=given.mask_margin,
            windows=dict(given.windows),
            find_parts=given.find_parts or given.find_parts_of,
            preset=given.preset,
            device=given.device,
            settings=Path(given.settings).resolve() if given.settings else "",
            rate=given.rate or rate_for(given.source),
            start=given.start,
            missing=given.missing,
            deinterlace=given.deinterlace,
            garbage=absolute_mask(given.garbage),
            shots=given.shots,
            python=python,
        )
    run(job, say)
    facts = {"folder": str(out), "layers": job.log.result.get("layers", [])}
    return facts | ({"shots": job.log.result.get("shots", {})} if given.shots else {})


def rate_for(source: str) -> str:
    """The rate of the .blend that is open, for pictures; movies have their own."""
    suffix = Path(source).suffix.lower().partition(":")[0]  # a layer stands behind a colon
    pictures = Path(source).is_dir() or suffix in bpy.path.extensions_image
    return scene_rate(bpy.context.scene) if bpy.data.filepath and pictures else ""


def refine(given, say: Say) -> dict:
    """Go on from a finished decomposition into a new version of it that keeps the paint."""
    shot = Path(given.shot).resolve()
    out = Path(given.out).resolve() if given.out else next_version(shot)
    python = find_engine().python
    words = ["refine", str(shot), "--out", str(out), "--device", given.device]
    for name, path in given.mask:
        words += ["--mask", f"{name}={absolute_mask(path)}"]
    for name, path in given.part:
        words += ["--part", f"{name}={absolute_mask(path)}"]
    if given.steps:
        words += ["--steps", str(given.steps)]
    if (out / "job.json").is_file() and not (out / "manifest.json").is_file():
        words = ["resume", str(out)]
    job = engine_job(python, *words)
    run(job, say)
    return {"folder": str(out), "carried": job.log.result.get("carried", [])}


def pins(given, say: Say) -> dict:
    """List, add, remove or apply pins: `pins add SHOT --layer ... ` as `nvd pins` has it."""
    shot = str(Path(given.shot).resolve())
    job = engine_job(find_engine().python, "pins", given.what, shot, *given.words)
    run(job, say)
    return {"folder": shot, **job.log.result}


def edits(given, say: Say) -> dict:
    """Change the stack of edits: `edits add SHOT FILE --layer ... ` as `nvd edits` has it."""
    shot = str(Path(given.shot).resolve())
    job = engine_job(find_engine().python, "edits", given.what, shot, *given.words)
    run(job, say)
    return {"folder": shot, **job.log.result}


def import_shot(given, say: Say) -> dict:
    """Open a decomposition folder in the compositor and in the list of shots, and save the .blend
    where asked. A stack of edits is flattened first, so that nodes show it.
    """
    _flatten(given.shot, say)
    with _shots_are_known():
        entry = add_shot(
            Path(given.shot).resolve(), bpy.context.scene, mode=given.mode, own_scene=False
        )
        if entry.group_node() is None:
            raise CompactOnly(entry.path)
        facts = {"group": entry.group_node().node_tree.name}
        if lacks := _lacks_of(entry):
            facts["note"] = f"the compositor is without {lacks}, which `nvd render` shows"
        if given.save:
            path = str(Path(given.save).resolve())
            bpy.ops.wm.save_as_mainfile(filepath=path, copy=bool(bpy.data.filepath))
            facts["saved"] = path
    return facts


@contextmanager
def _shots_are_known() -> Iterator[None]:
    """Scenes have their lists of shots, also where the extension is not switched on."""
    parts = () if hasattr(bpy.types.Scene, "nvd_shots") else (shots, shot_events)
    for part in parts:
        part.register()
    try:
        yield
    finally:
        for part in reversed(parts):
            part.unregister()


def render(given, say: Say) -> dict:
    """Render the edited shot, by the engine's renderer or by Blender's compositor."""
    out = Path(given.out).resolve()
    if given.through == "engine":
        words = ["render", str(Path(given.shot).resolve()), "--out", str(out), "--mode", given.mode]
        for layer, image in given.edit:
            words += ["--edit", f"{layer}={Path(image).resolve()}"]
        for name in given.remove:
            words += ["--remove", name]
        words += ["--overlay", given.overlay] if given.overlay else []
        words += [f"--{name}={value}" for name, value in _form(given)]
        run(engine_job(find_engine().python, *words), say)
    elif form := _form(given):
        raise AddonError(f"the compositor knows no --{form[0][0]}", "leave out --through")
    elif given.overlay:
        raise AddonError("the compositor lays nothing over", "leave out --through compositor")
    elif given.remove:
        raise AddonError("the compositor removes no objects", "leave out --through compositor")
    elif lacks := _lacking(given.shot, given.mode):
        raise AddonError(
            f"the compositor does not show {lacks}",
            "render by the engine (--through engine), or switch them off: nvd finish",
        )
    else:
        _flatten(given.shot, say)
        group = open_shot(Path(given.shot).resolve(), given.mode)
        replace_edits(group, given.edit)
        composite(out, say)
    return {"out": str(out)}


def do_all(given, say: Say) -> dict:
    """Decompose, import, replace textures by files, composite, and write the result. A folder whose
    edges or motion blur nodes cannot show is rendered by the engine, which can.
    """
    facts = decompose(given, say)
    given.shot, given.out = given.out, given.movie
    facts |= import_shot(given, say)
    if given.through is None:
        given.through = "engine" if _lacking(given.shot, given.mode) else "compositor"
    return facts | render(given, say)


def _form(given) -> list[tuple[str, str]]:
    """What the engine is told of a delivery's form."""
    names = {"codec": "codec", "bits": "bits", "quality": "quality", "frames": "part"}
    found = [(option, getattr(given, name, None)) for option, name in names.items()]
    return [(option, value) for option, value in found if value]


def flatten(given, say: Say) -> dict:
    """Write a folder's stack of edits as pictures, which nodes and strips of a .blend show."""
    shot = Path(given.shot).resolve()
    words = ["edits", "flatten", str(shot), *["--remove"] * given.remove]
    job = engine_job(find_engine().python, *words)
    run(job, say)
    return {"folder": str(shot), **job.log.result}


def _flatten(folder: str, say: Say) -> None:
    """Flatten the stack of the folder where it has one that is not flattened as it is."""
    shot = read_shot(Path(folder).resolve())
    entries = read_stack(shot) or []
    if any(entry.on for entry in entries) and not is_current(shot, entries):
        run(engine_job(find_engine().python, "edits", "flatten", str(shot.folder)), say)


def _lacking(folder: str, mode: str) -> str:
    """What the folder has that the compositor does not show in this mode."""
    shot = read_shot(Path(folder).resolve())
    kept = [(KEPT, e.layer) for e in read_stack(shot) or () if e.on and e.keeps_width]
    return in_words([*lacks(read_finish(shot), mode), *kept])


def _lacks_of(entry) -> str:
    """What the compositor does not show of a shot that was just opened."""
    found = finish.lacks_of(entry)
    if flat_nodes.state(entry) in (flat_nodes.ABSENT, flat_nodes.OLD):
        found.insert(0, ("the stack of edits", ""))
    return in_words(found)


def prepare_inputs(given, say: Say) -> dict:
    return prepare(Path(given.plan), say)


def absolute_mask(words: str | None) -> str:
    """A mask's path made absolute; other words are left as they are."""
    if not words or words == "auto" or words.startswith("maskrcnn:"):
        return words or ""
    sign = "!" if words.startswith("!") else ""
    return sign + str(Path(words.removeprefix(sign)).resolve())
