"""The header of model files of all versions: format, version, digest and plain data."""

import json
from typing import Any

from qornn_hw.errors import CheckpointError
from qornn_hw.files.network_entry import shown

__all__ = ["ELMAN_VERSION", "FORMAT", "NETWORK_VERSION", "header_version", "plain_data", "wrong_digest"]

FORMAT = "qornn-hw"
# The file holds the parameters of an Elman network.
ELMAN_VERSION = 1
# The file holds any network as operations.
NETWORK_VERSION = 2
_ENTRIES = ("format", "version", "network", "task", "metrics", "provenance", "digest")


def header_version(header: dict[str, Any]) -> int:
    """Return the version of a header.

    Raises:
        CheckpointError: the format is another, the version is not known, or an entry is unknown.
    """
    found = header.get("format")
    if found != FORMAT:
        raise CheckpointError(
            f"not a qornn-hw checkpoint: entry 'format' must be {FORMAT!r}, "
            f"not {'absent' if found is None else shown(found)}; "
            "make one with qornn_hw.quantize or as docs/checkpoint.md says"
        )
    version = header.get("version")
    if type(version) is not int or version not in (ELMAN_VERSION, NETWORK_VERSION):
        raise CheckpointError(
            f"version must be {ELMAN_VERSION} or {NETWORK_VERSION}, not "
            f"{'absent' if version is None else shown(version)}; a newer file needs a newer qornn-hw"
        )
    for key in header:
        if key not in _ENTRIES:
            raise CheckpointError(f"unexpected entry {shown(key)}")
    return version


def wrong_digest(found: Any, digest: str) -> CheckpointError | None:
    """Return the error for a digest that differs from the network's; None if they are equal."""
    if found == digest:
        return None
    return CheckpointError(
        f"digest must be that of the network, {digest[:16]}..., not {shown(found)}: the file is damaged "
        "or was changed; copy it again, or leave digest out of a file that you write yourself"
    )


def plain_data(name: str, value: Any) -> dict[str, Any]:
    """Return ``value`` after a JSON round trip, so that both file formats hold the same values."""
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} must be a dictionary, not {type(value).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{name} must hold only finite numbers, strings, booleans, lists and dictionaries: {error}"
        ) from None
    return plain
