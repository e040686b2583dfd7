"""What the digest of a design covers: every field of the plan, the network's facts, memories and logic."""

from dataclasses import fields, replace

import pytest
from amaranth.back import rtlil
from networks import make_network
from random_designs import draw

from qornn_hw.cells.elman_network import Activation, OutputKind, OutputMode
from qornn_hw.compiler import design as design_module
from qornn_hw.compiler.chain_plan import Chain
from qornn_hw.compiler.design import Design, compile_network
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import Widths
from qornn_hw.rtl_gen.engines import make_core


def with_plan(design: Design, **changes) -> Design:
    """Return a design that says it has another plan, whether the hardware could be built or not."""
    schedule = replace(design.schedule)
    s = design.schedule
    for name, value in (("placement", s.placement), ("widths", s.widths), ("timing", s.timing)):
        object.__setattr__(schedule, name, value)
    for name, value in changes.items():
        object.__setattr__(schedule, name, value)
    return replace(design, schedule=schedule)


def changed(value):
    """Return a value of the same kind that differs as little as it can."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, tuple):
        return (value[0] + 1, *value[1:])
    if isinstance(value, WeightStore):
        return WeightStore.SPRAM if value is WeightStore.BLOCK_RAM else WeightStore.BLOCK_RAM
    return 0 if value is None else f"{value}2"


DESIGNS = {
    "lut": compile_network(make_network(n=5, m=2), columns_per_element=2, elements=2),
    "dsp": compile_network(make_network(n=5, m=2), elements=2, engine="dsp"),
}


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
@pytest.mark.parametrize("name", [f.name for f in fields(Widths)])
def test_every_width_is_in_the_digest(design, name):
    """One bit more in any width is another design."""
    widths = replace(design.schedule.widths, **{name: changed(getattr(design.schedule.widths, name))})
    assert with_plan(design, widths=widths).digest != design.digest


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
@pytest.mark.parametrize("name", [f.name for f in fields(Chain)])
def test_every_number_of_the_chain_is_in_the_digest(design, name):
    """Another engine, shape, place of the weights or register is another design."""
    chain = replace(design.schedule.chain, **{name: changed(getattr(design.schedule.chain, name))})
    assert with_plan(design, chain=chain).digest != design.digest


def test_room_and_shift_are_in_the_digest():
    """The rest of the plan."""
    design = DESIGNS["lut"]
    network = design.network
    finer = replace(network, shift=network.shift + 1)
    others = [with_plan(design, room=True), with_plan(design, network=finer)]
    assert len({design.digest, *(other.digest for other in others)}) == 3


@pytest.mark.parametrize("engine", DESIGNS)
def test_widths_that_are_wider_are_another_design(engine):
    """Sums one bit wider give other RTLIL, and another digest."""
    design = DESIGNS[engine]
    s = design.schedule
    widths = replace(
        s.widths,
        dot_bits=tuple(bits + 1 for bits in s.widths.dot_bits),
        partial_sum_bits=tuple(bits + 1 for bits in s.widths.partial_sum_bits),
        accumulator_bits=s.widths.accumulator_bits + 1,
        logit_bits=s.widths.logit_bits + 1,
    )
    wider = replace(design, schedule=replace(s, given=widths))
    assert rtlil.convert(make_core(wider)) != rtlil.convert(make_core(design))
    assert wider.digest != design.digest


def test_every_bit_of_a_memory_is_in_the_digest():
    """The contents of each memory count, and so does its layout."""
    for design in DESIGNS.values():
        digests = {design.digest}
        for memory in design.memories:
            digests.add(design.with_memory(memory.flip(0, 0)).digest)
            first, *rest = memory.fields
            renamed = replace(memory, fields=(replace(first, name="other"), *rest))
            digests.add(design.with_memory(renamed).digest)
        assert len(digests) == 1 + 2 * len(design.memories)


@pytest.mark.parametrize(
    "change",
    [
        {"activation": Activation.RELU},
        {"output_mode": OutputMode.LAST_STEP},
        {"output_kind": OutputKind.LOGITS},
        {"multiplier": 2},
        {"rounding_constant": 1},
        {"readout_constants": (1,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_facts_of_network_and_logic_are_in_the_digest(change):
    """What the memories do not hold: functions, output, and constants of the logic."""
    design = DESIGNS["lut"]
    name, value = next(iter(change.items()))
    if hasattr(design.network, name) and name not in ("multiplier",):
        other = with_plan(design, network=replace(design.network, **change))
    else:
        other = replace(design, **{name: value})
    assert other.digest != design.digest


def test_another_version_of_the_core_is_another_design(monkeypatch):
    """What the gateware changes is not in plan or memories: its version is."""
    before = DESIGNS["lut"].digest
    monkeypatch.setattr(design_module, "CORE_VERSION", design_module.CORE_VERSION + 1)
    assert DESIGNS["lut"].digest != before


@pytest.mark.parametrize("count", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_designs_with_different_rtlil_have_different_digests(count):
    """Of random designs, no two that differ in their RTLIL share a digest; the same design has one digest."""
    found = {}
    for seed in range(count):
        design = draw(seed, units=12)
        text = rtlil.convert(make_core(design), emit_src=False)
        assert found.setdefault(design.digest, text) == text
        assert draw(seed, units=12).digest == design.digest
    assert len(found) == count
