"""The command info: what is known of a checkpoint, as JSON."""

import json
from pathlib import Path

MODELS = Path(__file__).parents[1] / "models"


def test_info_as_json(run):
    """`info --json` is one JSON object with shapes and proven widths."""
    code, output, _ = run("info", MODELS / "copy.npz", "--json")
    value = json.loads(output)
    assert code == 0
    assert (value["hidden_size"], value["accumulator_bits"]) == (64, 22)
