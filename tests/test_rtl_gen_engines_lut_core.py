"""The core in Amaranth's simulator against the integer model."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import lut
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.rtl_gen.answer import Answer
from qornn_hw.rtl_gen.engines.lut.core import LutCore
from qornn_hw.sim import core_simulation
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences


def check(columns=2, elements=2, readout=0, spram=0, **settings):
    """Simulate a random network and return the result with the design."""
    sizes = {"hidden_size": 5, "input_size": 3, "output_size": 3}
    network = random_network(**{"seed": 1, **sizes, **settings})
    design = compile_network(
        network, columns_per_element=columns, elements=elements, readout_lanes=readout, spram_elements=spram
    )
    sequences = [
        *random_sequences(network, batch=1, steps=6, seed=1),
        *corner_sequences(network, steps=2).values(),
    ]
    return simulate_core_in_python(design, sequences), design


@pytest.mark.sampled(12)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("activation", list(Activation))
def test_every_activation_and_input(activation, input_kind, output_mode):
    """All integers are right, and a step takes the cycles of the schedule."""
    result, design = check(activation=activation, input_kind=input_kind, output_mode=output_mode)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(10)
@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_of_weights(bits, rounding):
    """W, U and V have their own widths, at both roundings."""
    check(weight_bits=WeightBits(bits, 9 - bits, 1 + bits % 8), rounding=rounding)


@pytest.mark.parametrize("state_bits", [4, 8, 12, 16])
@pytest.mark.parametrize("shared_multiplier", [False, True])
def test_every_width_of_states(state_bits, shared_multiplier):
    """Narrow and wide states, one multiplier for all units or one each."""
    check(state_bits=state_bits, shared_multiplier=shared_multiplier, weight_bits=8)


@pytest.mark.parametrize(
    ("hidden_size", "columns", "elements"),
    [(1, 1, 1), (1, 1, 2), (1, 4, 2), (7, 3, 1), (7, 3, 2), (7, 3, 4), (7, 1, 10), (16, 4, 5), (17, 8, 2)],
)
def test_every_shape_of_chain(hidden_size, columns, elements):
    """One pass or many, lanes that divide the columns or not."""
    result, design = check(hidden_size=hidden_size, columns=columns, elements=elements)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(8)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize(
    ("hidden_size", "output_size", "columns", "elements", "readout"),
    [
        (5, 3, 2, 2, 2),
        (16, 10, 4, 3, 5),
        (9, 2, 4, 2, 1),
        (1, 1, 1, 1, 1),
        (1, 4, 1, 2, 3),
        (8, 3, 4, 3, 3),
        (1, 5, 1, 1, 2),
        (2, 3, 1, 1, 1),
        (2, 5, 2, 1, 2),
    ],
)
def test_every_shape_of_readout(hidden_size, output_size, columns, elements, readout, output_mode):
    """Logits in multipliers beside the chain: one sweep or many, lanes that divide the outputs or not."""
    for bits in (1, 4):
        result, design = check(
            columns,
            elements,
            readout,
            hidden_size=hidden_size,
            output_size=output_size,
            output_mode=output_mode,
            weight_bits=WeightBits(4, 4, 2 * bits),
            output_kind=OutputKind.BOTH if bits == 1 else OutputKind.ARGMAX,
            activation=Activation.MODRELU if bits == 1 else Activation.RELU,
        )
        assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(10)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("form", [IntFormat(8, signed=True), IntFormat(8, signed=False), IntFormat(1, False)])
@pytest.mark.parametrize(
    ("columns", "elements", "readout", "bits", "activation"),
    [
        (4, 1, 0, WeightBits(4, 4, 4), Activation.RELU),
        (4, 2, 2, WeightBits(4, 8, 4), Activation.MODRELU),
        (2, 1, 0, WeightBits(2, 1, 2), Activation.IDENTITY),
        (3, 3, 1, WeightBits(1, 1, 1), Activation.TANH),
    ],
)
@pytest.mark.parametrize("register", [False, True])
def test_single_input_behind_the_chain(
    columns, elements, readout, bits, activation, form, output_mode, register
):
    """U x of one input in a multiplier: it takes no column, and its word waits for no state."""
    network = random_network(
        seed=4, hidden_size=9, input_size=1, output_size=2, activation=activation, weight_bits=bits,
        input_format=form, output_mode=output_mode, shared_multiplier=columns == 4,
    )  # fmt: skip
    design = compile_network(
        network, columns_per_element=columns, elements=elements, readout_lanes=readout, input_lanes=1,
        memory_register=register,
    )  # fmt: skip
    sequences = [
        *random_sequences(network, batch=2, steps=5, seed=1),
        *corner_sequences(network, steps=2).values(),
    ]
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    for pattern in PATTERNS:
        simulate_core_in_python(design, sequences, idle=pattern, back_pressure=pattern, reset_after=2)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize("readout", [0, 2])
@pytest.mark.parametrize("passes", [3, 4])
@pytest.mark.parametrize(
    "inputs",
    [
        {"input_size": 1, "input_format": IntFormat(8, signed=False)},
        {"input_size": 3},
        {"input_size": 5, "input_kind": InputKind.ONE_HOT},
    ],
    ids=["one behind the chain", "in the chain", "one-hot"],
)
def test_no_cycle_between_steps(inputs, passes, readout, register):
    """Where the last row of a step and the first of the next one are neighbours, each has its own input."""
    network = random_network(
        seed=6, hidden_size=40, output_size=2, output_mode=OutputMode.LAST_STEP, state_bits=12,
        weight_bits=WeightBits(3, 8, 3), activation=Activation.MODRELU, **inputs,
    )  # fmt: skip
    behind = int(network.input_size == 1)
    words = lut.schedule(network, 8, 1, readout_lanes=readout, input_lanes=behind).placement.words
    design = compile_network(
        network, columns_per_element=8, elements=-(-words // passes), readout_lanes=readout,
        input_lanes=behind, memory_register=register,
    )  # fmt: skip
    s = design.schedule
    assert max(s.timing.step_gap, s.timing.answer_gap) <= s.timing.update_period == network.hidden_size
    result = simulate_core_in_python(design, random_sequences(network, batch=2, steps=4, seed=1))
    assert result.cycles_per_step == s.cycles_per_step == s.placement.passes * network.hidden_size


@pytest.mark.sampled(12)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize(("hidden_size", "passes"), [(1, 1), (9, 1), (9, 2), (16, 3)])
@pytest.mark.parametrize("bits", [1, 4])
def test_register_behind_the_memories(hidden_size, passes, columns, bits, input_kind, output_mode):
    """Operands follow the weights, and the tail the constants, which come a cycle later."""
    network = random_network(
        seed=2, hidden_size=hidden_size, input_size=2, output_size=2, input_kind=input_kind, weight_bits=bits,
        output_mode=output_mode, activation=Activation.MODRELU if columns == 4 else Activation.RELU,
        shared_multiplier=hidden_size == 16,
    )  # fmt: skip
    elements = -(-lut.schedule(network, columns, 1).placement.words // passes)
    design = compile_network(network, columns_per_element=columns, elements=elements, memory_register=True)
    sequences = random_sequences(network, batch=3, steps=4, seed=1)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    simulate_core_in_python(design, sequences, idle="random", back_pressure="random", reset_after=3)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize(
    ("hidden_size", "columns", "elements", "spram", "readout", "bits"),
    [
        (1, 1, 1, 1, 0, WeightBits(4, 4, 4)),
        (7, 4, 2, 1, 0, WeightBits(4, 4, 4)),
        (16, 4, 3, 3, 0, WeightBits(4, 2, 3)),
        (20, 4, 5, 4, 2, WeightBits(4, 4, 8)),
        (17, 2, 4, 2, 0, WeightBits(8, 8, 8)),
        (17, 8, 1, 1, 0, WeightBits(2, 2, 1)),
        (9, 8, 2, 1, 1, WeightBits(1, 1, 1)),
        (9, 3, 2, 2, 0, WeightBits(5, 4, 5)),
    ],
)
def test_weights_of_the_first_elements_in_spram(
    hidden_size, columns, elements, spram, readout, bits, input_kind, output_mode
):
    """Every shape of word in an SPRAM, all elements or some: the integers and cycles of block RAM."""
    shape = {
        "hidden_size": hidden_size, "columns": columns, "elements": elements, "readout": readout,
        "weight_bits": bits, "input_kind": input_kind, "output_mode": output_mode, "input_size": 2,
        "activation": Activation.MODRELU if bits.input == 4 else Activation.RELU,
    }  # fmt: skip
    result, design = check(spram=spram, **shape)
    assert design.schedule.placement.weight_banks == spram
    plain, without = check(**shape)
    for e in range(elements):
        assert design.memory(f"weights_{e}").words == without.memory(f"weights_{e}").words
    assert result.cycles_per_step == plain.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(3)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize(("elements", "spram", "readout"), [(2, 1, 0), (3, 3, 2)])
def test_spram_with_an_input_behind_the_chain(elements, spram, readout, register, output_mode):
    """The chain that an iCEBreaker takes: a pixel a step beside it, several passes; pauses, a reset."""
    network = random_network(
        seed=5, hidden_size=18, input_size=1, output_size=3, output_mode=output_mode, state_bits=12,
        input_format=IntFormat(8, signed=False), shared_multiplier=True,
    )  # fmt: skip
    design = compile_network(
        network, columns_per_element=4, elements=elements, readout_lanes=readout, input_lanes=1,
        memory_register=register, spram_elements=spram,
    )  # fmt: skip
    sequences = random_sequences(network, batch=3, steps=4, seed=1)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    simulate_core_in_python(design, sequences, idle="random", back_pressure="random", reset_after=3)


@pytest.mark.parametrize("element", range(3))
def test_every_wrong_bit_of_a_weight_in_spram_is_noticed(element):
    """A flipped sign of a weight of any element, the two in SPRAM and the one that is not."""
    network = random_network(seed=1, hidden_size=11, input_size=1, output_size=2)
    design = compile_network(network, columns_per_element=4, elements=3, spram_elements=2)
    sequences = random_sequences(network, batch=1, steps=4, seed=1)
    simulate_core_in_python(design, sequences)
    image = design.memory(f"weights_{element}")
    with pytest.raises(MismatchError):
        simulate_core_in_python(design.with_memory(image.flip(1, 3)), sequences)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("output_kind", list(OutputKind))
def test_answers_in_registers(output_kind, pattern):
    """One at a time, of sequences long and short: the next one waits for room, and none is lost."""
    network = random_network(
        seed=3, hidden_size=6, input_size=2, output_size=5, output_mode=OutputMode.LAST_STEP,
        output_kind=output_kind,
    )  # fmt: skip
    design = compile_network(network, columns_per_element=2, elements=2, answer_registers=True)
    plain = compile_network(network, columns_per_element=2, elements=2)
    assert design.digest != plain.digest
    assert design.schedule.cycles_per_step == plain.schedule.cycles_per_step
    sequences = [random_sequences(network, batch=1, steps=n, seed=n)[0] for n in (4, 1, 1, 3)]
    for idle in PATTERNS:
        simulate_core_in_python(design, sequences, idle=idle, back_pressure=pattern, reset_after=2)


@pytest.mark.parametrize("registers", [False, True])
def test_room_is_taken_by_launches_and_given_back_by_readers(registers):
    """Of two answers in a memory, of one in registers: no launch before the last word of it has left."""
    network = random_network(
        seed=3, hidden_size=6, input_size=2, output_size=5, output_mode=OutputMode.LAST_STEP,
        output_kind=OutputKind.LOGITS,
    )  # fmt: skip
    answer = Answer.of_design(
        compile_network(network, columns_per_element=2, elements=2, answer_registers=registers)
    )

    async def bench(ctx):
        for held in range(1, 2 if registers else 3):
            assert ctx.get(answer.room)
            ctx.set(answer.launch, 1)
            await ctx.tick()
            ctx.set(answer.launch, 0)
            for value in range(5):
                ctx.set(answer.valid, 1)
                ctx.set(answer.logit, value - held)
                await ctx.tick()
            ctx.set(answer.valid, 0)
        await ctx.tick().repeat(3)
        for value in range(5):
            assert not ctx.get(answer.room)
            assert ctx.get(answer.o.valid) and ctx.get(answer.o.payload.data) == value - 1
            ctx.set(answer.o.ready, 1)
            await ctx.tick()
            ctx.set(answer.o.ready, 0)
            await ctx.tick().repeat(2)
        assert ctx.get(answer.room)

    simulator = Simulator(check_addresses(answer))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_answers_in_registers_are_for_one_a_sequence():
    """At every step the next step would wait for the last answer to go; a readout is further behind."""
    message = r"^answer_registers must be off with a readout or an answer at every step, which would wait$"
    network = random_network(seed=3, hidden_size=6, input_size=2, output_size=5)
    last = replace(network, output_mode=OutputMode.LAST_STEP)
    for net, readout in ((network, 0), (last, 2)):
        with pytest.raises(FormatError, match=message):
            lut.schedule(net, 2, 2, readout_lanes=readout, answer_registers=True)
    with pytest.raises(FormatError, match=r"^answer_registers must be off with the dsp engine$"):
        compile_network(last, elements=2, engine="dsp", answer_registers=True)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("input_kind", list(InputKind))
def test_a_readout_waits_for_its_reader(pattern, input_kind):
    """Whatever the streams wait, no logit is lost and none comes twice; a reset leaves nothing behind."""
    network = random_network(seed=3, hidden_size=6, input_size=2, output_size=5, input_kind=input_kind)
    design = compile_network(network, columns_per_element=2, elements=2, readout_lanes=2)
    sequences = [random_sequences(network, batch=1, steps=n, seed=n)[0] for n in (4, 1, 1, 3)]
    for idle in PATTERNS:
        simulate_core_in_python(design, sequences, idle=idle, back_pressure=pattern, reset_after=2)


@pytest.mark.parametrize("input_kind", list(InputKind))
def test_without_first_the_state_goes_on(monkeypatch, input_kind):
    """Sequences whose first word is not marked go on from the state before, across `last`."""
    plain = core_simulation.input_words
    monkeypatch.setattr(
        core_simulation, "input_words", lambda *a: [(data, 0, last) for data, _, last in plain(*a)]
    )
    check(input_kind=input_kind)


def test_answers_of_one_word():
    """One logit and nothing else is an answer too."""
    for mode in OutputMode:
        check(output_size=1, output_mode=mode)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("output_kind", list(OutputKind))
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize(
    ("hidden_size", "output_size", "columns", "elements"), [(8, 16, 4, 3), (8, 10, 2, 5), (5, 20, 8, 2)]
)
def test_answers_longer_than_the_pipeline(
    hidden_size, output_size, columns, elements, output_mode, output_kind
):
    """An answer that goes alone right behind another loses no word, whatever the lengths of the sequences."""
    network = random_network(
        seed=1,
        hidden_size=hidden_size,
        input_size=2,
        output_size=output_size,
        weight_bits=2,
        output_mode=output_mode,
        output_kind=output_kind,
    )
    design = compile_network(network, columns_per_element=columns, elements=elements)
    sequences = [random_sequences(network, batch=1, steps=n, seed=n)[0] for n in (3, 2, 1, 1, 4)]
    for back_pressure in PATTERNS:
        result = simulate_core_in_python(design, sequences, back_pressure=back_pressure)
        assert result.steps == 11


def test_argmax_takes_the_lowest_of_equal_logits():
    """With equal rows of V and equal c every answer is the first of the largest."""
    network = random_network(seed=1, hidden_size=5, input_size=2, output_size=4)
    rows = np.tile(network.output_weight[:1], (4, 1))
    network = replace(network, output_weight=rows, output_bias=np.array([1, 5, 5, 5]))
    sequences = random_sequences(network, batch=2, steps=4, seed=1)
    assert set(IntegerModel(network).run(np.stack(sequences)).argmax.flat) == {1}
    simulate_core_in_python(compile_network(network, columns_per_element=2, elements=2), sequences)


def test_symbols_are_handed_over_while_rows_are_under_way():
    """In two passes of many rows the next symbol arrives before the last row of this one is out."""
    check(hidden_size=16, columns=2, elements=4, input_kind=InputKind.ONE_HOT)


@pytest.mark.parametrize(("input_size", "elements"), [(8, 2), (20, 4)])
def test_more_inputs_than_rows(input_size, elements):
    """Where the input sets the pace, a step takes about what it takes to arrive, and all is right."""
    network = random_network(seed=1, hidden_size=5, input_size=input_size, output_size=3)
    s = (design := compile_network(network, columns_per_element=8, elements=elements)).schedule
    result = simulate_core_in_python(design, random_sequences(network, batch=1, steps=40, seed=1))
    # Two inputs wait in the buffer at the start.
    assert s.cycles_per_step - 1 <= result.cycles_per_step <= 1.5 * s.cycles_per_step


@pytest.mark.parametrize("input_kind", list(InputKind))
def test_reset_in_every_cycle_of_two_steps(input_kind):
    """One cycle of reset, whenever it comes, leaves nothing behind: the next sequence is answered right."""
    network = random_network(seed=2, hidden_size=3, input_size=2, output_size=3, input_kind=input_kind)
    design = compile_network(network, columns_per_element=2, elements=2)
    (first,) = random_sequences(network, batch=1, steps=3, seed=1)
    (second,) = random_sequences(network, batch=1, steps=2, seed=2)
    expected = IntegerModel(network).run(second[None])
    words = [*expected.logits[0].reshape(2, -1).tolist()]
    wanted = [w for logits, k in zip(words, expected.argmax[0], strict=True) for w in (*logits, int(k))]
    for cycle in range(2 * design.schedule.cycles_per_step + 10):
        assert answers_after_reset(design, first, second, cycle, len(wanted)) == wanted, cycle


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("changes", "slow"),
    [({"readout_lanes": 2}, False), ({"readout_lanes": 2}, True), ({"answer_registers": True}, True)],
    ids=["readout", "readout, answers wait", "registers, answers wait"],
)
def test_reset_in_every_cycle_of_an_answer_that_waits(changes, slow):
    """Nor a part of an answer: in the readout, in the memory of answers, or in their registers."""
    mode = OutputMode.LAST_STEP if "answer_registers" in changes else OutputMode.EVERY_STEP
    network = random_network(seed=2, hidden_size=3, input_size=2, output_size=3, output_mode=mode)
    design = compile_network(network, columns_per_element=2, elements=2, **changes)
    first, second = (random_sequences(network, batch=1, steps=1, seed=seed)[0] for seed in (1, 2))
    expected = IntegerModel(network).run(second[None])
    wanted = [*expected.logits.reshape(-1).tolist(), int(expected.argmax.reshape(-1)[0])]
    for cycle in range(90):
        assert answers_after_reset(design, first, second, cycle, len(wanted), slow) == wanted, cycle


def answers_after_reset(design, first, second, cycle, count, slow=False):
    """Play ``first`` for ``cycle`` cycles, reset for one, then play ``second``; return its answer words.

    Nobody takes those of ``first`` where ``slow``.
    """
    core, reset, answers = LutCore(design), Signal(), []

    async def bench(ctx):
        words = [core_simulation.input_words(s) for s in (first, second)]
        done, at, fresh = 0, 0, 0
        while len(answers) < count:
            ctx.set(core.o.ready, fresh or not slow)
            queue = words[fresh]
            ctx.set(core.i.valid, at < len(queue))
            if at < len(queue):
                ctx.set(core.i.p, dict(zip(("data", "first", "last"), queue[at], strict=True)))
            now = done == cycle
            ctx.set(reset, now)
            taken = ctx.get(core.i.valid) and ctx.get(core.i.ready) and not now
            if fresh and ctx.get(core.o.valid) and not now:
                answers.append(ctx.get(core.o.p.data))
            await ctx.tick()
            at += bool(taken)
            if now:
                fresh, at = 1, 0
            done += 1
            assert done < 2000

    simulator = Simulator(check_addresses(ResetInserter(reset)(core)))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return answers
