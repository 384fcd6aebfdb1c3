"""Which channels of an open image file are its picture, as what type, and what its alpha is."""

from pathlib import Path

import OpenImageIO as oiio

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT
from nvd_core.media.exr_layers import Layer, choose_layer, layers_of
from nvd_core.runtime.errors import NvdError

# What is not listed is an odd integer depth (10, 12, 32 bits), which OpenImageIO scales to 16.
_DTYPES = {"uint8": "uint8", "uint16": "uint16", "half": "half", "float": "float"}
_DTYPES["double"] = "float"
_INKS = ("cmyk", "ycck", "multichannel", "color separated")
_LAB = ("cielab", "icclab", "itulab", "lab")


def chosen_layer(
    path: Path, image_input: oiio.ImageInput, wanted: str | None
) -> tuple[Layer | None, list[Layer]]:
    """The layer of an EXR to read, its part sought, and all there are; None for the whole file."""
    spec = image_input.spec()
    if image_input.format_name() != "openexr":
        if wanted:
            raise NvdError(
                f"{path} has no layers",
                expected="the name of a layer behind an EXR only",
                found=wanted,
                remedy="leave out the colon and what stands behind it",
            )
        _check_colours(path, spec)
        return None, []
    if spec.deep:
        raise NvdError(
            f"{path} is a deep EXR",
            expected="one value a pixel and channel",
            remedy="flatten it in the program that it comes from",
        )
    layers = layers_of(image_input)
    chosen = choose_layer(path, layers, wanted)
    image_input.seek_subimage(chosen.part, 0)
    return chosen, layers


def _check_colours(path: Path, spec: oiio.ImageSpec) -> None:
    """NvdError for inks and Lab, of which OpenImageIO makes some RGB without a profile."""
    said = [spec.getattribute(f"{kind}:ColorSpace") for kind in ("jpeg", "tiff", "psd")]
    for space in (str(value) for value in said if value):
        if space.lower() in (*_INKS, *_LAB):
            raise NvdError(
                f"{path} is in {space}",
                expected="grey or RGB",
                found=space,
                remedy="convert it to RGB in the program that it comes from, by its profile",
            )


def check_dtype(path: Path, spec: oiio.ImageSpec, places: list[int]) -> None:
    """NvdError for an EXR's whole numbers, such as ids, which are no light."""
    formats = spec.channelformats or [spec.format]
    if any(str(formats[n % len(formats)]) == "uint" for n in places):
        raise NvdError(
            f"{path} holds whole numbers, such as ids, in place of light",
            expected="half or float channels",
            found=", ".join(spec.channelnames[n] for n in places) + " of uint",
            remedy="name another layer behind the file, or write them as half or float",
        )


def other_pages(image_input: oiio.ImageInput) -> tuple[str, ...]:
    """What else a TIFF holds beside its first picture: pages, of which none is read."""
    if image_input.format_name() != "tiff" or not image_input.seek_subimage(1, 0):
        return ()
    more = image_input.seek_subimage(2, 0)
    image_input.seek_subimage(0, 0)
    return ("page 2", "page 3, ...") if more else ("page 2",)


def places(path: Path, spec: oiio.ImageSpec) -> list[int]:
    """The channels to take of a file without layers."""
    if spec.nchannels <= 4:
        return list(range(spec.nchannels))
    letters = [name.upper() for name in spec.channelnames]
    wanted = [letter for letter in "RGBA" if letter in letters]
    if wanted[:3] != ["R", "G", "B"]:
        raise NvdError(
            f"cannot tell the picture among the channels of {path}",
            expected="1 to 4 channels, or channels named R, G, B",
            found=", ".join(spec.channelnames[:8]),
            remedy="render or convert the picture to a file with R, G, B only",
        )
    return [letters.index(letter) for letter in wanted]


def alpha_of(path: Path, spec: oiio.ImageSpec, places: list[int], layer: Layer | None) -> str:
    """What the last of the channels taken is."""
    if layer:
        return PREMULTIPLIED if layer.alpha() else NONE
    if len(places) not in (2, 4) or spec.alpha_channel != places[-1]:
        return NONE
    straight = spec.get_int_attribute("oiio:UnassociatedAlpha")
    stored_so = str(spec.format) in ("half", "float", "double") or "tif" in path.suffix.lower()
    return PREMULTIPLIED if stored_so and not straight else STRAIGHT


def dtype_of(spec: oiio.ImageSpec, places: list[int]) -> str:
    """OpenImageIO's name of the type to read channels as, which may differ from the others'."""
    formats = [str(spec.channelformats[n]) for n in places] if spec.channelformats else []
    widest = "float" if "float" in formats else formats[0] if formats else str(spec.format)
    return _DTYPES.get(widest, "uint16")
