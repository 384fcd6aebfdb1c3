"""The report's page in a real browser: its script runs, and does what the page offers.

Skipped, with the reason, where no Chromium is installed; failed where one is promised.
"""

import numpy as np
import pytest

from nvd_core.evaluation.report import evaluate
from nvd_core.media.images import read_image, write_image

pytestmark = pytest.mark.slow

COUNT = 12
NOW = "document.getElementById('now').textContent"
AT = "document.body.dataset.frame"


@pytest.fixture(scope="module")
def shot(tmp_path_factory, synthetic, chromium):
    """A painted shot with its report."""
    shot = synthetic.make_shot(
        tmp_path_factory.mktemp("page") / "shot <b>.nvd", frames=COUNT, width=96, height=72
    )
    image = synthetic.texture("background")
    image[..., :3] = (255, 0, 0)
    write_image(shot.edit_path("background"), image)
    evaluate(shot)
    return shot


@pytest.fixture
def page(shot, tmp_path, chromium):
    with chromium.Page(tmp_path / "profile") as page:
        page.open(shot.report / "index.html")
        yield page
        assert page.complaints == []
        assert page.requests == [(shot.report / "index.html").as_uri()]


@pytest.fixture
def seen(page, tmp_path):
    """What the stage shows, uint8 [H, W, 3]."""

    def look() -> np.ndarray:
        box = page.run(
            "(() => { const b = document.getElementById('stage').getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height].map(Math.round) })()"
        )
        page.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        (tmp_path / "seen.png").write_bytes(page.picture())
        left, top, width, height = box
        return read_image(tmp_path / "seen.png")[top : top + height, left : left + width, :3]

    return look


def redder(picture: np.ndarray) -> float:
    """How much more red than blue there is."""
    return float(picture[..., 0].mean() - picture[..., 2].mean())


def test_the_slider_changes_the_picture(page, seen):
    before = seen()
    page.run(
        "(() => { const s = document.getElementById('scrub'); s.value = 9;"
        " s.dispatchEvent(new Event('input', {bubbles: true})) })()"
    )
    assert page.run(AT) == "9" and "Frame 9" in page.run(NOW)
    after = seen()
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).mean() > 3


def test_keys_step_and_jump(page):
    steps = [
        ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", COUNT - 1),
        ("ArrowRight", COUNT - 1), ("Home", 0), ("ArrowLeft", 0),
    ]  # fmt: skip
    for key, frame in steps:
        page.key(key)
        assert page.run(AT) == str(frame), key
    page.key("ArrowRight", shift=True)
    assert page.run(AT) == "10"
    page.run("document.getElementById('scrub').focus()")
    page.key("ArrowLeft")  # once, not by the slider and by the page
    assert page.run(AT) == "9"
    page.run("document.querySelector('[data-over=mattes]').focus()")
    page.key("ArrowLeft")
    assert page.run(AT) == "8"


def test_it_plays_and_pauses(page):
    page.key(" ")
    assert page.run("document.getElementById('play').getAttribute('aria-pressed')") == "true"
    page.run(
        "new Promise(r => { const t = setInterval(() => {"
        f" if (Number({AT}) > 2) {{ clearInterval(t); r() }} }}, 20) }})"
    )
    page.run("document.getElementById('play').click()")
    stopped = page.run(AT)
    page.run("new Promise(r => setTimeout(r, 300))")
    assert page.run(AT) == stopped


def test_the_wipe_shows_the_edit_on_its_right(page, seen):
    half = seen()
    middle = half.shape[1] // 2
    left, right = half[:, : middle - 30], half[:, middle + 30 :]
    assert redder(right) > redder(left) + 40
    box = page.run(
        "(() => { const b = document.getElementById('stage').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height] })()"
    )
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 3
    page.mouse("mousePressed", x, y, True)
    page.mouse("mouseMoved", box[0] + 3, y, True)
    page.mouse("mouseReleased", box[0] + 3, y, True)
    assert redder(seen()[:, 30 : middle - 30]) > redder(left) + 40
    page.run("document.getElementById('wipe').focus()")
    for _ in range(3):
        page.key("ArrowRight")  # the wipe's own, while it has the focus
    assert page.run("Number(document.getElementById('wipe').value)") > 2
    assert page.run(AT) == "0"
    page.key("1")
    assert redder(seen()) < redder(half) - 15


def test_difference_and_overlays(page, seen):
    page.key("1")
    plain = seen()
    page.key("d")
    assert seen().mean() < 0.3 * plain.mean()  # the reconstruction is next to the shot
    page.key("2")
    assert seen().mean() > 60
    page.key("d")
    page.key("1")
    page.key("m")
    assert np.abs(seen().astype(int) - plain).mean() > 5
    assert page.run("document.getElementById('legend').hidden") is True
    page.key("h")
    assert page.run("document.getElementById('legend').hidden") is False
    page.key("h")
    np.testing.assert_array_equal(seen(), plain)


def test_the_curve_tells_and_leads_to_frames(page):
    box = page.run(
        "(() => { const b = document.getElementById('curve').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height] })()"
    )
    x, y = box[0] + box[2] * 7 / (COUNT - 1), box[1] + box[3] / 2
    page.mouse("mouseMoved", x, y)
    told = page.run("document.getElementById('tip').textContent")
    assert told.startswith("Frame 7: ") and "without light" in told
    page.click(x, y)
    assert page.run(AT) == "7"
    page.run("document.querySelector('.worst button').click()")
    worst = page.run("document.querySelector('.worst button').dataset.frame")
    assert page.run(AT) == worst


def test_textures_change_together(page):
    page.run("document.querySelector('[data-texture=seen]').click()")
    shown = "[...document.querySelectorAll('.textures img')].filter(i => !i.hidden)"
    assert page.run(f"{shown}.map(i => i.dataset.kind)") == ["seen"] * 3
    page.run("document.querySelector('[data-texture=painted]').click()")
    assert sorted(page.run(f"{shown}.map(i => i.dataset.kind)")) == [
        "painted", "texture", "texture",
    ]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 1440, 420])
def test_it_fits_windows_and_both_schemes(page, shot, width, dark):
    page.requests.clear()
    page.open(shot.report / "index.html", width, 900, dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (int(ground.split("(")[1].split(",")[0]) < 128) == dark
    unnamed = (
        "[...document.querySelectorAll('button, input, img, [role=img]')].filter(e => !("
        "e.textContent.trim() || e.getAttribute('aria-label') || e.alt || e.hidden)).length"
    )
    assert page.run(unnamed) == 0
    pale = """(() => {
      const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number)
        .map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b };
      const ground = (e) => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)$/.test(c)) return c } return 'rgb(255,255,255)' };
      return [...document.querySelectorAll('p, h1, h3, th, td, .words, button:enabled, .soft')]
        .filter(e => e.offsetWidth && e.textContent.trim()).filter(e => {
          const [a, b] = [getComputedStyle(e).color, ground(e)].map(light).sort((x, y) => y - x);
          return (a + .05) / (b + .05) < 4.5 }).map(e => e.textContent.trim().slice(0, 40)) })()"""
    assert page.run(pale) == []
