"""One picture, five ways, in a Blender with a window: each is what `nvd render` makes of it.

Where such a Blender cannot be set up (tools/tour/window.py), these are skipped with the reason.
"""

import pytest
from five_ways import COLUMNS, VIEWS, five_ways, table
from tour import window

pytestmark = pytest.mark.long

WAYS = {"Render to Strip", "Composite Strip", "Strip Modifier", "live preview", "compositor"}
LEAST = 45  # dB


@pytest.fixture(scope="module")
def rows(trained) -> list[dict]:
    try:
        window.ensure()
    except window.NoWindow as error:
        pytest.skip(str(error))
    return table(five_ways(trained().folder, frames=(0.5,)))


@pytest.mark.parametrize("view", VIEWS)
def test_every_way_shows_what_is_rendered(rows, view):
    found = {row["way"]: row for row in rows if row["view"] == view}
    assert found.keys() > WAYS
    low = {
        (way, column): row[column]
        for way, row in found.items()
        for column in COLUMNS
        if row.get(column, LEAST) < LEAST
    }
    assert not low
    assert all("screen" in row for way, row in found.items() if way != "compositor")


def test_blender_changes_nothing_of_a_plain_strip(rows):
    """Else what strips are held against would not be what `nvd render` wrote."""
    plain = next(row for row in rows if row["view"] == "Standard" and "as a strip" in row["way"])
    assert plain["rendered"] > 90
