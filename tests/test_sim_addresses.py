# amaranth: UnusedElaboratable=no
"""Addresses beyond a memory stop a simulation in Amaranth's simulator."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import Fragment, Module, Signal
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator

from qornn_hw.cells.elman_network import Activation, InputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import MismatchError
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.links.frame_link import FrameLink
from qornn_hw.sim.addresses import check_addresses, memories
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_network, random_sequences

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
DEPTH = 5


class Accesses:
    """A memory of five words below two levels, with a port of each kind."""

    def __init__(self):
        self.read, self.write, self.enable = Signal(3), Signal(3), Signal()

    def build(self, domain):
        """Return the component with a read port of a domain."""
        inner, outer = Module(), Module()
        inner.submodules.memory = memory = Memory(shape=4, depth=DEPTH, init=[])
        read, write = memory.read_port(domain=domain), memory.write_port()
        inner.d.comb += [read.addr.eq(self.read), write.addr.eq(self.write), write.en.eq(self.enable)]
        # A simulation needs the domain.
        inner.d.sync += Signal(name="tick").eq(1)
        outer.submodules.inner = inner
        return outer


def run(domain, values):
    """Play values of read address, write address and write enable, one set a cycle."""
    ports = Accesses()

    async def bench(ctx):
        for read, write, enable in values:
            ctx.set(ports.read, read)
            ctx.set(ports.write, write)
            ctx.set(ports.enable, enable)
            await ctx.tick()

    simulator = Simulator(check_addresses(ports.build(domain)))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("domain", ["sync", "comb"])
def test_accesses_to_words_pass(domain):
    """Every word may be read and written; a write address that is not enabled may be any."""
    run(domain, [(word, word, 1) for word in range(DEPTH)] + [(0, 7, 0)])


@pytest.mark.parametrize("domain", ["sync", "comb"])
@pytest.mark.parametrize("address", [5, 6, 7])
@pytest.mark.parametrize("kind, verb", [("read", "read"), ("write", "written")])
def test_accesses_beyond_the_last_word_stop_it(domain, address, kind, verb):
    """The message has the memory's path, its words and the address."""
    values = (address, 0, 0) if kind == "read" else (0, address, 1)
    message = rf"memory top\.inner must be {verb} at words 0 to 4, not at {address}$"
    with pytest.raises(AssertionError, match=message):
        run(domain, [(0, 0, 0), values, (0, 0, 0)])


def test_every_memory_is_found():
    """Below any number of levels, with its path."""
    fragment = check_addresses(Accesses().build("sync"))
    assert [(path, memory._data.depth) for path, _, memory in memories(fragment)] == [("top.inner", DEPTH)]


# One design with each memory that a core may have.
DESIGNS = {
    "lut": [
        ({"activation": Activation.TANH}, {"columns_per_element": 2, "elements": 2}),
        ({"input_kind": InputKind.ONE_HOT}, {"columns_per_element": 2, "elements": 2}),
        ({}, {"columns_per_element": 2, "elements": 2, "readout_lanes": 2}),
        ({"output_mode": OutputMode.LAST_STEP}, {"columns_per_element": 2, "elements": 3, "input_lanes": 1}),
    ],
    "dsp": [
        ({"activation": Activation.TANH}, {"elements": 2}),
        ({"activation": Activation.MODRELU, "input_kind": InputKind.ONE_HOT}, {"elements": 2}),
        ({}, {"elements": 3, "store": WeightStore.BLOCK_RAM}),
    ],
}


def memories_of(engine):
    """Return the depths of the memories of an engine's cores, by path without numbers; of the link's, too."""
    depths = {}
    for settings, chain in DESIGNS.get(engine, DESIGNS["lut"][:1]):
        network = random_network(seed=1, hidden_size=5, input_size=1, output_size=3, **settings)
        if engine == "link":
            design = compile_network(network, **chain)
            component = FrameLink(form=LinkFormat.of(design), timeout_bits=18)
        else:
            component = make_core(compile_network(network, engine=engine, **chain), preloaded=True)
        for path, _, memory in memories(Fragment.get(component, None)):
            name = re.sub(r"_\d+", "", path.removeprefix("top."))
            depths.setdefault(name, set()).add(memory._data.depth)
    return depths


@pytest.mark.parametrize("engine", ["lut", "dsp", "link"])
def test_the_documentation_names_every_memory(engine):
    """The table of docs/architecture.md has all of them, no other, and the right ones as powers of two."""
    rows = re.findall(r"^\| (both|lut|dsp|link) \| `(\S+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    named = {
        name: words for who, name, words in rows if who == engine or (who == "both" and engine != "link")
    }
    depths = memories_of(engine)
    assert set(named) == set(depths)
    for name, words in named.items():
        if words == "a power of two":
            assert all(depth.bit_count() == 1 for depth in depths[name]), name


def test_a_core_that_reads_beyond_a_memory_is_a_mismatch():
    """The memory of the rows' constants lacks its last word: one line says where, and which words it has."""
    network = random_network(seed=1, hidden_size=5, input_size=1, output_size=2)
    design = compile_network(network, columns_per_element=2, elements=2)
    constants = design.memory("constants")
    short = constants.with_words(constants.words[:-1])
    message = r"^memory top\.constants must be read at words 0 to 5, not at 6$"
    with pytest.raises(MismatchError, match=message):
        simulate_core_in_python(
            design.with_memory(short), random_sequences(network, batch=1, steps=3, seed=0)
        )
