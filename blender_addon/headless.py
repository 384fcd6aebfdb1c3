"""The commands of batch.py and of `blender --command nvd`, as functions and as a command line."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .blender import compat
from .blender.pixels import set_space
from .blender.storage import jobs_folder
from .decompose.job import DEVICES, MISSING, PRESETS, TEXTURE_SIZES, decompose_job, scene_rate
from .decompose.prepare import prepare
from .decompose.refine_job import next_version
from .engine.find import find_engine, probe_command
from .errors import AddonError, visible
from .jobs.job import CANCELLED, Job
from .jobs.process import engine_command
from .jobs.runner import describe
from .jobs.waiting import wait_alone
from .shot import finish, flat_nodes, shot_events, shots
from .shot.edge_nodes import KEPT, in_words, lacks
from .shot.finish_file import read_finish
from .shot.flat import is_current
from .shot.folder import CompactOnly, read_shot
from .shot.nodes import set_texture
from .shot.resample import learned_at
from .shot.scripting import MODES, image_of, open_shot
from .shot.shots import add_shot
from .shot.stack_file import read_stack

OK, BAD_INPUT, STOPPED = 0, 2, 130
MOVIES = (".mp4", ".mov", ".mkv")

Say = Callable[..., None]


class Cancelled(Exception):
    """The user stopped the command."""


def main(words: list[str]) -> int:
    """Run one command; returns its exit code: 0 done, 2 bad input or failure, 130 cancelled."""
    as_json = "--json" in words
    say = say_json if as_json else say_plainly
    try:
        given = _parser().parse_args(words)
        say("result", **given.run(given, say))
    except AddonError as error:
        say("error", problem=error.problem, remedy=error.remedy)
        return BAD_INPUT
    except (Cancelled, KeyboardInterrupt):
        say("cancelled", text="cancelled; the same command goes on where it stopped")
        return STOPPED
    return OK


def say_json(event: str, **values) -> None:
    print("\n" + json.dumps({"event": event, **values}), flush=True)  # Blender leaves half lines


def say_plainly(event: str, **values) -> None:
    if event == "progress":
        text = values.get("text") or f"{values['stage']} {values['done']} of {values['total']}"
        print(visible(text), flush=True)
    elif event == "error":
        for words in (f"nvd: {values['problem']}", f"what to do: {values['remedy']}"):
            print(visible(words), file=sys.stderr)
    else:
        for name, value in values.items():
            print(visible(f"{name}: {value}"), flush=True)


def decompose(given, say: Say) -> dict:
    """Decompose a clip, or go on where an earlier run stopped."""
    out = Path(given.out).resolve()
    if (out / "manifest.json").is_file() and given.command == "all":
        return {"folder": str(out)}
    python = find_engine().python
    if (out / "job.json").is_file() and not (out / "manifest.json").is_file():
        job = _engine_job(python, "resume", str(out), *["--yes"] * given.yes)
    else:
        job = decompose_job(
            Path(given.source).resolve(),
            out,
            masks=[(name, Path(path).resolve()) for name, path in given.mask],
            parts=[(name, _mask(path)) for name, path in given.part],
            frames=given.frames,
            height=given.height,
            plate_height=given.plate_height,
            texture_size=given.texture_size,
            mask_margin=given.mask_margin,
            preset=given.preset,
            device=given.device,
            settings=Path(given.settings).resolve() if given.settings else "",
            rate=given.rate or _rate_for(given.source),
            start=given.start,
            missing=given.missing,
            deinterlace=given.deinterlace,
            garbage=_mask(given.garbage),
            shots=given.shots,
            python=python,
        )
    _run(job, say)
    facts = {"folder": str(out), "layers": job.log.result.get("layers", [])}
    return facts | ({"shots": job.log.result.get("shots", {})} if given.shots else {})


def _rate_for(source: str) -> str:
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
        words += ["--mask", f"{name}={_mask(path)}"]
    for name, path in given.part:
        words += ["--part", f"{name}={_mask(path)}"]
    if given.steps:
        words += ["--steps", str(given.steps)]
    if (out / "job.json").is_file() and not (out / "manifest.json").is_file():
        words = ["resume", str(out)]
    job = _engine_job(python, *words)
    _run(job, say)
    return {"folder": str(out), "carried": job.log.result.get("carried", [])}


def pins(given, say: Say) -> dict:
    """List, add, remove or apply pins: `pins add SHOT --layer ... ` as `nvd pins` has it."""
    shot = str(Path(given.shot).resolve())
    job = _engine_job(find_engine().python, "pins", given.what, shot, *given.words)
    _run(job, say)
    return {"folder": shot, **job.log.result}


def edits(given, say: Say) -> dict:
    """Change the stack of edits: `edits add SHOT FILE --layer ... ` as `nvd edits` has it."""
    shot = str(Path(given.shot).resolve())
    job = _engine_job(find_engine().python, "edits", given.what, shot, *given.words)
    _run(job, say)
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
        _run(_engine_job(find_engine().python, *words), say)
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
    job = _engine_job(find_engine().python, *words)
    _run(job, say)
    return {"folder": str(shot), **job.log.result}


def _flatten(folder: str, say: Say) -> None:
    """Flatten the stack of the folder where it has one that is not flattened as it is."""
    shot = read_shot(Path(folder).resolve())
    entries = read_stack(shot) or []
    if any(entry.on for entry in entries) and not is_current(shot, entries):
        _run(_engine_job(find_engine().python, "edits", "flatten", str(shot.folder)), say)


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


def replace_edits(group: bpy.types.NodeTree, edits: list[tuple[str, str]]) -> None:
    """Show the image file of each (layer, path) in the place of what is painted on the layer of
    the shot that `group` composites.

    The files may be of any size. The folder's own edit file stays as it is.
    """
    layers = {layer.name: layer for layer in read_shot(group["nvd_folder"]).layers}
    for name, path in edits:
        if name not in layers:
            raise AddonError(f"the shot has no layer {name!r}", f"choose one of {sorted(layers)}")
        if not Path(path).is_file():
            raise AddonError(f"{path} is missing", "correct the path after --edit")
        edit, learned = map(image_of, (layers[name].edit, layers[name].texture))
        edit.filepath = str(Path(path).resolve())
        edit.reload()
        if not edit.size[0]:
            raise AddonError(f"Blender cannot read {path}", "choose a picture after --edit")
        set_space(edit)
        set_texture(group, name, learned_at(learned, edit.size), edit)


def composite(out: Path, say: Say) -> None:
    """Render the scene's range through the compositor: a movie, or pictures such as %05d.png."""
    scene = bpy.context.scene
    settings = scene.render
    settings.use_sequencer = False
    if bpy.app.background:
        settings.compositor_device = "CPU"
    out.parent.mkdir(parents=True, exist_ok=True)
    total = scene.frame_end - scene.frame_start + 1
    say("progress", stage="composite", done=0, total=total)
    if out.suffix.lower() in MOVIES:
        _movie(scene, out, total, say)
        return
    if "%" not in out.name:
        raise AddonError(f"{out.name} is neither a movie nor a pattern", "name it .mp4 or %05d.png")
    kinds = {".png": "PNG", ".exr": "OPEN_EXR", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG"}
    if out.suffix.lower() not in kinds:
        raise AddonError(f"{out.suffix} is no format to render to", "choose .png, .exr or .tif")
    compat.output_kind(settings.image_settings, kinds[out.suffix.lower()])
    settings.image_settings.color_mode = "RGB"
    for index in range(total):
        scene.frame_set(scene.frame_start + index)
        settings.filepath = str(out.parent / (out.name % index))
        bpy.ops.render.render(write_still=True, scene=scene.name)
        say("progress", stage="composite", done=index + 1, total=total)


def _movie(scene, out: Path, total: int, say: Say) -> None:
    settings = scene.render
    compat.output_kind(settings.image_settings, "FFMPEG")
    ffmpeg = settings.ffmpeg
    ffmpeg.format = {".mp4": "MPEG4", ".mov": "QUICKTIME", ".mkv": "MKV"}[out.suffix.lower()]
    ffmpeg.codec, ffmpeg.constant_rate_factor, ffmpeg.gopsize = "H264", "HIGH", 12
    settings.image_settings.color_mode = "RGB"
    settings.filepath = str(out)
    settings.use_file_extension = True

    def tell(*_) -> None:
        done = scene.frame_current - scene.frame_start + 1
        say("progress", stage="composite", done=done, total=total)

    bpy.app.handlers.render_write.append(tell)
    try:
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        bpy.app.handlers.render_write.remove(tell)


def _engine_job(python: Path, *words: str) -> Job:
    command = engine_command(python, *words)
    probe = {"title": "engine", "command": probe_command(python)}
    return Job.create(
        jobs_folder(),
        title=words[0],
        kind=words[0],
        python=python,
        steps=[probe, {"title": "starting", "command": command}],
    )


def _run(job: Job, say: Say) -> None:
    last = ""

    def tell(job: Job) -> None:
        nonlocal last
        line = describe(job)
        if line != last and job.log.total:
            log = job.log
            values = {"seconds_left": log.seconds_left, "psnr": log.psnr}
            say(
                "progress",
                stage=log.stage,
                done=log.done,
                total=log.total,
                text=line,
                **{key: value for key, value in values.items() if value is not None},
            )
        last = line

    wait_alone(job, tell)
    if job.state == CANCELLED:
        raise Cancelled


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise AddonError(message, f"see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nvd", description="Decompose, import and render without a window.")
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="COMMAND", parser_class=_Parser
    )

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=run.__doc__)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON object a line")
        return added

    one = command("decompose", decompose, "turn a clip into a decomposition folder")
    again = command("refine", refine, "make a finished decomposition better")
    again.add_argument("shot")
    again.add_argument("--out", help="folder to make; by itself the next version")
    again.add_argument("--mask", type=_pair, action="append", default=[], metavar="NAME=PATH")
    again.add_argument("--part", type=_pair, action="append", default=[], metavar="NAME=PATH")
    again.add_argument("--steps", type=int, default=0)
    again.add_argument("--device", choices=DEVICES, default="auto")
    hold = command("pins", pins, "hold points of a texture where they belong")
    hold.add_argument("what", choices=("list", "add", "set", "remove", "apply"))
    hold.add_argument("shot")
    hold.add_argument("words", nargs=argparse.REMAINDER, help="what `nvd pins` takes behind it")
    flat = command("flatten", flatten, "write the stack of edits as pictures for nodes")
    flat.add_argument("shot")
    flat.add_argument("--remove", action="store_true", help="remove them instead")
    lay = command("edits", edits, "lay pictures, movies, words and strokes on the layers")
    lay.add_argument("what", choices=("list", "add", "set", "move", "remove", "purge"))
    lay.add_argument("shot")
    lay.add_argument("words", nargs=argparse.REMAINDER, help="what `nvd edits` takes behind it")
    two = command("import", import_shot, "open a folder in the compositor")
    three = command("render", render, "render the edited shot")
    four = command("all", do_all, "decompose, import, replace textures, composite, write")
    command("prepare", prepare_inputs, argparse.SUPPRESS).add_argument("plan")
    for added in (one, four):
        added.add_argument("source", help="movie, folder or pattern such as shot.%%04d.exr")
        added.add_argument("--out", required=True, help="folder to make: SHOT.nvd")
        added.add_argument("--mask", type=_pair, action="append", default=[], metavar="NAME=PATH")
        added.add_argument(
            "--part",
            type=_pair,
            action="append",
            default=[],
            metavar="LAYER.PART=PATH",
            help="mask of what moves by itself within an object or the background",
        )
        added.add_argument(
            "--frames", type=_range, metavar="A-B", help="counted from 0, or as --start says"
        )
        added.add_argument(
            "--start", type=_start, metavar="source|N", help="count --frames by the files' numbers"
        )
        added.add_argument("--missing", choices=MISSING, default="error")
        added.add_argument("--deinterlace", action="store_true")
        added.add_argument("--garbage", metavar="PATH|auto", help="mask of what is to be ignored")
        added.add_argument("--height", type=int, help="lines at which the clip is looked at")
        added.add_argument("--plate-height", type=int, help="lines of what is rendered")
        added.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, default=1)
        added.add_argument("--mask-margin", type=int, default=0, metavar="PIXELS")
        added.add_argument("--preset", choices=PRESETS, default="fast")
        added.add_argument("--device", choices=DEVICES, default="auto")
        added.add_argument("--settings", help="YAML file for the training")
        added.add_argument(
            "--rate",
            metavar="FPS",
            help="frames a second of pictures; default: those of the .blend that is open",
        )
        added.add_argument(
            "--yes", action="store_true", help="go on in a folder that you did not begin here"
        )
    one.add_argument(
        "--shots", action="store_true", help="decompose each shot of the clip into a folder in OUT"
    )
    four.set_defaults(shots=False)
    for added in (two, three):
        added.add_argument("shot")
    for added in (two, three, four):
        added.add_argument("--mode", choices=MODES, default="delta")
    for added in (two, four):
        added.add_argument("--save", metavar="FILE.blend")
    for added in (three, four):
        added.add_argument("--edit", type=_pair, action="append", default=[], metavar="LAYER=IMAGE")
        added.add_argument("--through", choices=("engine", "compositor"))
    three.set_defaults(through="engine")
    three.add_argument("--remove", action="append", default=[], metavar="NAME")
    three.add_argument("--overlay", choices=("grid", "doubt"), help="to judge the shot by")
    three.add_argument("--codec", help="of a movie, as of `nvd render`: prores-4444, h264, ...")
    three.add_argument("--bits", help="of images: 8, 10, 16, half or float")
    three.add_argument("--quality", help="of a movie or .jpg: draft, fine or 1 to 100")
    three.add_argument("--frames", dest="part", metavar="A-B", help="of the shot, from 0")
    four.set_defaults(remove=[], overlay=None)
    three.add_argument("--out", required=True, help="movie, or pattern such as %%05d.png")
    four.add_argument("--movie", required=True, help="movie, or pattern such as %%05d.png")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, found {text!r}")
    return name, path


def _range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(-?[0-9]{1,9})-(-?[0-9]{1,9})", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"expected A-B with A <= B, found {text!r}")
    return int(match[1]), int(match[2])


def _start(text: str) -> str:
    if text != "source" and not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"expected source or a number, found {text!r}")
    return text


def _mask(words: str | None) -> str:
    """A mask's path made absolute; other words are left as they are."""
    if not words or words == "auto" or words.startswith("maskrcnn:"):
        return words or ""
    sign = "!" if words.startswith("!") else ""
    return sign + str(Path(words.removeprefix(sign)).resolve())


_command = None  # what Blender gave for `blender --command nvd`


def register():
    global _command
    _command = bpy.utils.register_cli_command("nvd", main)


def unregister():
    bpy.utils.unregister_cli_command(_command)
