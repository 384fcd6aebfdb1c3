"""Which entries of a stack the live preview draws."""


def is_previewed(item) -> bool:
    """Whether the live preview draws what the engine does: not words, nor movies in one file."""
    return item.kind in ("paint", "picture", "adjustment")
