"""SVG files as strokes: what is taken, what is refused, and what is never looked up."""

import math

import numpy as np
import pytest

from nvd_core.media.svg import MOST_POINTS, read_svg
from nvd_core.runtime.errors import NvdError

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50">'


@pytest.fixture
def drawn(tmp_path):
    def write(inner: str, head: str = HEAD, before: str = ""):
        path = tmp_path / "a.svg"
        path.write_text(f"{before}{head}{inner}</svg>")
        return read_svg(path)

    return write


def ends(stroke) -> list:
    return [stroke.points[0].round(6).tolist(), stroke.points[-1].round(6).tolist()]


def test_shapes_styles_and_transforms(drawn):
    found = drawn(
        '<g stroke="#ff8000" stroke-width="2" fill="none" transform="translate(10 5)">'
        '<line x1="0" y1="0" x2="20" y2="0"/>'
        '<g transform="rotate(90) scale(3)" style="stroke: blue; opacity: .5">'
        '<polyline points="1,2 3,4" opacity="0.5" stroke-opacity="50%"/></g>'
        '<circle cx="1" cy="2" r="4"/><rect x="1" y="1" width="5" height="4"/></g>'
        "<title>not drawn</title>"
    )
    line, poly, circle, rect = found.strokes
    assert found.box == (0, 0, 100, 50) and found.filled == 0
    assert ends(line) == [[10, 5], [30, 5]] and line.colour == (1, 128 / 255, 0)
    assert ends(poly) == [[10 - 6, 5 + 3], [10 - 12, 5 + 9]]
    assert poly.width == pytest.approx(6) and poly.opacity == pytest.approx(0.125)
    assert poly.colour == (0, 0, 1) and line.width == 2
    np.testing.assert_allclose(np.hypot(*(circle.points - (11, 7)).T), 4, atol=0.01)
    assert ends(rect) == [[11, 6], [11, 6]]


def test_lines_are_cut_into_short_pieces(drawn):
    (line,) = drawn('<path stroke="red" fill="none" d="M0 0L100 50"/>').strokes
    assert np.hypot(*np.diff(line.points, axis=0).T).max() <= math.hypot(100, 50) / 90


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("M1 1h4v3H2V9z", [(5, 1), (5, 4), (2, 4), (2, 9), (1, 1)]),
        ("m1,1 2,3l-1-1", [(3, 4), (2, 3)]),
        ("M0 0C0 10 10 10 10 0S20-10 20 0", [(5, 7.5), (10, 0), (15, -7.5), (20, 0)]),
        ("M0 0Q5 10 10 0T20 0", [(5, 5), (10, 0), (15, -5), (20, 0)]),
        ("M0 0A5 5 0 0110 0", [(5, -5), (10, 0)]),
        ("M0 0a5 5 0 1 0 10 0", [(5, 5), (10, 0)]),
        ("M0 0L.5.5 1e1 1", [(0.5, 0.5), (10, 1)]),
    ],
)
def test_paths(drawn, path, passes):
    (stroke,) = drawn(f'<path stroke="red" fill="none" d="{path}"/>').strokes
    for place in passes:
        assert np.hypot(*(stroke.points - place).T).min() < 0.06, place
    assert ends(stroke)[1] == pytest.approx(list(passes[-1]))


def test_subpaths_are_strokes_of_their_own(drawn):
    found = drawn('<path stroke="red" fill="none" d="M0 0L1 1M5 5L6 6zL7 5"/>').strokes
    assert [ends(one) for one in found] == [[[0, 0], [1, 1]], [[5, 5], [5, 5]], [[5, 5], [7, 5]]]


def test_fills_are_counted_and_what_is_hidden_is_not_there(drawn):
    found = drawn(
        '<rect width="5" height="5"/><line x2="3" y2="1" stroke="red" fill="none"/>'
        '<g display="none"><text>hidden</text><line x2="9" stroke="red"/></g>'
        '<defs><line x2="9" stroke="red"/></defs><line x2="9" stroke="red" visibility="hidden"/>'
    )
    assert len(found.strokes) == 1 and found.filled == 1


def test_size_without_a_view_box(drawn):
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="64px" height="32">'
    assert drawn('<line x2="3" stroke="red"/>', head).box == (0, 0, 64, 32)


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ('<line x2="3" stroke="url(#g)"/>', "url"),
        ('<line x2="3" stroke="red" stroke-dasharray="3 2"/>', "dashed"),
        ('<text x="3">words</text>', "text"),
        ('<image href="file:///etc/passwd"/>', "image"),
        ('<use href="#a"/>', "use"),
        ("<style>line {stroke: red}</style>", "style"),
        ('<line x2="3mm" stroke="red"/>', "3mm"),
        ('<path d="L3 3" stroke="red"/>', "begin with M"),
        ('<path d="M3 3 4" stroke="red"/>', "3 numbers behind M"),
        ('<path d="M3 3 B 4 4" stroke="red"/>', "command B"),
        ('<path d="M1e9 3 L 4 4" stroke="red"/>', "1000000000"),
        ('<line x2="3" stroke="red" transform="spin(3)"/>', "spin"),
        ('<rect width="5" height="5"/>', "no strokes"),
        ("<g>" * 80 + "</g>" * 80, "too deep"),
        ('<line x2="9999999" stroke="red"/>', "points"),
        ("<line", "no XML"),
    ],
)
def test_what_is_refused(drawn, inner, said):
    with pytest.raises(NvdError) as caught:
        drawn(inner)
    assert said in f"{caught.value} {caught.value.found}" and caught.value.remedy


def test_entities_are_neither_read_nor_multiplied(drawn, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("M0 0L9 9")
    for entity in (f'SYSTEM "{secret.as_uri()}"', '"M0 0L9 9"'):
        before = f"<!DOCTYPE svg [<!ENTITY a {entity}>]>"
        with pytest.raises(NvdError, match="as strokes") as caught:
            drawn('<path stroke="red" d="&a;"/>', before=before)
        assert "entity" in caught.value.found
    plain = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">'
    assert drawn('<line x2="3" stroke="red"/>', before=plain).strokes


def test_huge_drawings_are_refused_before_they_are_made(drawn):
    many = "L1 1L0 0" * (MOST_POINTS // 2 + 10)
    with pytest.raises(NvdError):
        drawn(f'<path stroke="red" d="M0 0{many}"/>')


def test_a_file_that_is_missing_or_none_is_said(tmp_path):
    (tmp_path / "folder.svg").mkdir()
    for name in ("gone.svg", "folder.svg"):
        with pytest.raises(NvdError, match="drawing"):
            read_svg(tmp_path / name)
