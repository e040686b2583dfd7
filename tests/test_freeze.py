"""benchmarks/freeze.py: a record is the same each time, and what changes in one is found and named."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

RECORD = {}


@pytest.fixture
def freeze(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import freeze

    return freeze


@pytest.fixture
def few(freeze):
    """A record of the first designs, with either engine; made once."""
    if not RECORD:
        RECORD.update(freeze.record(["designs"], first=8))
    return copy.deepcopy(RECORD)


def test_two_records_of_the_same_code_are_equal(freeze, few):
    """A handful of designs gives the same checksums when it is recorded again."""
    counts, lines = freeze.compare(few, freeze.record(["designs"], first=8))
    assert lines == []
    assert counts["designs"]["equal"] == 8


def test_draws_cover_what_a_design_can_be(freeze):
    """Among the draws are all activations, both kinds of input, all widths of weights and both engines."""
    seen = set()
    for number in range(freeze.DESIGNS):
        rng = np.random.default_rng([freeze.SEED, number])
        network = freeze.draw_network(rng, number)[0]["network"]
        options = freeze.draw_options(rng, number, network, (9, 1, 3))
        seen |= {network["activation"], network["input_kind"], network["rounding"], network["output_kind"]}
        seen |= {network["output_mode"], options["engine"], *network["weight_bits"].values()}
        seen |= {name for name, value in options.items() if value is True or (value and "lanes" in name)}
        seen |= {"spram_elements"} if options.get("spram_elements") else set()
    wanted = {*freeze.ACTIVATIONS, "one_hot", "vector", "half_up", "half_even", "logits", "argmax", "both"}
    wanted |= {"every_step", "last_step", "lut", "dsp", *range(1, 9)}
    wanted |= {
        "memory_register",
        "answer_registers",
        "readout_lanes",
        "input_lanes",
        "spram_elements",
        "room",
    }
    assert wanted <= seen


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rtlil", "0" * 64, "designs: design 000: hash only: rtlil"),
        ("times", {"cycles_per_step": 1}, "times.cycles_per_step"),
        ("widths", {"accumulator_bits": 99}, "-> 99"),
    ],
)
def test_a_planted_difference_is_named(freeze, few, field, value, said):
    """A changed checksum is said to be one; of other values the line has the old and the new one."""
    new = copy.deepcopy(few)
    entry = new["designs"]["design 000"]
    entry[field] = value if isinstance(value, str) else entry[field] | value
    counts, lines = freeze.compare(few, new)
    assert counts["designs"]["different"] == 1
    assert len(lines) == 1
    assert said in lines[0]
    assert freeze.compare(few, new, [field])[1] == []


def test_a_changed_bit_of_a_memory_changes_the_record(freeze, few, monkeypatch):
    """One wrong bit in a memory of each design gives other words and other RTLIL."""
    compiled = freeze.compiled

    def spoilt(network, options):
        design = compiled(network, options)
        return design.with_memory((design.find_memory("constants") or design.memory("sums")).flip(0, 0))

    monkeypatch.setattr(freeze, "compiled", spoilt)
    _, lines = freeze.compare(few, freeze.record(["designs"], first=8))
    refused = sum("refused" in facts for facts in few["designs"].values())
    assert len(lines) == 8 - refused
    assert all(": hash only: words, rtlil" in line for line in lines)


def test_entries_that_are_missing_and_new(freeze):
    """An entry that only the old record has is a difference, one that only the new one has is not."""
    old, new = {"boards": {"a": {"x": 1}, "b": {"x": 1}}}, {"boards": {"a": {"x": 1}, "c": {"x": 1}}}
    counts, lines = freeze.compare(old, new)
    assert counts["boards"] == {"equal": 1, "missing": 1, "new": 1}
    assert lines == ["boards: b: missing"]
    assert freeze.compare(old, {})[0]["boards"] == {"missing": 2, "new": 0}


def test_exit_codes_and_table(freeze, tmp_path, capsys):
    """The exit code is 1 where anything differs, and the table counts by group."""
    paths = [tmp_path / name for name in ("old.json", "new.json")]
    for path, value in zip(paths, (1, 2), strict=True):
        path.write_text(json.dumps({"commands": {"info": {"code": 0, "json": {"n": value}}}}))
    assert freeze.main(["compare", str(paths[0]), str(paths[0])]) == 0
    assert freeze.main(["compare", *map(str, paths)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[1].split() == ["commands", "1", "0", "0", "0"]
    assert out[3].split() == ["commands", "0", "1", "0", "0"]
    assert out[4] == "commands: info: json.n 1 -> 2"


def test_seconds_paths_and_versions_are_masked(freeze, tmp_path):
    """Times, versions and folders are no part of a record; the rest is."""
    value = {
        "seconds": {"place": 3.2},
        "tools": {"yosys": "0.5"},
        "out": [f"{tmp_path}/a", f"{freeze.ROOT}/b"],
    }
    masked = freeze.masked(value | {"cycles": 7}, tmp_path)
    assert masked == {"seconds": "masked", "tools": "masked", "out": ["TMP/a", "ROOT/b"], "cycles": 7}


def test_the_digest_is_constant_only_while_recording(freeze):
    """A design has its own digest again after a record."""
    from qornn_hw.sim.stimuli import random_network

    options = {"engine": "lut", "elements": 1, "room": False}
    design = freeze.compiled(random_network(seed=1, hidden_size=3, input_size=2, output_size=2), options)
    before = design.digest
    with freeze.constant_digest():
        assert design.digest == freeze.DIGEST
    assert design.digest == before != freeze.DIGEST
