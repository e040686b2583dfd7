"""Plots: well-formed XML, right proportions, no overlapping texts, and escaped text."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qornn_hw.reports.svg_plots import WIDTH, Bar, bars, histogram, lines, text_width, xml_text

NS = "{http://www.w3.org/2000/svg}"
LONG = "a name that is far too long for any column of a plot, and goes on " * 3

PLOTS = {
    "lines": lines(
        "agreement", "bits", "share", ["4", "6", "8"], {"8-bit": [0.5, 0.9, 1.0], "12-bit": [0.6, 0.95, 1.0]},
        percent=True,
    ),
    "equal lines": lines("same", "bits", "share", ["4"], {"a": [1.0]}, percent=True),
    "narrow lines": lines("near", "bits", "share", ["4", "6"], {"a": [0.99991, 0.99999]}, percent=True),
    "many lines": lines(LONG, LONG, LONG, [LONG] * 12, {f"{i} {LONG}": [i] * 12 for i in range(20)}),
    "large lines": lines("large", "x", "y", ["a", "b"], {"s": [-3e9, 7e9]}),
    "no values": lines("none", "x", "y", ["a", "b"], {"s": [math.nan, math.inf]}),
    "bars": bars("resources", [Bar("logic cells", 3308, "3308 of 5280", 5280), Bar("over", 9, "9 of 4", 4)]),
    "long bars": bars(LONG, [Bar(LONG, 10.0**i, LONG) for i in range(30)]),
    "empty bars": bars("none", []),
    "zero bars": bars("zero", [Bar("a", 0, "0"), Bar("b", 0, "0")]),
    "histogram": histogram("states", "state", [0, 5, 80, 3, 1], -128, 127),
    "empty histogram": histogram("states", "state", [0, 0], -1e-7, 1e12),
    "fine histogram": histogram(LONG, LONG, list(range(64)), -32768, 32767),
}  # fmt: skip


def boxes(svg):
    """Return the box of each text, left, top, right and bottom, at the widest that a font makes it."""
    found = []
    for element in ET.fromstring(svg).iter(f"{NS}text"):
        size = float(element.get("font-size"))
        width = text_width(element.text or "", size)
        x, y = float(element.get("x")), float(element.get("y"))
        left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
        found.append((left, y - 0.75 * size, left + width, y + 0.22 * size, element.text))
    return found


@pytest.mark.parametrize("name", PLOTS)
def test_no_text_overlaps_another_or_leaves_the_picture(name):
    """The boxes of all texts are apart and inside the view, also with long names and extreme values."""
    svg = PLOTS[name]
    texts = boxes(svg)
    height = float(ET.fromstring(svg).get("height"))
    for i, (left, top, right, bottom, text) in enumerate(texts):
        assert left >= -0.1 and right <= WIDTH + 0.1 and top >= 0 and bottom <= height, text
        for other in texts[i + 1 :]:
            apart = right <= other[0] + 0.1 or other[2] <= left + 0.1 or bottom <= other[1] or other[3] <= top
            assert apart, (text, other[4])


def test_the_check_of_overlaps_sees_one():
    """Two texts at nearly the same place are detected as overlapping."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" height="40">'
        '<text x="0" y="20" font-size="12" text-anchor="start">first</text>'
        '<text x="30" y="22" font-size="12" text-anchor="start">second</text></svg>'
    )
    a, b = boxes(svg)
    assert a[2] > b[0] and a[3] > b[1]


@pytest.mark.parametrize("name", PLOTS)
def test_shapes_stay_inside(name):
    """Rectangles, points and lines lie within the view and have no negative size."""
    root = ET.fromstring(PLOTS[name])
    height = float(root.get("height"))
    for rectangle in root.iter(f"{NS}rect"):
        if rectangle.get("width") == "100%":
            continue
        x, y, w, h = (float(rectangle.get(k)) for k in ("x", "y", "width", "height"))
        assert w >= 0 and h >= 0 and x >= 0 and y >= 0 and x + w <= WIDTH + 0.2 and y + h <= height + 0.2
    for circle in root.iter(f"{NS}circle"):
        assert 0 <= float(circle.get("cx")) <= WIDTH and 0 <= float(circle.get("cy")) <= height


def test_bars_are_as_long_as_their_values():
    """The lengths of bars are in the ratio of the values, and one over its limit has another colour."""
    root = ET.fromstring(bars("t", [Bar("a", 10, "10", 40), Bar("b", 30, "30", 20)]))
    drawn = [r for r in root.iter(f"{NS}rect") if r.get("fill") in ("#1f6feb", "#b3261e")]
    assert [r.get("fill") for r in drawn] == ["#1f6feb", "#b3261e"]
    assert float(drawn[1].get("width")) == pytest.approx(3 * float(drawn[0].get("width")), abs=0.2)


def test_lines_are_as_high_as_their_values():
    """Points are at heights in proportion, and what is not finite has none."""
    root = ET.fromstring(lines("t", "x", "y", list("abcd"), {"s": [0.0, 1.0, math.nan, 0.5]}))
    y = [float(c.get("cy")) for c in root.iter(f"{NS}circle")]
    assert len(y) == 3
    assert y[0] - y[2] == pytest.approx(y[2] - y[1], abs=0.2) and y[1] < y[2] < y[0]


def test_a_histogram_shows_shares():
    """Columns are in the ratio of the counts."""
    root = ET.fromstring(histogram("t", "x", [1, 2, 4], 0, 3))
    tall = [float(r.get("height")) for r in root.iter(f"{NS}rect") if r.get("fill") == "#1f6feb"]
    assert tall[1] == pytest.approx(2 * tall[0], abs=0.3) and tall[2] == pytest.approx(4 * tall[0], abs=0.3)


@given(st.text())
def test_any_text_is_text(text):
    """Text never becomes markup: parsing the XML gives the printable text back."""
    root = ET.fromstring(bars(text, [Bar(text, 1, text)]))
    assert len(list(root.iter(f"{NS}text"))) == 3
    inner = ET.fromstring(f"<a>{xml_text(text)}</a>").text or ""
    assert inner == "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "]]>", "\x1b[31m", "\ud800", "a\nb", "&lt;"])
def test_markup_and_control_characters(text):
    """Markup, escapes of a terminal and lone surrogates are shown as what they are."""
    svg = lines(text, text, text, [text], {text: [1.0]})
    assert "<script" not in svg and "\x1b" not in svg
    svg.encode()
    ET.fromstring(svg)
