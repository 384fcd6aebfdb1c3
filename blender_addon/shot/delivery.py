"""What a shot is delivered as: the file, its form, its frames, and who is left out of it.

    entry.delivery.form, entry.delivery.path = "prores-4444", "//out/shot.mov"
    target(entry)                  # the file, or the pattern of numbered images
    words(entry)                   # what `nvd render` is told besides the shot

Kept with the shot in the .blend. What is rendered are all frames that were decomposed, or a range
of the timeline's. The module knows nothing of shots.py, which keeps the settings.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from ..blender import compat
from ..errors import AddonError
from .stack_entry import in_clip, on_timeline


@dataclass(frozen=True)
class Form:
    """A kind of movie, or of numbered images."""

    suffixes: tuple[str, ...]
    """the first is taken where the file has none"""
    words: tuple[str, ...]
    """what `nvd render` is told"""
    movie: bool = True
    drafts: bool = False
    """whether the codec has a quality "draft" """


FORMS = {
    "prores-4444": Form((".mov",), ("--codec", "prores-4444")),
    "prores-422-hq": Form((".mov",), ("--codec", "prores-422-hq")),
    "dnxhr-hqx": Form((".mov", ".mxf"), ("--codec", "dnxhr-hqx")),
    "h264": Form((".mp4", ".mov", ".mkv"), ("--codec", "h264"), drafts=True),
    "hevc": Form((".mp4", ".mov", ".mkv"), ("--codec", "hevc"), drafts=True),
    "vp9": Form((".webm", ".mkv", ".mp4"), ("--codec", "vp9"), drafts=True),
    "ffv1": Form((".mkv",), ("--codec", "ffv1")),
    "exr-half": Form((".exr",), ("--bits", "half"), movie=False),
    "exr-float": Form((".exr",), ("--bits", "float"), movie=False),
    "png-8": Form((".png",), ("--bits", "8"), movie=False),
    "png-16": Form((".png",), ("--bits", "16"), movie=False),
    "tif-16": Form((".tif", ".tiff"), ("--bits", "16"), movie=False),
    "dpx-10": Form((".dpx",), ("--bits", "10"), movie=False),
}
_NUMBER = re.compile(r"%0?[0-9]{0,2}d|#+|@+")


def _owner(settings: "NVD_PG_delivery"):
    return settings.id_data.path_resolve(settings.path_from_id().rpartition(".delivery")[0])


def _get(name: str):
    return lambda settings: on_timeline(_owner(settings), getattr(settings, name))


def _set(name: str):
    def put(settings, frame: int) -> None:
        entry = _owner(settings)
        setattr(settings, name, min(max(in_clip(entry, frame), 0), max(entry.frames - 1, 0)))

    return put


def _ranged(settings, _context) -> None:
    """A range that nobody has set begins as the whole shot."""
    if settings.has_range and settings.last == 0:
        settings.last = max(_owner(settings).frames - 1, 0)


class NVD_PG_delivery(bpy.types.PropertyGroup):
    """How a shot is delivered; `first` and `last` are frames of the clip, from 0."""

    path: StringProperty(
        name="File",
        description="Movie, or images such as shot.####.exr; empty: beside the .blend, named as "
        "the shot",
        subtype="FILE_PATH",
        options=compat.RELATIVE,
    )
    # fmt: off
    form: EnumProperty(
        name="Form",
        description="Container, codec and bits of what is written",
        items=[
            ("prores-4444", "ProRes 4444", "QuickTime, 10 bits; with alpha where the clip has it"),
            ("prores-422-hq", "ProRes 422 HQ", "QuickTime, 10 bits, without alpha"),
            ("dnxhr-hqx", "DNxHR HQX", "QuickTime or MXF, 10 bits, without alpha"),
            ("h264", "H.264", "8 bits, to look at and to send around"),
            ("hevc", "HEVC", "10 bits, to look at and to send around"),
            ("vp9", "VP9", "8 bits, for the web; with alpha where the clip has it"),
            ("ffv1", "FFV1", "Lossless; with alpha where the clip has it"),
            ("exr-half", "OpenEXR, Half", "Numbered images in linear light, 16-bit floating point"),
            ("exr-float", "OpenEXR, Float", "Numbered images in linear light, 32-bit floating "
             "point"),
            ("png-8", "PNG, 8 Bits", "Numbered images that any program reads"),
            ("png-16", "PNG, 16 Bits", "Numbered images, lossless"),
            ("tif-16", "TIFF, 16 Bits", "Numbered images, lossless"),
            ("dpx-10", "DPX, 10 Bits", "Numbered images as film scans are"),
        ],
    )
    # fmt: on
    draft: BoolProperty(name="Draft", description="As fast as can be, to look at soon")
    sound: BoolProperty(name="Sound", description="With the clip's sound", default=True)
    without: StringProperty(
        name="Without", description="An object that is removed: the background shows where it was"
    )
    has_range: BoolProperty(
        name="Some Frames",
        description="Deliver a range of frames, not the whole shot",
        update=_ranged,
    )
    first: IntProperty(min=0)
    last: IntProperty(min=0)
    from_frame: IntProperty(
        name="From", description="The first frame of the timeline that is delivered",
        get=_get("first"), set=_set("first"),
    )  # fmt: skip
    to_frame: IntProperty(
        name="To", description="The last frame of the timeline that is delivered",
        get=_get("last"), set=_set("last"),
    )  # fmt: skip


def title_of(settings: NVD_PG_delivery) -> str:
    """What the chosen form is called."""
    return settings.bl_rna.properties["form"].enum_items[settings.form].name


def target(entry) -> Path:
    """The movie, or the pattern of numbered images, that the shot is delivered to.

    AddonError where the file has the suffix of another form, and where nothing says where it goes.
    """
    settings = entry.delivery
    form, said = FORMS[settings.form], settings.path.strip()
    if not said:
        if not bpy.data.filepath:
            raise AddonError(
                "the file has not been saved", "save it, or choose a file", "wm.save_mainfile"
            )
        name = f"{_plain(entry.name)}_without_{settings.without}" if settings.without else ""
        said = f"//{name or _plain(entry.name)}_painted"
        said += "" if form.movie else f"/{name or _plain(entry.name)}"
    path = Path(bpy.path.abspath(said))
    if said.endswith(("/", "\\")) or path.is_dir():
        path = path / _plain(entry.name)
    suffix = path.suffix.lower()
    known = {known for other in FORMS.values() for known in other.suffixes}
    if suffix in known - set(form.suffixes):
        raise AddonError(
            f"{path.name} is no file of {title_of(settings)}",
            f"name it {' or '.join(form.suffixes)}, or choose another form",
        )
    if suffix not in form.suffixes:
        path, suffix = Path(f"{path}{form.suffixes[0]}"), form.suffixes[0]
    return path if form.movie else _numbered(path)


def _numbered(path: Path) -> Path:
    """With a place for the number as the engine reads it; Blender's are #, one a digit."""
    found = _NUMBER.search(path.name)
    if found is None:
        return path.with_name(f"{path.stem}.%05d{path.suffix}")
    if found[0][0] not in "#@":
        return path
    name = f"{path.name[: found.start()]}%0{len(found[0])}d{path.name[found.end() :]}"
    return path.with_name(name)


def called(path: Path) -> str:
    """The name of a file, or of a pattern as Blender writes it, for people."""
    return re.sub(r"%0?([0-9]{0,2})d", lambda found: "#" * int(found[1] or 1), path.name)


def _plain(name: str) -> str:
    """A name that files can have on any system."""
    return "".join(c if c.isalnum() or c in " _-" else "_" for c in name).strip() or "shot"


def words(entry) -> list[str]:
    """What `nvd render` is told of the form, the frames and who is left out; AddonError where the
    shot has no such object.
    """
    settings = entry.delivery
    form = FORMS[settings.form]
    said = list(form.words)
    if form.drafts and settings.draft:
        said += ["--quality", "draft"]
    if form.movie and not settings.sound:
        said.append("--no-audio")
    if settings.without:
        objects = [layer.name for layer in entry.layers][:-1]
        if settings.without not in objects:
            raise AddonError(
                f"{entry.name} has no object {settings.without} to leave out",
                f"choose one of {', '.join(objects)}" if objects else "empty the field Without",
            )
        said += ["--remove", settings.without]
    if settings.has_range:
        first, last = sorted((settings.first, settings.last))
        said += ["--frames", f"{first}-{min(last, max(entry.frames - 1, 0))}"]
    return said
