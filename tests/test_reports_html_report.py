"""Pages: self-contained, well-formed, escaped, and written atomically."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from qornn_hw.errors import OutputError
from qornn_hw.evaluation.bit_comparison import compare_bits
from qornn_hw.quantization.float_model import RealNetwork
from qornn_hw.quantization.quality import quality_of, real_reference
from qornn_hw.quantization.quantize import export
from qornn_hw.reports.html_report import build_page, comparison_page, page, quality_page, table, write_page

RNG = np.random.default_rng(0)
W, U, V = RNG.normal(size=(6, 6)), RNG.normal(size=(6, 2)), RNG.normal(size=(3, 6))
X = RNG.uniform(-1, 1, (20, 9, 2))
CHECKPOINT = export(W, U, V, activation="relu", calibration_inputs=X, weight_bits=8)
QUALITY = quality_of(CHECKPOINT.network, X, real_reference(RealNetwork.trained(CHECKPOINT)))
REPORT = {
    "board": "<b>board</b>",
    "family": "ice40",
    "engine": "lut",
    "lanes": 48,
    "model": {"hidden_size": 64, "activation": "relu"},
    "cycles_per_step": 108,
    "step_us": 2.25,
    "clock_mhz": 48.0,
    "fmax_mhz": 50.1,
    "resources": {"lut": 3308, "ff": 1200, "bram": 30, "spram": 0, "dsp": 4},
    "available": {"lut": 5280, "ff": 5280, "bram": 30, "spram": 4, "dsp": 0},
    "design_digest": "ab12",
    "tools": {"yosys": "0.70 \x1b[31m"},
    "files": {"bitstream": '"><script>alert(1)</script>'},
    "seconds": {"synthesize": 21.5, "place": 60.0},
}
CYCLES = {"rows of W and U": 64, "wait for the state": 40}
LINK = {"step to the board": 110.0, "answer": 93.3}


def parsed(text):
    """Return a page as XML, which it is apart from its first line."""
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


@pytest.fixture(scope="module", params=["quality", "comparison", "scores", "build"])
def whole(request):
    """Each kind of page."""
    if request.param == "quality":
        return quality_page("q & a <x>", QUALITY, [table((), [("integer", "accuracy 0.9")])])
    if request.param == "build":
        return build_page("a build", REPORT, CYCLES, LINK)
    targets = RNG.integers(0, 3, 20) if request.param == "scores" else None
    return comparison_page("c", compare_bits((W, U, V), X, activation="relu", targets=targets))


def test_pages_need_nothing(whole):
    """No page has a script, or an address, file or font outside of it, and its policy forbids them."""
    assert "<script" not in whole and "\x1b" not in whole
    addresses = set(re.findall(r"https?://[^\"' <]*", whole))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|href|url|@import)\s*[=(]", whole)
    assert "default-src 'none'" in whole
    root = parsed(whole)
    assert root.find("head/meta").get("charset") == "utf-8"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) >= 2


def test_titles_are_escaped():
    """A title with markup is text."""
    root = parsed(page("<i>&", ["<p>s</p>"]))
    assert root.find("head/title").text == root.find("body/h1").text == "<i>&"


def test_the_build_page_has_the_latency():
    """The latency of an answer is shown in cycles and time, over the link, too; or that nobody counted."""
    counted = {
        "baud": 3_000_000,
        "answer_latency_cycles": 172,
        "answer_latency_us": 3.0578,
        "link_latency_us": 207.52,
    }

    def cells(report):
        return [cell.text for cell in parsed(build_page("b", report, CYCLES, LINK)).iter("td")]

    text = "172 cycles, 3.0578 us; over the link 207.52 us at 3000000 baud"
    assert text in cells(REPORT | counted)
    assert "not counted" in cells(REPORT | {"answer_latency_us": None})


def test_the_build_page_has_what_the_report_has():
    """Resources with their limits, parts of the step, tools and files are on the page, as text."""
    root = parsed(build_page("b", REPORT, CYCLES, LINK))
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "3308 of 5280 (63%)" in texts and "30 of 30 (100%)" in texts
    assert "rows of W and U" in texts and "64 cycles, 1.33 us" in texts and "110 us" in texts
    assert "counted beyond the plan" in texts and "4 cycles, 0.0833 us" in texts
    cells = [cell.text for cell in root.iter("td")]
    assert "<b>board</b> (ice40)" in cells and '"><script>alert(1)</script>' in cells
    assert "0.70 \\x1b[31m" in cells
    # A resource that the device does not have has no bar.
    assert not any("of 0" in str(text) for text in texts)


def test_a_build_whose_cycles_nobody_counted():
    """A report without counted cycles says so."""
    cells = [c.text for c in parsed(build_page("b", REPORT | {"cycles_per_step": None}, {}, {})).iter("td")]
    assert "not counted" in cells


def test_warnings_are_shown():
    """A bad network's page has its warning."""
    bad = quality_of(CHECKPOINT.network, X, RNG.normal(size=(20, 9, 3)))
    root = parsed(quality_page("q", bad))
    found = [p.text for p in root.iter("p") if p.get("class") == "warning"]
    assert found and found[0].startswith("the integer network must answer")


def test_writing(tmp_path):
    """A page is written in new folders; where that is impossible, one line says so and nothing is left."""
    write_page(tmp_path / "new" / "a.html", "text ü")
    assert (tmp_path / "new" / "a.html").read_text(encoding="utf-8") == "text ü"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_page(tmp_path / "folder", "text")
    with pytest.raises(OutputError, match="cannot be written"):
        write_page(tmp_path / "new" / "a.html" / "b.html", "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "new"]
