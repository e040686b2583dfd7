"""Places, widths and times of a schedule."""

from dataclasses import replace

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_bounds import state_range
from qornn_hw.cells.elman_network import OutputMode, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import lut
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import bits_for_range

SHAPES = [
    (n, m, c, e)
    for n, m in ((1, 1), (2, 3), (7, 1), (16, 8), (17, 5))
    for c in (1, 2, 3, 4, 8)
    for e in (1, 2, 3, 5)
]


def schedules():
    """Return schedules of many shapes, one-hot and vector."""
    found = []
    for n, m, c, e in SHAPES:
        for changes in ({}, one_hot_fields(m)):
            net = make_network(n=n, m=m, **changes)
            if e <= lut.schedule(net, c, 1).placement.words:
                found.append(lut.schedule(net, c, e))
    return found


def name(s):
    """Return what tells a schedule from the others."""
    net = s.network
    chain = f"{s.chain.columns_per_element}x{s.chain.elements}"
    return f"{net.hidden_size}-{net.input_size}-{net.input_kind}-{chain}"


SCHEDULES = schedules()


@pytest.mark.parametrize("s", SCHEDULES, ids=name)
def test_every_column_has_one_place(s):
    """Each column of U and of W is in one word, in order, and each word in one element and pass."""
    inputs = [c for w in range(s.placement.input_words) for c in s.placement.columns(w)]
    units = [c for w in range(s.placement.input_words, s.placement.words) for c in s.placement.columns(w)]
    assert inputs == (list(range(s.network.input_size)) if s.network.vector_input else [])
    assert units == list(range(s.network.hidden_size))
    places = [s.placement.place(w) for w in range(s.placement.words)]
    assert len(set(places)) == len(places)
    assert all(q < s.placement.passes and e < s.chain.elements for q, e in places)


@pytest.mark.parametrize("s", SCHEDULES, ids=name)
def test_the_weights_compute_the_network(s):
    """Dot products of all words with their operands sum to W g + U x and V g."""
    net = s.network
    rng = np.random.default_rng(0)
    g = rng.integers(-128, 128, net.hidden_size)
    x = rng.integers(0, 16, net.input_size)
    operands = np.zeros((s.placement.passes * s.chain.elements, s.chain.columns_per_element), dtype=np.int64)
    for w in range(s.placement.words):
        source = x if w < s.placement.input_words else g
        operands[w, : len(s.placement.columns(w))] = source[list(s.placement.columns(w))]
    sums = np.einsum("rwc,wc->r", s.placement.word_weights, operands)
    drive = net.input_weight @ x if net.vector_input else 0
    assert np.array_equal(sums[: net.hidden_size], net.recurrent_weight @ g + drive)
    assert np.array_equal(sums[net.hidden_size :], net.output_weight @ g)


def planes_sum(weights, x, bits):
    """Return what bit planes of +1 and -1 give where a negated plane of a pair is its one's complement."""
    total = 0
    for b in range(bits):
        for i in range(0, len(x), 2):
            codes = [w + (1 << (bits - 1)) if bits > 1 else (w + 1) // 2 for w in weights[i : i + 2]]
            signs = [1 if code >> b & 1 else -1 for code in codes]
            value = sum(s * v for s, v in zip(signs, x[i : i + 2], strict=True))
            total += (value if signs[0] > 0 else ~-value) << b
    return total


def extremes(s, row, word):
    """Return the ends of a row's sum in a word, at the chain's scale, by its planes."""
    _, e = s.placement.place(word)
    bits, columns = s.placement.weight_bits[e], s.placement.element_columns[e]
    weights = [int(w) for w in s.placement.word_weights[row, word, :columns]]
    # A column that is padding is a +1 of one bit.
    weights = [w or 1 for w in weights] if bits == 1 else weights
    held = len(s.placement.columns(word))
    ends = (0, 15 << s.network.input_shift) if word < s.placement.input_words else state_range(s.network)
    x = [(ends[0], ends[1]) if c < held else (0, 0) for c in range(columns)]
    grows = [w > 0 if bits == 1 else 2 * w + 1 > 0 for w in weights]
    low = [a if up else b for (a, b), up in zip(x, grows, strict=True)]
    high = [b if up else a for (a, b), up in zip(x, grows, strict=True)]
    factor = s.placement.scale if bits == 1 else 1
    return [factor * planes_sum(weights, v, bits) for v in (low, high)]


@pytest.mark.parametrize("bits", [(4, 4, 4), (1, 4, 1), (1, 1, 1), (2, 3, 5)])
@pytest.mark.parametrize("s", [s for s in SCHEDULES if s.network.hidden_size == 7], ids=name)
def test_partial_sums_fit_and_just_fit(s, bits):
    """Over the extremes of every operand each element's sums need exactly their proven bits."""
    net = s.network
    clipped = {
        f"{name}_weight": np.where(w >= 0, 1, -1) if k == 1 else w % (1 << k) - (1 << (k - 1))
        for name, k in zip(("recurrent", "input", "output"), bits, strict=True)
        for w in [getattr(net, f"{name}_weight")]
    }
    net = replace(net, weight_bits=WeightBits(*bits), **clipped)
    s = lut.schedule(net, s.chain.columns_per_element, s.chain.elements)
    ends = np.array(
        [
            [extremes(s, row, w) for w in range(s.placement.passes * s.chain.elements)]
            for row in range(s.placement.rows)
        ]
    )
    sums = ends.cumsum(axis=1)
    for e in range(s.chain.elements):
        scale = s.placement.scale if s.placement.weight_bits[e] == 1 else 1
        dots = ends[:, e :: s.chain.elements]
        assert s.widths.dot_bits[e] == bits_for_range(int(dots.min()) // scale, int(dots.max()) // scale)
        here = sums[:, e :: s.chain.elements]
        needed = bits_for_range(int(here.min()), int(here.max()))
        assert s.widths.partial_sum_bits[e] == min(needed, s.sum_bits)
    if s.placement.passes > 1:
        waiting = sums[
            :, s.chain.elements - 1 : s.chain.elements * (s.placement.passes - 1) : s.chain.elements
        ]
        needed = bits_for_range(int(waiting.min()), int(waiting.max()))
        assert s.widths.waiting_sum_bits == min(needed, s.sum_bits)


@pytest.mark.parametrize("s", SCHEDULES, ids=name)
def test_row_constants_and_total_leave_the_accumulator(s):
    """Planes of all words, the row's constant and the total make 2 (W g + U x + b) and 2 (V g + c)."""
    net = s.network
    rng = np.random.default_rng(0)
    g = rng.integers(-128, 128, net.hidden_size)
    x = rng.integers(0, 16, net.input_size)
    sums, total = np.zeros(s.placement.rows, dtype=np.int64), 0
    for w in range(s.placement.passes * s.chain.elements):
        _, e = s.placement.place(w)
        columns = s.placement.element_columns[e]
        held = (x << net.input_shift if w < s.placement.input_words else g)[list(s.placement.columns(w))]
        operands = [*(int(v) for v in held), *[0] * (columns - len(held))]
        total += sum(operands)
        for row in range(s.placement.rows):
            weights = [int(v) for v in s.placement.word_weights[row, w, :columns]]
            sums[row] += planes_sum(weights, operands, s.placement.weight_bits[e])
    drive = net.input_weight @ x << net.input_shift if net.vector_input else 0
    expected = [*(net.recurrent_weight @ g + drive + net.bias), *(net.output_weight @ g + net.output_bias)]
    assert [int(v) for v in sums + s.placement.row_constants - total] == [2 * int(v) for v in expected]


def test_states_are_never_used_before_they_are_written():
    """For every word the load in the next step comes three cycles after its last unit at the earliest."""
    tight = 0
    for s in SCHEDULES:
        slacks = []
        for w in range(s.placement.input_words, s.placement.words):
            q, e = s.placement.place(w)
            written = s.placement.columns(w)[-1] + s.timing.chain_latency + s.timing.tail_latency
            periods = (s.timing.answer_period, s.timing.update_period, s.timing.joint_period)
            slacks += [s.timing.step_gap + q * period + e - (written + 3) for period in periods]
        assert min(slacks) >= 0
        tight += min(slacks) == 0
    assert tight > 50


@pytest.mark.parametrize("s", SCHEDULES, ids=name)
def test_elements_have_what_their_words_need(s):
    """Columns of the longest word, bits of the widest block, over all words of an element."""
    bits = s.network.weight_bits
    for e in range(s.chain.elements):
        words = range(e, s.placement.words, s.chain.elements)
        assert s.placement.element_columns[e] == max(len(s.placement.columns(word)) for word in words)
        of_words = (
            max(bits.input, 2) if word < s.placement.input_words else max(bits.recurrent, bits.output)
            for word in words
        )
        assert s.placement.weight_bits[e] == max(of_words)


def test_what_an_spram_cannot_hold_is_refused():
    """More bits in a word than 16, more words than 16384, more elements than there are."""
    net = make_network(n=9, m=1)
    s = lut.schedule(net, 4, 3, spram_elements=2)
    assert (s.store, s.placement.weight_banks) == (WeightStore.SPRAM, 2)
    assert [s.placement.loads(e) for e in range(3)] == [True, True, False]
    bits = (
        "spram_elements must have at most 16 bits of weights in a word, not 20; take fewer columns an element"
    )
    depth = "spram_elements must have at most 16384 words of weights, not 20402; take more elements"
    count = "spram_elements must be 0 to 2, the elements, not 3"
    for n, columns, elements, spram, message in (
        (9, 5, 1, 1, bits), (200, 2, 1, 1, depth), (9, 4, 2, 3, count),
    ):  # fmt: skip
        with pytest.raises(FormatError) as error:
            lut.schedule(make_network(n=n, m=1), columns, elements, spram_elements=spram)
        assert str(error.value) == message
    with pytest.raises(FormatError, match=r"^spram_elements of the dsp engine must be 0, not 1$"):
        compile_network(net, elements=2, engine="dsp", spram_elements=1)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [((1, 1, 1), (2, 1)), ((1, 4, 1), (4, 1)), ((4, 1, 2), (2, 4)), ((1, 1, 3), (2, 3)), ((8, 8, 8), (8, 8))],
)
def test_weight_bits_of_elements(bits, expected):
    """An input element stores what U and the zeros beside V need, a state element what W and V need."""
    net = make_network(
        n=2,
        m=2,
        p=2,
        weight_bits=WeightBits(*bits),
        recurrent_weight=np.ones((2, 2), int),
        input_weight=np.ones((2, 2), int),
        output_weight=np.ones((2, 2), int),
    )
    assert lut.schedule(net, 2, 2).placement.weight_bits == expected


def test_a_step_costs_its_rows_where_answers_hide_the_latency():
    """With more rows of V than the pipeline is long, a step takes exactly its rows."""
    s = lut.schedule(make_network(n=32, m=4, p=12), 4, 9)
    assert (s.placement.passes, s.cycles_per_step) == (1, 44)


def test_a_step_costs_at_most_its_rows_and_sixteen_cycles():
    """In one pass of at most 64 columns, whatever the shape, 16 cycles cover the pipeline."""
    for mode in OutputMode:
        for n in (1, 2, 15, 16, 17, 63, 64):
            for c in (1, 2, 4, 8):
                net = make_network(n=n, m=1, p=1, output_mode=mode)
                s = lut.schedule(net, c, lut.schedule(net, c, 1).placement.words)
                assert s.cycles_per_step <= s.placement.rows * s.placement.passes + 16


@pytest.mark.parametrize(
    ("columns", "elements", "message"),
    [
        (0, 1, "columns_per_element must be at least 1, not 0"),
        (1, 0, "elements must be at least 1, not 0"),
        (2, 5, "elements must be at most 3, the words of 2 columns of the network, not 5"),
    ],
)
def test_refusals(columns, elements, message):
    """A chain that cannot be is refused."""
    with pytest.raises(FormatError) as error:
        lut.schedule(make_network(n=3, m=2), columns, elements)
    assert str(error.value) == message


def test_a_sweep_of_the_readout_has_three_cycles():
    """One unit, one lane and several outputs: the constant of a logit would be the next one's."""
    one = make_network(n=1, m=2, p=2)
    with pytest.raises(FormatError) as error:
        lut.schedule(one, 1, 1, readout_lanes=1)
    assert str(error.value) == (
        "readout_lanes must be 0 or at least 2 where one hidden unit has several outputs, not 1: a "
        "sweep must have three cycles"
    )
    assert lut.schedule(one, 1, 1, readout_lanes=2).placement.readout_sweeps == 1
    assert lut.schedule(make_network(n=1, m=2, p=1), 1, 1, readout_lanes=1).placement.readout_sweeps == 1
