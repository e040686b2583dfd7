"""The kept file as data from anywhere: read back as written, or one line that says what is wrong."""

import json
import struct
import zipfile
import zlib

import pytest
from networks import make_network

from qornn_hw.boards import kept as kept_module
from qornn_hw.boards.kept import MEMBERS, Kept
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import NAMES
from qornn_hw.errors import BoardError

NETWORK = make_network(n=4, m=3, p=2, seed=5)
DESIGN = compile_network(NETWORK, columns_per_element=2, elements=2)
CELLS = {"ram": {"type": "SB_RAM40_4K", "parameters": {"READ_MODE": "00"}}}
KEPT = Kept(
    plan=DESIGN.schedule.plan,
    network=NETWORK,
    digest=DESIGN.digest,
    hz=48_000_000,
    rtlil="module \\top\nend\n",
    netlist=json.dumps({"modules": {"top": {"cells": CELLS}}}),
    placed=".device 5k\n",
    block_rams={"ram": {"bel": "X6/Y1/ram", "number": "0101"}},
)


@pytest.fixture
def members(tmp_path):
    """Return the members of a file that was written, by name."""
    KEPT.write(tmp_path / "good.zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path, members, **options):
    """Write members as an archive, in order; a list of pairs may name one twice."""
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(path, "w", **({"compression": zipfile.ZIP_DEFLATED} | options)) as archive:
        for name, data in pairs:
            archive.writestr(name, data)
    return path


def test_what_was_written_is_read(tmp_path):
    """Every field comes back, and the cells of the netlist by name."""
    KEPT.write(tmp_path / "placed.zip", tmp_path)
    back = Kept.read(tmp_path / "placed.zip", tmp_path)
    assert (back.plan, back.digest, back.hz) == (KEPT.plan, KEPT.digest, KEPT.hz)
    assert (back.rtlil, back.netlist, back.placed) == (KEPT.rtlil, KEPT.netlist, KEPT.placed)
    assert back.block_rams == KEPT.block_rams
    assert back.cells() == (json.loads(KEPT.netlist), CELLS)
    assert {p.name for p in tmp_path.iterdir()} == {"placed.zip"}


def refused(path, tmp_path, message):
    """Check that a file is refused in one line, and that nothing is left of it."""
    before = {p.name for p in tmp_path.iterdir()}
    with pytest.raises(BoardError, match=message) as caught:
        Kept.read(path, tmp_path).cells()
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} - before <= {"kept_network.npz"}


FACTS = {
    "another version": ({"version": 3}, "version 3"),
    "a text as the version": ({"version": "2\u001b[2J"}, r"version '2\\x1b\[2J'"),
    "a clock of no board": ({"hz": 10**12}, "facts.json.hz must be an integer from 1 to 1e"),
    "a clock that is true": ({"hz": True}, "facts.json.hz must be an integer from 1 .* not True"),
    "a digest that is a path": (
        {"digest": "../../etc"},
        r"facts.json.digest must be 64 hexadecimal digits, not '\.\./",
    ),
    "a place with a line break": (
        {"block_rams": {"ram": {"bel": "X1\n.device 8k"}}},
        r"block_rams.'ram'.bel must be the place of a block RAM",
    ),
    "a RAM without a place": ({"block_rams": {"ram": {}}}, "block_rams.'ram' has no bel"),
    "no clock": ({"hz": None}, "facts.json.hz must be"),
    "a plan that is a list": ({"plan": []}, r"facts.json.plan must be a JSON object, not \[\]"),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_have_their_types(name, members, tmp_path):
    """Each fact of a wrong type or out of its range is named."""
    change, message = FACTS[name]
    facts = json.loads(members["facts.json"]) | change
    members["facts.json"] = json.dumps(facts).encode()
    refused(written(tmp_path / "placed.zip", members), tmp_path, f"must be what a build kept, .*{message}")


PLANS = {
    "more elements than columns": ({"elements": 8}, "elements of a plan for this network must be at most 7"),
    "elements without end": ({"elements": 10**18}, "elements of a plan must be an integer from 0 to"),
    "no elements": ({"elements": 0}, "a plan must have elements with columns"),
    "negative": ({"spram_elements": -1}, "spram_elements of a plan must be an integer from 0 to"),
    "half a column": ({"columns_per_element": 1.5}, "columns_per_element of a plan must be an integer"),
    "a text as a switch": ({"room": "false"}, "room of a plan must be true or false, not 'false'"),
    "another engine": ({"engine": "gpu"}, f"engine must be {' or '.join(NAMES)}, not 'gpu'"),
    "something else": ({"command": "rm"}, "a plan must have no entry 'command'"),
}


@pytest.mark.parametrize("name", PLANS)
def test_plans_are_plans(name, members, tmp_path):
    """A plan with an entry that no hardware has is refused before anything is computed with it."""
    change, message = PLANS[name]
    facts = json.loads(members["facts.json"])
    facts["plan"] |= change
    members["facts.json"] = json.dumps(facts).encode()
    refused(written(tmp_path / "placed.zip", members), tmp_path, message)


WIDTHS = {
    "too few": ({"dot_bits": [8]}, "dot_bits of a plan for this network must be 2 numbers, not 1"),
    "not a list": ({"partial_sum_bits": 8}, "widths of a plan must have a list of partial_sum_bits"),
    "huge": ({"accumulator_bits": 1 << 40}, "accumulator_bits of a plan must be an integer from 0 to"),
    "unknown": ({"other": 1}, "unexpected keyword argument 'other'"),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_widths_are_widths(name, members, tmp_path):
    """Widths of another hardware, or of none, are refused."""
    change, message = WIDTHS[name]
    facts = json.loads(members["facts.json"])
    facts["plan"]["widths"] |= change
    members["facts.json"] = json.dumps(facts).encode()
    refused(written(tmp_path / "placed.zip", members), tmp_path, message)


NETLISTS = {
    "no modules": ("{}", "must hold a netlist, and does not: it has no modules"),
    "no top": ('{"modules": {}}', "it has no top"),
    "cells in a list": ('{"modules": {"top": {"cells": []}}}', "its cells are no JSON object"),
    "a cell without a type": ('{"modules": {"top": {"cells": {"a": {}}}}}', "cell 'a' has no type"),
    "a number as a parameter": (
        '{"modules": {"top": {"cells": {"a": {"type": "X", "parameters": {"P": 1}}}}}}',
        "cell 'a' must have texts as its parameters",
    ),
    "nested without end": ("[" * 100_000, "its values are nested too deeply"),
}


@pytest.mark.parametrize("name", NETLISTS)
def test_netlists_are_netlists(name, members, tmp_path):
    """A netlist that is not what yosys writes is refused."""
    text, message = NETLISTS[name]
    members["netlist.json"] = text.encode()
    refused(written(tmp_path / "placed.zip", members), tmp_path, message)


def test_members_are_those_that_are_written(members, tmp_path):
    """A member twice, one too few, and one with a path are refused; nothing is written anywhere."""
    message = "its members must be facts.json, network.npz, design.il, netlist.json, placed, not "
    twice = [*members.items(), ("placed", b".device 8k\n")]
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = written(tmp_path / "twice.zip", twice)
    refused(path, tmp_path, message)
    refused(
        written(tmp_path / "more.zip", members | {"../../x": b""}), tmp_path, rf"{message}.*'\.\./\.\./x'"
    )
    del members["placed"]
    refused(written(tmp_path / "fewer.zip", members), tmp_path, message)


def test_a_flipped_bit_is_found(members, tmp_path):
    """Every member has a CRC-32, and a file that is cut has no directory."""
    path = written(tmp_path / "stored.zip", members, compression=zipfile.ZIP_STORED)
    data = path.read_bytes()
    at = data.index(b".device 5k")
    path.write_bytes(data[:at] + b"." + bytes([data[at + 1] ^ 1]) + data[at + 2 :])
    refused(path, tmp_path, "it is damaged: Bad CRC-32 for file 'placed'")
    path.write_bytes(data[:-30])
    # A directory is found nevertheless: that of the network in it, whose members are stored as they are.
    refused(path, tmp_path, "its members must be .* not 'header.npy'")
    path.write_bytes(data[:100])
    refused(path, tmp_path, "it is damaged: File is not a zip file")


def test_members_do_not_inflate_without_end(members, tmp_path, monkeypatch):
    """A member that inflates to far more than any design, as declared or in truth, is refused."""
    bomb = members | {"placed": bytes(10 << 20)}
    refused(written(tmp_path / "bomb.zip", bomb), tmp_path, "placed inflates to more than 200 times its size")
    monkeypatch.setitem(MEMBERS, "design.il", 10)
    refused(
        written(tmp_path / "large.zip", members), tmp_path, "design.il must have at most 10 bytes, not 16"
    )
    # The directory says 10 bytes, the data are 16.
    path = written(tmp_path / "lie.zip", members)
    data = bytearray(path.read_bytes())
    size = struct.pack("<L", len(members["design.il"]))
    for start in (data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")):
        at = data.index(b"design.il", start)
        offset = at - (30 - 22 if start == 0 else 46 - 24)
        assert data[offset : offset + 4] == size
        data[offset : offset + 4] = struct.pack("<L", 10)
    path.write_bytes(bytes(data))
    refused(path, tmp_path, "it is damaged: Bad CRC-32 for file 'design.il'")


def test_members_are_packed_in_a_way_that_is_known(members, tmp_path):
    """Encryption and methods that are not those of a build are refused."""
    path = written(tmp_path / "bzip2.zip", members, compression=zipfile.ZIP_BZIP2)
    refused(path, tmp_path, "facts.json must be stored or deflated")
    path = written(tmp_path / "encrypted.zip", members)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        data[at + offset] |= 1
    path.write_bytes(bytes(data))
    refused(path, tmp_path, "it is damaged: File .*'facts.json'.* is encrypted")


def test_files_that_are_none(tmp_path):
    """A folder and nothing at all are told, a device is not read."""
    refused(tmp_path / "nothing.zip", tmp_path, "^the build must have nothing.zip, .* has none")
    (tmp_path / "folder.zip").mkdir()
    refused(tmp_path / "folder.zip", tmp_path, "must be what a build kept, and is not: it is not a file")


def test_want_of_memory_is_one_line(members, tmp_path, monkeypatch):
    """A file for which the machine has too little memory is refused with that reason."""

    def full(_):
        raise MemoryError

    monkeypatch.setattr(kept_module, "_members", full)
    refused(written(tmp_path / "placed.zip", members), tmp_path, "and is not: MemoryError; build it anew")


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_is_one_line(seed, members, tmp_path):
    """A changed random byte gives the same data or a BoardError, nothing else."""
    import random

    rng = random.Random(seed)
    path = written(tmp_path / "placed.zip", members)
    data = path.read_bytes()
    refusals = 0
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            back = Kept.read(path, tmp_path)
        except BoardError:
            refusals += 1
        else:
            assert (back.plan, back.rtlil, back.placed) == (KEPT.plan, KEPT.rtlil, KEPT.placed)
            assert zlib.crc32(back.netlist.encode()) == zlib.crc32(KEPT.netlist.encode())
    assert refusals > 40
