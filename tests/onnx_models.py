"""Small ONNX models with random weights, made node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
INPUTS, UNITS, OUTPUTS = 3, 5, 4


class Model:
    """A chain of nodes; each method adds one and makes its result the last value."""

    def __init__(self, seed=0, shape=("batch", "steps", INPUTS), kind=TensorProto.FLOAT):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.last, self.count, self.rank = [], [], "x", 0, 3
        self.input = helper.make_tensor_value_info("x", kind, shape)

    def constant(self, values, dtype=np.float32):
        """Return the name of a new constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def weights(self, *shape):
        """Return the name of random weights."""
        return self.constant(self.rng.normal(size=shape) / np.sqrt(shape[-1]))

    def node(self, kind, *others, outputs=1, position=0, **attributes):
        """Add a node that reads the last value at a position."""
        read = [*others[:position], self.last, *others[position:]]
        names = [f"y{self.count}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, read, names, f"n{self.count}", **attributes))
        self.count += 1
        self.last = names[0]
        return self

    def recurrent(
        self, kind, inputs=INPUTS, initial=False, biases=True, lengths=None, peepholes=False, **given
    ):
        """Add a recurrent layer on (steps, batch, inputs), batch first with layout=1; drop its direction."""
        rows = GATES[kind] * UNITS
        others = [self.weights(1, rows, inputs), self.weights(1, rows, UNITS)]
        others.append(self.weights(1, 2 * rows) if biases else "")
        others.append("" if lengths is None else self.constant(lengths, np.int32))
        state = np.tile(self.rng.normal(size=UNITS) / 2, (1, 2, 1))
        if given.get("layout"):
            state = state.transpose(1, 0, 2)
        others.append(self.constant(state) if initial else "")
        if peepholes:
            others += ["", self.weights(1, 3 * UNITS)]
        while others and not others[-1]:
            others.pop()
        self.node(kind, *others, outputs=1, hidden_size=UNITS, **given)
        return self.node("Squeeze", self.constant([2 if given.get("layout") else 1], np.int64))

    def dense(self, inputs=UNITS):
        """Add a readout."""
        self.node("MatMul", self.weights(inputs, OUTPUTS))
        return self.node("Add", self.weights(OUTPUTS))

    def last_step(self, axis):
        """Take the last step."""
        self.rank = 2
        return self.node("Gather", self.constant(-1, np.int64), axis=axis)

    def save(self, path, producer="tests"):
        """Write the model; return its path."""
        out = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [None] * self.rank)
        graph = helper.make_graph(self.nodes, "g", [self.input], [out], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name=producer)
        model.ir_version = 9
        onnx.save(model, path)
        return path
