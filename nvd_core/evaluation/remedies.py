"""What to do about a caution: one remedy for every kind of them.

A caution is kept in the manifest as a sentence, so its kind is told by the words in it; folders
of older versions hold the same words. A test has every place that makes cautions make its own, and
looks for a remedy here.
"""

import re
from dataclasses import dataclass

OTHER = "Look at the frames that it names here, and at a rendered edit, before you build on them."
"""for a caution of no kind that is known: of a newer version, or someone else's words"""


@dataclass(frozen=True)
class Remedy:
    """What to do about the cautions in which `pattern` is found."""

    kind: str
    pattern: str
    text: str


REMEDIES = (
    # what the figures of a report say: report.cautions
    Remedy(
        "poor",
        r"reproduce the clip poorly",
        "Train longer (--set steps_factor=2, or --preset fine), mark every thing that moves by "
        "itself with a mask, and take cuts apart. Until then render in the mode delta, which "
        "leaves unpainted pixels as they were shot.",
    ),
    Remedy(
        "light",
        r"without the light the reconstruction falls",
        "Wipe between the shot and a rendered edit where the curve without light is lowest. If "
        "paint slides there, decompose again with masks around what moves, with views in time for "
        "what turns (--windows NAME=4) or for a background that the camera walks through "
        "(--windows background=3), or with --preset fine.",
    ),
    Remedy(
        "empty layer",
        r"the layer .* covers no pixel",
        "Decompose again without this layer, or with a mask that shows its object.",
    ),
    Remedy(
        "folded",
        r"of the layer .* is folded",
        "Keep paint away from the places marked as folds, or decompose again with a mask that "
        "holds one object only, turned less; --preset fine helps.",
    ),
    Remedy(
        "outline",
        r"the alpha of .* agrees with its masks only",
        "Look at the matte over the frames. Correct masks that miss the object in some frames, or "
        "give a mask to what lies in front of it, and decompose again.",
    ),
    # what priors saw of the clip: priors/cautions.py and cut_cautions.py
    Remedy(
        "flow",
        r"optical flow does not agree with itself",
        "Check painted edits where things move fast. A larger --height, a clip that was denoised "
        "for the decomposition, or better flow (--set flow_method) may help.",
    ),
    Remedy(
        "empty mask",
        r"has an empty mask in every frame",
        "Give a mask in which the object is white, or leave the object out.",
    ),
    Remedy(
        "pieces",
        r"is a scatter of pieces",
        "Give a mask to each object, or one that holds this object alone: --mask NAME=PATH, or "
        "Draw Mask in Blender.",
    ),
    Remedy(
        "masks missing",
        r"has no mask in \d+ of \d+ frames",
        "If the object is seen in those frames, add masks for them and decompose again; if not, "
        "nothing is wrong.",
    ),
    Remedy(
        "small",
        r"is very small \(",
        "Decompose again with a larger --height.",
    ),
    Remedy(
        "border",
        r"touches the border in",
        "Check a painted edit where the object enters and leaves the frame; begin or end the range "
        "of frames (--frames) where it is wholly inside, if you can.",
    ),
    Remedy(
        "jump of brightness",
        r"the brightness jumps between frames",
        "Step through these two frames with the paint on. If it flickers, take the clip apart "
        "there (--frames), or remove the flash before you decompose.",
    ),
    Remedy(
        "changing brightness",
        r"the brightness changes a lot over the clip",
        "Compare an edit in the first frame and in the last. If the light on it is uneven, "
        "decompose shorter ranges (--frames).",
    ),
    Remedy(
        "background's plane",
        r"the background's motion could not be followed as a plane",
        "Nothing, if the background's texture looks sharp here. Else give masks to what moves in "
        "it, so that more of it stands still.",
    ),
    Remedy(
        "not followed",
        r"could not be followed in \d+ frames",
        "Look for sliding paint in the frames where the object is hidden or fast; masks for those "
        "frames, or a larger --height, help.",
    ),
    Remedy(
        "no simple motion",
        r"moves in no simple way",
        "If it turns and shows new sides, give it views in time (--windows NAME=4). If its texture "
        "is smeared for another reason, split the object into parts that move as one, with a mask "
        "for each.",
    ),
    Remedy(
        "parallax",
        r"which one picture does not hold",
        "Look at the background's texture. Where it is smeared, decompose again as the caution "
        "says; a camera that moves (nvd camera) and paint that is seldom seen want one picture.",
    ),
    Remedy(
        "parts found",
        r"has parts that were found by themselves",
        "Look at the layer's texture before you paint. Where a limb is smeared or torn, give masks "
        "of the parts (--part), or decompose again without Find Parts.",
    ),
    Remedy(
        "no parts found",
        r"has no limbs that are better told apart",
        "Nothing, if its texture is whole; else give a mask to each part that moves by itself "
        "(--part).",
    ),
    Remedy(
        "parts of none",
        r"parts were to be found of",
        "Give that object's mask (--mask), or leave out --find-parts-of.",
    ),
    Remedy(
        "windows, so no parts",
        r"so that no parts of it were looked for",
        "Leave out --windows of this object (Views in Time 0 or 1) if it should have parts.",
    ),
    Remedy(
        "cuts",
        r"shots have nothing in common",
        "Decompose the shots apart, by the command that the caution names (--shots).",
    ),
    # what is said of a clip's files: media/ and the pipeline
    Remedy(
        "file rules",
        r"by the file rules of .* \(OCIO\)",
        "If the clip is in that space, decompose it again with --input-space as the caution names "
        "it; else nothing.",
    ),
    Remedy(
        "files left out",
        r"no frames of .*, and left out",
        "Nothing, if these files are not part of the clip; else name the clip by a pattern.",
    ),
    Remedy(
        "frames skipped",
        r"frames are missing in .*, and skipped",
        "Render or copy the missing frames and decompose again, if motion jumps there.",
    ),
    Remedy(
        "frames held",
        r"frames are missing in .*, and the one before is held",
        "Render or copy the missing frames and decompose again; until then those frames repeat.",
    ),
    Remedy(
        "rate made even",
        r"has a variable frame rate: of its",
        "Nothing, if the rate is the one you asked for. Without --rate every picture is taken "
        "once.",
    ),
    Remedy(
        "variable rate",
        r"has a variable frame rate, with pictures",
        "Render a movie rather than numbered images, or decompose with --rate.",
    ),
    Remedy(
        "interlaced",
        r"is interlaced: its fields",
        "Decompose again with --deinterlace.",
    ),
    Remedy(
        "masks in order",
        r"the masks of .* are numbered .*they are taken in order",
        "Step through the frames and see that the mattes fit. Give masks the numbers of their "
        "frames if they do not.",
    ),
    Remedy(
        "masks by count",
        r"the masks of .* are taken for frames",
        "Step to these frames and see that the mattes fit.",
    ),
    Remedy(
        "masks carried",
        r"the masks of .* are those of frames",
        "Step through the frames between: where the matte leaves the object, add a mask and "
        "decompose again.",
    ),
    Remedy(
        "part in doubt",
        r"the part .* is hidden or in doubt in \d+ frames",
        "Step through these frames: where pixels are given to the wrong part, draw the part's mask "
        "on one of them too and decompose again. Where it is hidden, nothing is wrong.",
    ),
    Remedy(
        "mask lost",
        r"the mask of .* was lost (or is in doubt )?in \d+ frames",
        "Step through these frames. Where the matte is not on the object, draw its mask there, or "
        "in the first frame that shows it again, and decompose again with both masks.",
    ),
    Remedy(
        "single mask",
        r"the mask of .* is taken for that of the first frame",
        "If it belongs to another frame, give it that frame's number in its name, and decompose "
        "again.",
    ),
    Remedy(
        "timecode",
        r"has (the timecode|a timecode)",
        "Set the timecode in the program that takes the rendered movie over.",
    ),
    Remedy(
        "sound",
        r"(has sound, which is not carried|the sound of .* is not carried)",
        "Lay the source's own sound under the render.",
    ),
    Remedy(
        "other layers",
        r"has other layers, which are not carried",
        "Bring the missing layers in from the source's own files behind the render.",
    ),
    Remedy(
        "data window",
        r"has another data window than display window",
        "Paint reaches the display window only; render EXR to keep what lies beyond it.",
    ),
    Remedy(
        "metadata",
        r"has metadata of .* that rendered movies lack",
        "Attach the metadata again when you master.",
    ),
    Remedy(
        "colour matrix",
        r"has a colour matrix",
        "If colours look wrong in the frames here, convert the clip to numbered images first.",
    ),
    Remedy(
        "colour profile",
        r"has an? (ICC profile|the ICC profile)|has the ICC profile|cHRM\), not sRGB",
        "Choose colours by the rendered picture, not by the texture; convert the clip to sRGB, or "
        "name its space with --input-space, if they are far off.",
    ),
    Remedy(
        "chromaticities",
        r"but its chromaticities are others",
        "Correct the tag in the program that wrote the files, if the chromaticities are wrong.",
    ),
    Remedy(
        "colour space",
        r"has the colour space|its values are used as they stand, so that textures look",
        "Decompose with --input-space, so that you paint in colours as they look; or choose "
        "colours by the rendered picture.",
    ),
    Remedy(
        "no display's values",
        r"says that its values are .*: they are used as they stand",
        "Decompose again with --input-space and the space that the files are in.",
    ),
    Remedy(
        "mask of colours",
        r"the mask of .* has colours: its brightness is taken",
        "Look at the matte over the frames. If it is not the object's, paint the object white on "
        "black and decompose again.",
    ),
    Remedy(
        "gamut",
        r"does not hold all saturated colours",
        "Paint in colours that are less saturated, or check them in a render.",
    ),
)


def remedy_for(caution: str) -> str:
    """What to do about a caution; OTHER where its kind is not known."""
    for remedy in REMEDIES:
        if re.search(remedy.pattern, caution, re.DOTALL):
            return remedy.text
    return OTHER
