"""Networks drawn at random from all that the language of networks allows: every operation, any graph."""

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.intervals import check_ranges, value_ranges
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import (
    Add,
    Answer,
    Assign,
    Diagonal,
    Factor,
    HadamardTerm,
    MatVec,
    ModRelu,
    Multiply,
    PiecewiseLinear,
    Requantize,
    Summand,
    Table,
    Term,
)

__all__ = ["draw_inputs", "draw_network"]

ATTEMPTS = 200


def draw_network(seed, largest=6):
    """Return a network of values of at most ``largest`` entries, none of whose integers is too wide."""
    for attempt in range(ATTEMPTS):
        try:
            network = _Draw(np.random.default_rng([*np.atleast_1d(seed), attempt]), largest).network()
            check_ranges(network, value_ranges(network))
            return network
        except FormatError as error:
            last = error
    raise AssertionError(f"no network of seed {seed}: {last}")


def draw_inputs(network, steps, seed):
    """Return inputs (1, steps, m), or (1, steps) of an index, of all values of the input's format."""
    form, rng = network.input.format, np.random.default_rng(seed)
    shape = (1, steps) if network.input.one_hot else (1, steps, network.input.size)
    return rng.integers(form.min, form.max + 1, shape)


class _Draw:
    """One draw: the values so far by name, with their sizes."""

    def __init__(self, rng, largest):
        self.rng, self.largest = rng, largest
        self.sizes, self.count = {}, 0
        self.one_hot = bool(rng.integers(0, 3) == 0)

    def number(self, low, high):
        """Return an integer from low to high."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, items):
        """Return one of the items."""
        items = list(items)
        return items[self.number(0, len(items) - 1)]

    def flag(self):
        """Return true or false."""
        return bool(self.number(0, 1))

    def array(self, low, high, *shape):
        """Return integers from low to high."""
        return self.rng.integers(low, high + 1, shape)

    def form(self, bits=16):
        """Return a format."""
        return IntFormat(self.number(1, bits), self.flag())

    def rounding(self):
        """Return a tie rule."""
        return self.pick(Rounding)

    def add(self, op, size):
        """Note the result of an operation."""
        self.sizes[op.name] = size
        return op

    def name(self):
        """Return the name of a new value."""
        self.count += 1
        return f"v{self.count}"

    def network(self):
        """Return a network."""
        m = self.number(1, self.largest)
        form = Input.index_format(m) if self.one_hot else self.form(8)
        source = Input("x", InputKind.ONE_HOT if self.one_hot else InputKind.VECTOR, m, form)
        self.sizes["x"] = m
        sizes = [
            [self.number(1, self.largest) for _ in range(self.number(1, 2))] for _ in range(self.number(1, 3))
        ]
        states = [[self.state(n) for n in ns for _ in range(self.number(1, 2))] for ns in sizes]
        layers = [self.layer(ns, own) for ns, own in zip(sizes, states, strict=True)]
        return Network(source, tuple(layers), self.readout(), {"logits": 1.0})

    def state(self, n):
        """Return a state of n entries."""
        form = self.form(12)
        state = State(self.name(), form, self.array(form.min, form.max, n))
        self.sizes[state.name] = n
        return state

    def layer(self, sizes, states):
        """Return a layer with a group for each size, which assigns the states of that size."""
        groups = []
        for k, n in enumerate(sizes):
            rows = [self.mat_vec(self.name(), n) for _ in range(self.number(1, 2))]
            for row in rows:
                self.sizes[row.name] = n
            tail = [op for _ in range(self.number(0, 4)) for op in self.element_wise(n)]
            own = [s for s in states if s.size == n and sizes.index(n) == k]
            tail += [op for s in own for op in self.assign(s, own)]
            groups.append(Group(tuple(rows), tuple(tail)))
        return Layer(tuple(states), tuple(groups))

    def assign(self, state, states):
        """Return operations that give a state its new value, now and then what another state was."""
        same = [s.name for s in states if s.format == state.format]
        if self.number(0, 3) == 0:
            return [Assign(state.name, self.pick(same))]
        value, n = self.value(state.size), state.size
        factor = Factor(value, self.array(-9, 9, n))
        op = Requantize(self.name(), (factor,), self.number(0, 6), state.format, self.rounding())
        return [self.add(op, n), Assign(state.name, op.name)]

    def value(self, n):
        """Return the name of a value of n entries."""
        return self.pick(name for name, size in self.sizes.items() if size == n and name != "x")

    def mat_vec(self, name, n):
        """Return accumulators of one to three terms, the input often among them."""
        names = [self.pick(self.sizes) for _ in range(self.number(1, 3))]
        return MatVec(name, tuple(self.term(value, n) for value in names), self.array(-99, 99, n))

    def term(self, value, n):
        """Return a term."""
        one_hot = value == "x" and self.one_hot
        even = n & -n
        if not one_hot and self.sizes[value] == n and even > 1 and self.number(0, 2) == 0:
            block = 2 ** self.number(1, even.bit_length() - 1)
            return HadamardTerm(value, 2 * self.array(0, 1, n) - 1, block, self.number(0, 6))
        bits, columns = self.number(1, 20 if one_hot else 8), self.sizes[value]
        form = IntFormat(bits, signed=True)
        w = self.array(form.min, form.max, n, columns) if bits > 1 else 2 * self.array(0, 1, n, columns) - 1
        return Term(value, w, bits, self.number(0, 6), one_hot)

    def element_wise(self, n):
        """Return an element-wise operation, and before it one that it needs."""
        draws = (
            self.diagonal,
            self.requantize,
            self.table,
            self.piecewise_linear,
            self.mod_relu,
            self.multiply,
            self.add_values,
            self.relu,
        )
        drawn = self.pick(draws)(n)
        operations = drawn if isinstance(drawn, tuple) else (drawn,)
        self.add(operations[-1], n)
        return operations

    def relu(self, n):
        """Return a relu."""
        return PiecewiseLinear.relu(self.name(), self.value(n))

    def diagonal(self, n):
        """Return a diagonal."""
        bits = self.number(2, 12)
        form = IntFormat(bits, signed=True)
        weights = self.array(form.min, form.max, n)
        return Diagonal(self.name(), self.value(n), self.value(n), weights, bits, self.number(0, 5))

    def requantize(self, n):
        """Return a requantizer of one or two factors."""
        factors = []
        for _ in range(self.number(1, 2)):
            most = (1 << self.number(1, 16)) - 1
            multiplier = self.array(-most, most, n) if self.flag() else np.full(n, self.number(-most, most))
            factors.append(Factor(self.value(n), multiplier))
        bias = self.array(-9999, 9999, n) if self.flag() else None
        return Requantize(self.name(), tuple(factors), self.number(0, 20), self.form(), self.rounding(), bias)

    def table(self, n):
        """Return a saturation to the indices of a table, and the look-up."""
        signed, bits = self.flag(), self.number(1, 5)
        form, most = IntFormat(bits, signed), 1 << self.number(0, 11)
        index = Add(self.name(), (Summand(self.value(n)),), form, shift=self.number(0, 6))
        entries = self.array(-most, most, 1 << bits)
        table = Table(self.name(), index.name, entries, signed, self.number(-most, most))
        return self.add(index, n), table

    def piecewise_linear(self, n):
        """Return a function of random pieces."""
        count = self.number(1, 5)
        spread = 1 << self.number(4, 12)
        knots = np.unique(self.array(-spread, spread, count))
        pieces = len(knots) + 1
        return PiecewiseLinear(
            self.name(),
            self.value(n),
            knots,
            self.array(-15, 15, pieces),
            self.array(0, 4, pieces),
            self.array(-spread * 99, spread * 99, pieces),
            self.number(0, 8),
            self.form(20),
            self.rounding(),
        )

    def mod_relu(self, n):
        """Return a modrelu."""
        most = 1 << self.number(0, 10)
        return ModRelu(self.name(), self.value(n), self.array(-most, most, n))

    def multiply(self, n):
        """Return a product."""
        return Multiply(
            self.name(), self.value(n), self.value(n), self.number(0, 10), self.form(), self.rounding()
        )

    def add_values(self, n):
        """Return a sum."""
        summands = tuple(
            Summand(self.value(n), self.number(0, 4), self.flag()) for _ in range(self.number(1, 3))
        )
        bias = self.array(-999, 999, n) if self.flag() else self.number(-999, 999)
        return Add(self.name(), summands, self.form(), bias, self.number(0, 8), self.rounding())

    def readout(self):
        """Return a readout with now and then a tail, a threshold or a single logit."""
        p = self.number(1, self.largest)
        tail = []
        if self.flag():
            n = self.sizes[self.pick(name for name in self.sizes if name != "x")]
            tail = [op for _ in range(self.number(1, 2)) for op in self.element_wise(n)]
        logits = self.mat_vec("logits", p)
        threshold = self.number(-999, 999) if p == 1 and self.flag() else None
        answer = Answer("answer", "logits", self.pick(OutputKind), threshold)
        return Readout(logits, answer, self.pick(OutputMode), tuple(tail))
