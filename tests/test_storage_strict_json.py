"""The strict JSON parser returns a value or raises a ValueError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qornn_hw.storage.strict_json import parse_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_what_json_writes_is_read(value):
    """Every JSON value survives a round trip, from text and from bytes."""
    text = json.dumps(value)
    assert parse_json(text) == value
    assert parse_json(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "^key 'a' occurs twice$"),
        ('[{"\\u001b[2J": 1, "\\u001b[2J": 1}]', r"^key '\\x1b\[2J' occurs twice$"),
        ("[NaN]", "^NaN is not a JSON number$"),
        ("-Infinity", "^-Infinity is not a JSON number$"),
        ("[" * 100_000, "^its values are nested too deeply$"),
        ("1" * 5000, "integer string conversion"),
        (b'"\xff"', "can't decode"),
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
    ],
)
def test_what_is_refused(text, message):
    """Duplicate keys, NaN, deep nesting, invalid UTF-8 and wrong syntax are ValueErrors."""
    with pytest.raises(ValueError, match=message):
        parse_json(text)
