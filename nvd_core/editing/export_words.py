"""The page of plain words that lies beside what is handed over."""

from nvd_core.editing.export_graph import HandOver
from nvd_core.media.alpha import NONE
from nvd_core.media.numbering import as_text

_RUN = {
    ".nk": "Nuke: open it, or paste its text into a script. Never run in Nuke itself.",
    ".comp": "Fusion: open it. Never run in Fusion itself.",
    "_natron.py": "Natron: run it in the Script Editor. Never run in Natron itself.",
    "_blender.py": "Blender 4.2 to 5.2: blender --python FILE; it needs no extension.",
    ".otio": "an editing program that reads OpenTimelineIO.",
}


_BACK = (
    "    (OpenColorIO's own format, as a file transform of any program with it, such as Nuke's",
    "    OCIOFileTransform, takes it) brings a result back; divide by the alpha before",
)
_MOVING = (
    "    edits/LAYER/LAYER.####.exr where the stack of edits shows different things in the frames",
)
_CLEAN = (
    "clean_plate/  the background as it is painted, lit and opaque, in the plate's encoding: what",
    "    objects hide comes from other frames; what no frame saw is filled in smoothly (see",
    "    coverage/). In the node scripts it is an image that nothing takes yet",
)


def words(over: HandOver, files: list[str], inverse: bool) -> str:
    """What lies in the folder, and what its numbers mean."""
    clip = over.clip
    if clip.encoding == "display":
        plate = "display-encoded, as shot; read it raw (no conversion)"
    else:
        space = "Rec.709" if clip.picture.is_rec709 else f"primaries {clip.picture.primaries}"
        plate = f"light (scene-linear), {space}; read it raw (no conversion)"
    if clip.picture.alpha != NONE:
        plate += f"; alpha is {clip.picture.alpha}"
    if over.space:
        plate += f". It was in {over.space}: colour/from_rec709.ctf"
    programs = [f"  {name}: {_about(name)}" for name in files]
    turned = [
        "inverse/LAYER/LAYER.####.exr  from texture to frame, of the texture's size: R, G as in",
        "    stmap, of the frame; B coverage, the layer's matte there; 0 where it is not seen",
    ]
    return "\n".join(
        [
            f"{over.title}: {clip.width} x {clip.height}, frames {as_text(over.numbers)}, "
            f"{clip.rate[0] / clip.rate[1]:.6g} a second",
            f"layers, front to back: {', '.join(layer.name for layer in over.layers)}",
            "",
            *programs,
            "",
            f"plate/   the clip as it was decomposed: {plate}",
            *(_BACK if over.space else []),
            "result/  what nvd render makes of it, in the plate's encoding: compare with this",
            *(_CLEAN if over.clean_plate else []),
            "stmap/LAYER/LAYER.####.exr    from frame to texture: R is u to the right, G is v UP,",
            "    0 to 1, texel centres at (i + 0.5) / size, as Nuke's STMap has it; data, not",
            "    colour. Beyond the matte the nearest place goes on",
            "matte/LAYER/LAYER.####.exr    the layer's alpha, in R, G and B; what is in front is",
            "    cut out, so that all layers sum to 1; data",
            "light/LAYER/LAYER.####.exr    multiplies the texture's display-encoded colour; data",
            *(turned if inverse else []),
            "textures/, edits/  the learned texture, and the same as it is painted: display-",
            "    encoded (sRGB), also where the file is an EXR; read them raw. Same size, no alpha",
            *(_MOVING if any(layer.edit_moves for layer in over.layers) else []),
            "coverage/  which texels were seen, 8 bits",
            "",
            "display-encoded plates:  result = plate + sum over layers of",
            "    matte * light * lookup(edit - texture, stmap)",
            "with all values as they stand in the files, lookups bilinear. Plates that are light",
            "are encoded with the curve of sRGB before (colours divided by their alpha, in",
            "Rec.709), and decoded after.",
            "",
            "To paint on: replace edits/LAYER, at the same size; or give it back to",
            "nvd render as --edit LAYER=IMAGE.",
            *([] if over.clean_plate else ["Left out: a clean plate.", ""]),
        ]
    )


def _about(name: str) -> str:
    return next(text for suffix, text in _RUN.items() if name.endswith(suffix))
