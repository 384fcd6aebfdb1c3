"""The rows of the page's table of figures against a known truth."""


def truth_rows(truth: dict | None) -> list[tuple[str, str, str]]:
    """Title, value and meaning of each figure in the report's `truth`; none where there is none."""
    if truth is None:
        return []
    seen, later, again = (truth[kind] for kind in ("seen", "later", "reappeared"))
    decibel, share = _decibel, _share
    rows = [
        ("edit", decibel(truth["edit_psnr"]), "all that is truly painted, in every frame"),
        ("edit, seen when painted", decibel(seen["edit_psnr"]), "what the edit frame showed"),
        ("edit, first seen later", decibel(later["edit_psnr"]), "what it did not show"),
        ("edit, after coming back", decibel(again["edit_psnr"]), "frames that others without "
         "the paint part from the edit frame"),
        ("recall", share(truth["recall"]["all"]), "of what should have paint in other frames, "
         "the share that has"),
        ("recall, after coming back", share(again["recall"]), "the same in those frames"),
        ("ghost", share(truth["ghost"]["all"]), "paint where the truth has none, as a share of "
         "the true paint"),
        ("seams", decibel(truth["seam_psnr"]), "edit near the borders of parts; a layer in one "
         "piece has none"),
    ]  # fmt: skip
    for name, error in truth["alpha_error_soft"].items():
        rows.append((f"soft edge of {name}", share(error), "mean error of alpha on true edges"))
    return rows


def _decibel(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} dB"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
