"""A second model of a network, written from docs/numerics.md and docs/checkpoint.md alone.

It computes with Python's integers, unit by unit, and imports nothing of qornn_hw: whoever has only the two
documents and a file writes something like it. :func:`read` takes an ``.npz`` of either version; a
:class:`Model` then takes one step at a time.
"""

import json

import numpy as np


def read(path):
    """Return the header's network and the tensors of a ``.npz``, as Python's integers in lists."""
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
        arrays = {
            name: file[name].tolist()
            for name in file.files
            if name != "header" and not name.startswith("float.")
        }
    network = header["network"]
    return (operations_of_elman(network, arrays), arrays) if header["version"] == 1 else (network, arrays)


# -- section 1: numbers --------------------------------------------------------------------------------


def rounded(v, s, rounding):
    """Return v / 2**s rounded to the nearest integer; a tie goes up, or to the even one."""
    if s == 0:
        return v
    moved = v + (1 << (s - 1))
    r = moved >> s
    if rounding == "half_even" and moved % (1 << s) == 0:
        r -= r % 2
    return r


def saturated(v, form):
    """Return v, or the nearest end of the format where v lies outside it."""
    bits = form["bits"]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if form["signed"] else (0, (1 << bits) - 1)
    return low if v < low else high if v > high else v


# -- section 3: operations -----------------------------------------------------------------------------


class Model:
    """The states of one sequence, and what a step does to them.

    Args:
        network: the header's entry of version 2.
        arrays: the tensors by name.

    Attributes:
        values: every value of the last step by name, lists of integers.
    """

    def __init__(self, network, arrays):
        self.network, self.arrays = network, arrays
        self.reset()

    def reset(self):
        """Put every state back to its initial values."""
        self.values = {}
        for layer in self.network["layers"]:
            for state in layer["states"]:
                self.values[state["name"]] = list(self.arrays[f"{state['name']}.initial"])

    def step(self, x, answered=True):
        """Compute one step for an input, an index or a list, and return the logits and the class.

        Returns:
            None where the step is not answered.
        """
        values, network = self.values, self.network
        values[network["input"]["name"]] = x
        for layer in network["layers"]:
            new = {}
            for group in layer["groups"]:
                rows = {row["name"]: self.mat_vec(row) for row in group["rows"]}
                values |= rows
                for op in group["tail"]:
                    if op["op"] == "assign":
                        new[op["name"]] = list(values[op["value"]])
                    else:
                        values[op["name"]] = getattr(self, op["op"])(op)
            values |= new
        if not answered:
            return None
        readout = network["readout"]
        for op in readout["tail"]:
            values[op["name"]] = getattr(self, op["op"])(op)
        logits = self.mat_vec(readout["logits"])
        threshold = readout["answer"]["threshold"]
        if threshold is not None:
            return logits, int(logits[0] > threshold)
        return logits, logits.index(max(logits))

    def run(self, inputs):
        """Return the logits and the classes of a whole sequence, from the initial states on."""
        self.reset()
        every = self.network["readout"]["mode"] == "every_step"
        found = [self.step(x, every or t == len(inputs) - 1) for t, x in enumerate(inputs)]
        return [one for one in found if one is not None]

    def array(self, op, field, default=None):
        """Return a tensor of an operation."""
        return self.arrays.get(f"{op['name']}.{field}", default)

    def mat_vec(self, op):
        """Section 3.1."""
        total = list(self.array(op, "bias"))
        for k, term in enumerate(op["terms"]):
            value = self.values[term["value"]]
            if "block" in term:
                for i, found in enumerate(self.hadamard(self.array(op, f"signs.{k}"), term["block"], value)):
                    total[i] += found << term["shift"]
                continue
            weights = self.array(op, f"weights.{k}")
            for i, row in enumerate(weights):
                if term["one_hot"]:
                    found = row[value] if value < len(row) else 0
                else:
                    found = sum(w * v for w, v in zip(row, value, strict=True))
                total[i] += found << term["shift"]
        return total

    def hadamard(self, signs, block, value):
        """Section 3.1, a Hadamard term."""
        found = []
        for i, sign in enumerate(signs):
            row, first = i % block, i - i % block
            found.append(sign * sum((-1) ** bin(row & j).count("1") * value[first + j] for j in range(block)))
        return found

    def diagonal(self, op):
        """Section 3.2."""
        accumulator, value = self.values[op["accumulator"]], self.values[op["value"]]
        weights = self.array(op, "weights")
        return [a + ((w * v) << op["shift"]) for a, w, v in zip(accumulator, weights, value, strict=True)]

    def requantize(self, op):
        """Section 3.3."""
        total = [*self.array(op, "bias", [0] * len(self.array(op, "multiplier.0")))]
        for k, factor in enumerate(op["factors"]):
            multiplier, value = self.array(op, f"multiplier.{k}"), self.values[factor["value"]]
            total = [t + m * v for t, m, v in zip(total, multiplier, value, strict=True)]
        return self.narrow(op, total)

    def table(self, op):
        """Section 3.4."""
        entries = self.array(op, "entries")
        first = len(entries) // 2 if op["signed"] else 0
        return [entries[v + first] + op["offset"] for v in self.values[op["value"]]]

    def piecewise_linear(self, op):
        """Section 3.5."""
        knots, factors, shifts, offsets = (
            self.array(op, field) for field in ("knots", "factors", "shifts", "offsets")
        )
        total = []
        for v in self.values[op["value"]]:
            k = sum(knot <= v for knot in knots)
            total.append(((factors[k] * v) << shifts[k]) + offsets[k])
        return self.narrow(op, total)

    def mod_relu(self, op):
        """Section 3.6."""
        value = self.values[op["value"]]
        return [
            ((v > 0) - (v < 0)) * max(abs(v) + b, 0)
            for v, b in zip(value, self.array(op, "bias"), strict=True)
        ]

    def multiply(self, op):
        """Section 3.7."""
        return self.narrow(
            op, [a * b for a, b in zip(self.values[op["a"]], self.values[op["b"]], strict=True)]
        )

    def add(self, op):
        """Section 3.8."""
        size = len(self.values[op["summands"][0]["value"]])
        total = self.array(op, "bias", [op.get("bias", 0)] * size)
        for summand in op["summands"]:
            sign = -1 if summand["negative"] else 1
            value = self.values[summand["value"]]
            total = [t + sign * (v << summand["shift"]) for t, v in zip(total, value, strict=True)]
        return self.narrow(op, total)

    def narrow(self, op, total):
        """Round, then saturate."""
        return [saturated(rounded(t, op["shift"], op["rounding"]), op["format"]) for t in total]


# -- section 5: the Elman network of version 1 -----------------------------------------------------------


def operations_of_elman(network, arrays):
    """Return an entry of version 1 as one of version 2; the tensors get the names that it needs."""
    activation, one_hot = network["activation"], network["input_kind"] == "one_hot"
    state = {"bits": network["state_bits"], "signed": True}
    index, behind = dict(state), None
    if "table" in arrays:
        index["bits"] = (len(arrays["table"]) - 1).bit_length()
        arrays["h.entries"] = arrays["table"]
        behind = {"op": "table", "name": "h", "value": "q", "signed": True, "offset": 0}
    elif "pieces" in arrays:
        first, *columns = zip(*arrays["pieces"], strict=True)
        index["bits"] = (-first[0]).bit_length()
        arrays["h.knots"] = first[1:]
        arrays["h.factors"], arrays["h.shifts"], arrays["h.offsets"] = columns
        behind = {"op": "piecewise_linear", "name": "h", "value": "q", "shift": network["pieces_shift"]}
        behind |= {"format": state, "rounding": network["rounding"]}
    bias = arrays["bias"]
    arrays["z.bias"] = [0] * len(bias) if activation == "modrelu" else bias
    arrays |= {"z.weights.0": arrays["recurrent_weight"], "z.weights.1": arrays["input_weight"]}
    arrays |= {"q.multiplier.0": arrays["multiplier"], "g.initial": arrays["initial_state"]}
    arrays |= {"y.weights.0": arrays["output_weight"], "y.bias": arrays["output_bias"]}
    tail, value = [], "z"
    if activation == "relu":
        arrays |= {"f.knots": [0], "f.factors": [0, 1], "f.shifts": [0, 0], "f.offsets": [0, 0]}
        wide = {"bits": 48, "signed": True}
        tail.append({"op": "piecewise_linear", "name": "f", "value": "z", "shift": 0, "format": wide})
        tail[-1]["rounding"], value = "half_up", "f"
    elif activation == "modrelu":
        arrays["f.bias"] = bias
        tail.append({"op": "mod_relu", "name": "f", "value": "z"})
        value = "f"
    tail.append({"op": "requantize", "name": "q", "factors": [{"value": value}], "shift": network["shift"]})
    tail[-1] |= {"format": index, "rounding": network["rounding"], "bias": None}
    if behind is not None:
        tail.append(behind)
    tail.append({"op": "assign", "name": "g", "value": "q" if behind is None else "h"})
    row = {
        "op": "mat_vec",
        "name": "z",
        "terms": [
            {"value": "g", "shift": 0, "one_hot": False},
            {"value": "x", "shift": network["input_shift"], "one_hot": one_hot},
        ],
    }
    return {
        "input": {"name": "x", "kind": network["input_kind"]},
        "layers": [{"states": [{"name": "g", "format": state}], "groups": [{"rows": [row], "tail": tail}]}],
        "readout": {
            "tail": [],
            "logits": {"op": "mat_vec", "name": "y", "terms": [{"value": "g", "shift": 0, "one_hot": False}]},
            "answer": {"threshold": None},
            "mode": network["output_mode"],
        },
    }
