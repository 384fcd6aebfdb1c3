"""index.html of a run list: a row for every run, with its lights, leading to its report."""

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from nvd_core.evaluation.report import evaluate
from nvd_core.evaluation.reproduce.report import write_report
from nvd_core.settings import fast, to_dict

EVIL = "</td><script>alert(1)</script>"


class Rows(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name == "href"]

    def handle_data(self, data):
        self.words.append(data.strip())


def record(variant: str, **changed) -> dict:
    return {
        "clip": "dog", "variant": variant, "state": "done", "seconds": 90.0, "size": "48 x 36",
        "problem": None, "curve": [[0, 20.0], [10, 30.0]], "against": {}, "report": None,
        "request": {"job": {}, "settings": to_dict(fast())},
    } | changed  # fmt: skip


@pytest.fixture
def out(tmp_path, synthetic):
    """Two runs done, of which one has no page, and one failed."""
    out = tmp_path / "my runs"
    report = evaluate(synthetic.make_shot(out / "dog" / "with page.nvd"))
    evaluate(synthetic.make_shot(out / "dog" / "without.nvd"), page=False)
    old = {name: value for name, value in report.items() if name != "paintable"}
    problem = {"problem": EVIL, "expected": "", "found": "", "remedy": "give \u202eanother"}
    records = [
        record("with page", report=report),
        record("without", report=old),
        record("broken", state="failed", problem=problem),
    ]
    write_report(out, records, planned=5)
    return out


def test_every_run_has_its_row_and_leads_to_its_report(out):
    page = Rows((out / "index.html").read_text("utf-8"))
    assert page.links == ["report.html", "dog/with%20page.nvd/report/index.html"]
    for link in page.links:
        assert (out / unquote(link)).is_file()
    words = " ".join(page.words)
    assert all(text in words for text in ("with page", "without", "broken", "48 x 36", "1.5"))
    assert {"2", "1"} <= set(page.words) and "to come" in words
    lights = [a["class"] for _, a in page.tags if a.get("role") == "img"]
    assert len(lights) == 3  # three layers of the one; a report of an older version has none
    pictures = [a["src"] for tag, a in page.tags if tag == "img"]
    assert len(pictures) == 2
    assert all(uri.startswith("data:image/webp;base64,") for uri in pictures)


def test_words_of_a_record_are_harmless(out):
    text = (out / "index.html").read_text("utf-8")
    page = Rows(text)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert EVIL in page.words and "\u202e" not in text
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert "script-src" not in policy and "default-src 'none'" in policy


def test_a_damaged_picture_does_not_keep_the_others(out):
    records = [record("with page", report=evaluate_again(out))]
    (out / "dog/with page.nvd/report/reconstruction_00000.png").write_bytes(b"none")
    write_report(out, records, planned=1)
    page = Rows((out / "index.html").read_text("utf-8"))
    assert not [a for tag, a in page.tags if tag == "img"]
    assert len(page.links) == 2


def evaluate_again(out):
    from nvd_core.shot.shot import Shot

    return evaluate(Shot.open(out / "dog" / "with page.nvd"))
