"""Cells lowered by hand with random integers, and the same cells as plain NumPy on 64-bit integers.

Each function returns a :class:`qornn_hw.ir.network.Layer` and a function ``(state, x) -> new state`` that
knows nothing of operations; x is a vector (batch, m).
"""

import numpy as np

from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Group, Layer, State
from qornn_hw.ir.ops import (
    Add,
    Assign,
    Diagonal,
    Factor,
    MatVec,
    Multiply,
    PiecewiseLinear,
    Requantize,
    Summand,
    Table,
    Term,
)

S8 = IntFormat(8, signed=True)
TANH = np.round(128 * np.tanh(np.arange(-128, 128) / 32)).astype(np.int64).clip(-127, 127)


def sat(value, bits):
    """Return value in a signed format."""
    return np.clip(value, -(1 << bits - 1), (1 << bits - 1) - 1)


def half_up(value, shift):
    """Return value / 2**shift, halves to the larger integer."""
    return np.floor_divide(value + 2**shift // 2, 2**shift)


def tanh(index):
    """Return the entry of the table of tanh."""
    return TANH[index + 128]


def sigmoid(index):
    """Return the entry of the table of tanh as a sigmoid of 8 bits without sign."""
    return TANH[index + 128] + 128


class Draw:
    """Random parameters of a layer, and operations whose names begin with the layer's."""

    def __init__(self, seed, layer, n, source, m, bits=4):
        self.rng = np.random.default_rng(seed)
        self.layer, self.n, self.source, self.m, self.bits = layer, n, source, m, bits

    def name(self, value):
        """Return the name of a value of the layer."""
        return f"{self.layer}.{value}"

    def weights(self, columns):
        """Return weights (n, columns)."""
        half = 1 << self.bits - 1
        return self.rng.integers(-half, half, (self.n, columns))

    def bias(self, largest):
        """Return a bias (n,)."""
        return self.rng.integers(-largest, largest + 1, self.n)

    def factors(self, most=2000):
        """Return multipliers (n,)."""
        return self.rng.integers(1, most, self.n)

    def state(self, name, bits):
        """Return a state of random initial values."""
        form = IntFormat(bits, signed=True)
        return State(self.name(name), form, self.rng.integers(form.min, form.max + 1, self.n))

    def row(self, name, bias, **terms):
        """Return a row of terms ``value=(weights, shift)``; x is the layer below."""
        made = (
            Term(self.source if value == "x" else self.name(value), w, self.bits, shift)
            for value, (w, shift) in terms.items()
        )
        return MatVec(self.name(name), tuple(made), bias)

    def requantize(self, name, shift, bits=8, bias=None, **factors):
        """Return a requantizer of ``value=multiplier``."""
        made = tuple(Factor(self.name(value), m) for value, m in factors.items())
        return Requantize(self.name(name), made, shift, IntFormat(bits, signed=True), bias=bias)

    def table(self, name, value, offset=0):
        """Return a look-up in the table of tanh."""
        return Table(self.name(name), self.name(value), TANH, offset=offset)

    def multiply(self, name, a, b, shift, bits):
        """Return a product."""
        return Multiply(self.name(name), self.name(a), self.name(b), shift, IntFormat(bits, signed=True))

    def add(self, name, bits, *summands, shift=0):
        """Return a sum of ``(value, left shift, sign)``."""
        made = tuple(Summand(self.name(value), left, sign < 0) for value, left, sign in summands)
        return Add(self.name(name), made, IntFormat(bits, signed=True), shift=shift)

    def assign(self, state, value):
        """Return an assignment."""
        return Assign(self.name(state), self.name(value))


def gru(seed, layer, n, source, m):
    """A GRU whose reset gate comes behind the product, each sum of x and of h with its own multiplier."""
    d = Draw(seed, layer, n, source, m)
    zero = np.zeros(n, dtype=np.int64)
    wx, wh = {g: d.weights(m) for g in "rzn"}, {g: d.weights(n) for g in "rzn"}
    mx, mh, b = ({g: d.factors() for g in "rzn"}, {g: d.factors() for g in "rzn"}, {})
    b = {g: d.bias(1 << 17) for g in "rznq"}
    rows = [d.row(f"{g}x", zero, x=(wx[g], 0)) for g in "rzn"]
    rows += [d.row(f"{g}h", zero, h=(wh[g], 0)) for g in "rzn"]
    tail = []
    for g in "rz":
        tail.append(d.requantize(f"{g}i", 16, bias=b[g], **{f"{g}x": mx[g], f"{g}h": mh[g]}))
        tail.append(d.table(g, f"{g}i", 128))
    tail += [
        d.requantize("q", 16, 9, b["q"], nh=mh["n"]),
        d.requantize("p", 16, 12, b["n"], nx=mx["n"]),
        d.multiply("rq", "r", "q", 8, 12),
        d.add("v", 8, ("rq", 0, 1), ("p", 0, 1)),
        d.table("n", "v"),
        d.add("d", 9, ("h", 0, 1), ("n", 0, -1)),
        d.multiply("zd", "z", "d", 8, 10),
        d.add("new", 8, ("n", 0, 1), ("zd", 0, 1)),
        d.assign("h", "new"),
    ]

    def step(state, x):
        h = state[f"{layer}.h"]
        gate = {
            g: sigmoid(sat(half_up(x @ wx[g].T * mx[g] + h @ wh[g].T * mh[g] + b[g], 16), 8)) for g in "rz"
        }
        q = sat(half_up(h @ wh["n"].T * mh["n"] + b["q"], 16), 9)
        p = sat(half_up(x @ wx["n"].T * mx["n"] + b["n"], 16), 12)
        new = tanh(sat(half_up(gate["r"] * q, 8) + p, 8))
        return {f"{layer}.h": sat(new + half_up(gate["z"] * (h - new), 8), 8)}

    return Layer((d.state("h", 8),), (Group(tuple(rows), tuple(tail)),)), step


def gru_reset_before(seed, layer, n, source, m):
    """A GRU whose reset gate multiplies the state before the candidate's product: two groups."""
    d = Draw(seed, layer, n, source, m)
    w = {g: d.weights(m) for g in "rzn"}
    u = {g: d.weights(n) for g in "rzn"}
    b, f = {g: d.bias(500) for g in "rzn"}, {g: d.factors() for g in "rzn"}
    first = [d.row(f"{g}a", b[g], x=(w[g], 2), h=(u[g], 0)) for g in "rz"]
    tail = []
    for g in "rz":
        tail += [d.requantize(f"{g}i", 12, **{f"{g}a": f[g]}), d.table(g, f"{g}i", 128)]
    tail.append(d.multiply("rh", "r", "h", 8, 8))
    second = [d.row("na", b["n"], x=(w["n"], 2), rh=(u["n"], 0))]
    end = [
        d.requantize("ni", 12, na=f["n"]),
        d.table("n", "ni"),
        d.add("d", 9, ("h", 0, 1), ("n", 0, -1)),
        d.multiply("zd", "z", "d", 0, 18),
        d.add("new", 8, ("n", 8, 1), ("zd", 0, 1), shift=8),
        d.assign("h", "new"),
    ]

    def step(state, x):
        h = state[f"{layer}.h"]
        r, z = (sigmoid(sat(half_up((x @ w[g].T * 4 + h @ u[g].T + b[g]) * f[g], 12), 8)) for g in "rz")
        rh = sat(half_up(r * h, 8), 8)
        new = tanh(sat(half_up((x @ w["n"].T * 4 + rh @ u["n"].T + b["n"]) * f["n"], 12), 8))
        return {f"{layer}.h": sat(half_up((256 - z) * new + z * h, 8), 8)}

    groups = (Group(tuple(first), tuple(tail)), Group(tuple(second), tuple(end)))
    return Layer((d.state("h", 8),), groups), step


def lstm(seed, layer, n, source, m):
    """An LSTM with a cell state of 14 bits."""
    d = Draw(seed, layer, n, source, m)
    w, u = {g: d.weights(m) for g in "ifgo"}, {g: d.weights(n) for g in "ifgo"}
    b, f, fc = {g: d.bias(500) for g in "ifgo"}, {g: d.factors() for g in "ifgo"}, d.factors(9000)
    rows = [d.row(f"{g}a", b[g], x=(w[g], 3), h=(u[g], 0)) for g in "ifgo"]
    tail = []
    for g in "ifgo":
        tail += [d.requantize(f"{g}i", 12, **{f"{g}a": f[g]}), d.table(g, f"{g}i", 0 if g == "g" else 128)]
    tail += [
        d.multiply("fc", "f", "c", 0, 23),
        d.multiply("ig", "i", "g", 0, 17),
        d.add("cell", 14, ("fc", 0, 1), ("ig", 2, 1), shift=8),
        d.requantize("ci", 15, cell=fc),
        d.table("ct", "ci"),
        d.multiply("new", "o", "ct", 8, 8),
        d.assign("c", "cell"),
        d.assign("h", "new"),
    ]

    def step(state, x):
        h, c = state[f"{layer}.h"], state[f"{layer}.c"]
        index = {g: sat(half_up((x @ w[g].T * 8 + h @ u[g].T + b[g]) * f[g], 12), 8) for g in "ifgo"}
        i, keep, o = (sigmoid(index[g]) for g in "ifo")
        c = sat(half_up(keep * c + 4 * i * tanh(index["g"]), 8), 14)
        return {
            f"{layer}.c": c,
            f"{layer}.h": sat(half_up(o * tanh(sat(half_up(c * fc, 15), 8)), 8), 8),
        }

    return Layer((d.state("h", 8), d.state("c", 14)), (Group(tuple(rows), tuple(tail)),)), step


def fastgrnn(seed, layer, n, source, m):
    """A FastGRNN: gate and candidate share one accumulator; ``h' = (zeta (1 - z) + nu) n + z h``."""
    d = Draw(seed, layer, n, source, m)
    w, u, f, fz = d.weights(m), d.weights(n), d.factors(), d.factors()
    bz, bn = d.bias(1 << 18), d.bias(1 << 18)
    zeta, nu = np.full(n, 240), 10
    tail = [
        d.requantize("zi", 12, bias=bz, a=fz),
        d.requantize("ni", 12, bias=bn, a=f),
        d.table("z", "zi", 128),
        d.table("n", "ni"),
        d.requantize("k", 8, 10, zeta * 256 + nu * 256, z=-zeta),
        d.multiply("kn", "k", "n", 0, 18),
        d.multiply("zh", "z", "h", 0, 17),
        d.add("new", 8, ("kn", 0, 1), ("zh", 0, 1), shift=8),
        d.assign("h", "new"),
    ]
    row = d.row("a", np.zeros(n, dtype=np.int64), x=(w, 1), h=(u, 0))

    def step(state, x):
        h = state[f"{layer}.h"]
        a = x @ w.T * 2 + h @ u.T
        z, new = sigmoid(sat(half_up(a * fz + bz, 12), 8)), tanh(sat(half_up(a * f + bn, 12), 8))
        k = sat(half_up(zeta * (256 - z) + nu * 256, 8), 10)
        return {f"{layer}.h": sat(half_up(k * new + z * h, 8), 8)}

    return Layer((d.state("h", 8),), (Group((row,), tuple(tail)),)), step


def leaky(seed, layer, n, source, m):
    """Leaky units ``h' = a h + (1 - a) hardtanh(..)`` with a weight of their own for each unit."""
    d = Draw(seed, layer, n, source, m)
    w, u, own = d.weights(m), d.weights(n), d.rng.integers(-100, 100, n)
    b, f, a = d.bias(300), d.factors(), d.rng.integers(1, 4096, n)
    name = d.name
    tail = [
        Diagonal(name("s"), name("a"), name("h"), own, 8, 1),
        d.requantize("q", 10, 12, s=f),
        PiecewiseLinear.clip(name("act"), name("q"), -127, 127),
        d.requantize("new", 12, h=a, act=4096 - a),
        d.assign("h", "new"),
    ]

    def step(state, x):
        h = state[f"{layer}.h"]
        s = x @ w.T * 2 + h @ u.T + b + 2 * own * h
        act = np.clip(sat(half_up(s * f, 10), 12), -127, 127)
        return {f"{layer}.h": sat(half_up(a * h + (4096 - a) * act, 12), 8)}

    row = d.row("a", b, x=(w, 1), h=(u, 0))
    return Layer((d.state("h", 8),), (Group((row,), tuple(tail)),)), step


def min_gru(seed, layer, n, source, m):
    """A minGRU: the accumulators do not see the state."""
    d = Draw(seed, layer, n, source, m)
    w, b, f = {g: d.weights(m) for g in "zn"}, {g: d.bias(300) for g in "zn"}, d.factors()
    rows = [d.row(f"{g}a", b[g], x=(w[g], 4)) for g in "zn"]
    tail = [
        d.requantize("zi", 11, za=f),
        d.table("z", "zi", 128),
        d.requantize("n", 11, na=f),
        d.add("d", 9, ("n", 0, 1), ("h", 0, -1)),
        d.multiply("zd", "z", "d", 8, 10),
        d.add("new", 8, ("h", 0, 1), ("zd", 0, 1)),
        d.assign("h", "new"),
    ]

    def step(state, x):
        h = state[f"{layer}.h"]
        z = sigmoid(sat(half_up((x @ w["z"].T * 16 + b["z"]) * f, 11), 8))
        new = sat(half_up((x @ w["n"].T * 16 + b["n"]) * f, 11), 8)
        return {f"{layer}.h": sat(h + half_up(z * (new - h), 8), 8)}

    return Layer((d.state("h", 8),), (Group(tuple(rows), tuple(tail)),)), step


CELLS = (gru, gru_reset_before, lstm, fastgrnn, leaky, min_gru)
