"""Strict JSON parser for untrusted text: duplicate keys, NaN and too deep nesting are a ValueError."""

import json
from typing import Any, NoReturn

__all__ = ["parse_json"]


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Duplicate keys are refused, because parsers differ in the value that they keep. NaN and Infinity are
    refused, because the JSON standard does not have them. Nesting beyond Python's recursion limit is refused.

    Raises:
        ValueError: the text is not valid JSON in UTF-8, or is refused as above.

    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {ascii(key)[:60]} occurs twice")
            seen.add(key)
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
