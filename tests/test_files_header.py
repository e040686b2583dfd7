"""The header of a model file: its format, version and entries are checked, its values are plain JSON."""

import json

import pytest

from qornn_hw.errors import CheckpointError
from qornn_hw.files.header import header_version, plain_data, wrong_digest


@pytest.mark.parametrize("version", [1, 2])
def test_known_versions(version):
    """Both versions are accepted, with every entry of a header."""
    entries = dict.fromkeys(("network", "task", "metrics", "provenance", "digest"))
    assert header_version({"format": "qornn-hw", "version": version, **entries}) == version


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, "not a qornn-hw checkpoint: entry 'format' must be 'qornn-hw', not absent"),
        ({"format": "other"}, "entry 'format' must be 'qornn-hw', not 'other'"),
        ({"format": "qornn-hw"}, "version must be 1 or 2, not absent; a newer file needs a newer qornn-hw$"),
        ({"format": "qornn-hw", "version": 3}, "version must be 1 or 2, not 3"),
        ({"format": "qornn-hw", "version": True}, "version must be 1 or 2, not True"),
        ({"format": "qornn-hw", "version": 1.0}, "version must be 1 or 2, not 1.0"),
        ({"format": "qornn-hw", "version": 1, "extra": 0}, "^unexpected entry 'extra'$"),
    ],
)
def test_other_headers_are_refused(header, message):
    """Another format or version, and an unknown entry, are named."""
    with pytest.raises(CheckpointError, match=message):
        header_version(header)


def test_digest():
    """Equal digests give no error; a different one gives an error with both."""
    assert wrong_digest("a" * 64, "a" * 64) is None
    assert str(wrong_digest("b", "a" * 64)).startswith(
        f"digest must be that of the network, {'a' * 16}..., not 'b'"
    )


def test_plain_data_is_a_json_round_trip():
    """Tuples become lists and integer keys strings, as in JSON; the argument is not changed."""
    value = {"a": (1, 2.5, None, True), "b": {1: "x"}}
    found = plain_data("task", value)
    assert found == {"a": [1, 2.5, None, True], "b": {"1": "x"}} == json.loads(json.dumps(value))
    assert value["a"] == (1, 2.5, None, True)


def nested():
    """Return a list that contains itself."""
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [[], "text", None])
def test_only_dictionaries(value):
    """A value that is not a dictionary is refused with its type."""
    with pytest.raises(CheckpointError, match=f"^task must be a dictionary, not {type(value).__name__}$"):
        plain_data("task", value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), nested()])
def test_other_values_are_refused(value):
    """NaN, infinity, sets, objects and cyclic lists are refused."""
    with pytest.raises(CheckpointError, match=r"^metrics must hold only finite numbers, strings, booleans, "):
        plain_data("metrics", {"x": value})
