"""What a source's values mean, and what of it is not honoured or not carried, in words."""

from dataclasses import replace

from nvd_core.media.colour_tags import cautions_about, linear_primaries, movie_of_chunks
from nvd_core.media.conformed import Conformed
from nvd_core.media.movies import Movie
from nvd_core.media.picture import InputSpace, Picture
from nvd_core.media.sequences import ImageSequence


def described(
    source: str,
    opened: Movie | Conformed | ImageSequence,
    resizes: bool,
    space: InputSpace | None = None,
    named: bool = False,
) -> tuple[Picture, list[str]]:
    """What the source's values mean, and what of it is not honoured or not carried.

    They are of a `space`, whatever the source says; the user has `named` it.
    """
    if not isinstance(opened, ImageSequence):
        said = opened.about_colours if named else ()
        cautions = [text for text in opened.cautions if text not in said]
        return replace(opened.picture, space=space), cautions
    tags, name, linear = opened.tags, opened.files[0].name, opened.dtype.kind == "f"
    cautions = [*opened.cautions, *([] if named else cautions_about(name, tags, linear))]
    picture = Picture(
        alpha=opened.alpha,
        pixel_aspect=tags.pixel_aspect,
        primaries=linear_primaries(tags) if linear else None,
        colour_id=tags.colour_id if linear else "",
        movie=None if linear else movie_of_chunks(tags.chunks),
        space=space,
    )
    if opened.others:
        some = ", ".join(opened.others[:6]) + (", ..." if len(opened.others) > 6 else "")
        cautions.append(f"{name} has other layers, which are not carried into renders: {some}")
    if opened.windows_differ:
        cautions.append(
            f"{name} has another data window than display window: "
            + (
                "at another plate height only the display window is kept"
                if resizes
                else "what lies beyond comes back in rendered EXR, without paint"
            )
        )
    return picture, cautions
