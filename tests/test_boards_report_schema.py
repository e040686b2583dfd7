"""The table of the report: each key takes what a build writes, and nothing else."""

import json

import pytest
from test_boards_report import report

from qornn_hw.boards.report import read_report
from qornn_hw.boards.report_schema import FILE_NAMES, REPORT, check_report
from qornn_hw.errors import DataError

ODD = [
    None, True, False, -1, 0, 1, 1.5, 1e300, 10**400, "", "x", "../x", "-x", "x\n", "\x1b[2J", "\udcff",
    "[/x]", [], [1], {}, {"": ""}, {"a": {"a": []}}, "a" * 10_000, {str(i): i for i in range(1000)},
]  # fmt: skip


def test_what_a_build_writes_passes():
    """The report of a build is returned as it is, and so is one with keys that nobody knows."""
    made = report()
    assert check_report(made) is made
    assert check_report(made | {"later": ["anything"]})["later"] == ["anything"]


def test_every_key_is_in_the_table():
    """No key of a report is without a rule."""
    assert set(report()) <= set(REPORT.keys)
    assert set(report()["model"]) - {"activation"} <= {k for k in report()["model"] if k}


@pytest.mark.parametrize("key", REPORT.keys)
def test_odd_values(key, tmp_path):
    """Any value at any key is taken or named in one line of plain text; no other error comes of it."""
    refused = 0
    for value in ODD:
        (tmp_path / "report.json").write_text(json.dumps(report() | {key: value}))
        try:
            read_report(tmp_path)
        except DataError as error:
            refused += 1
            text = str(error)
            assert text.startswith(f"{tmp_path / 'report.json'} must be the report of a build: ")
            assert text.isprintable() and len(text) < 700
    assert refused >= 10


@pytest.mark.parametrize("key", [k for k in REPORT.keys if isinstance(report().get(k), dict)])
def test_odd_values_inside(key, tmp_path):
    """The same one level deeper."""
    for inner in report()[key]:
        refused = 0
        for value in ODD:
            made = report()
            made[key] = made[key] | {inner: value}
            (tmp_path / "report.json").write_text(json.dumps(made))
            try:
                read_report(tmp_path)
            except DataError as error:
                refused += 1
                assert f"its {key}.{inner} must be " in str(error) or f"its {key}.'{inner}' must be " in str(
                    error
                )
        assert refused >= 10


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("top.bin", True),
        ("a.b-c_d.bit", True),
        ("9.fs", True),
        ("_x.bin", True),
        ("top", False),
        ("top.exe", False),
        (".bin", False),
        ("-x.bin", False),
        (".x.bin", False),
        ("a/b.bin", False),
        ("a b.bin", False),
        ("\u00e4.bin", False),
        ("weights.bin", False),
        ("top.bin ", False),
        ("x" * 100 + ".bin", True),
        ("x" * 101 + ".bin", False),
    ],
)
def test_names_of_bitstreams(name, right):
    """A name of a file of the folder with a bitstream's ending, and no other."""
    made = report() | {"files": {"bitstream": name, **FILE_NAMES}}
    if right:
        assert check_report(made)["files"]["bitstream"] == name
    else:
        with pytest.raises(ValueError, match=r"^its files\.bitstream must be a name of letters, digits"):
            check_report(made)
