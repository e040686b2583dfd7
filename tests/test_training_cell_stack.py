"""The trained module of a stack: float, and as the integers compute."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from qornn_hw.cells.any_network import interpreter_of
from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import tanh
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.stack import RealStack, quantize_stack
from qornn_hw.training.cell_stack import CellStack

UNIT = 2.0**-4
GRID = InputGrid(IntFormat(5, signed=True), np.full(3, UNIT), np.zeros(3))
RANDOM = np.random.default_rng(5)
INTEGERS = RANDOM.integers(-8, 8, size=(40, 12, 3))
INDICES = RANDOM.integers(3, size=(40, 12))


def stack_of(*names: str, one_hot: bool = False, relu: bool = False, seed: int = 0) -> RealStack:
    """Return a stack of 6 units a layer on 3 inputs, with some noise on all fields."""
    random = np.random.default_rng(seed)
    cells = []
    for k, name in enumerate(names):
        cell = CELLS[name].start(3 if k == 0 else 6, 6, random, 5.0)
        fields = {k: v for k, v in vars(cell).items() if k != "graph"}
        noise = {
            k: v + 0.2 * random.normal(size=v.shape) for k, v in fields.items() if isinstance(v, np.ndarray)
        }
        cells.append(type(cell)(**fields | noise))
    return RealStack(
        tuple(cells), random.normal(size=(4, 6)), random.normal(size=4), one_hot=one_hot, output_relu=relu
    )


def held(stack: RealStack, bits: CellBits, output_bits: int = 8):
    """Return a module that rounds, and the network that it rounds like."""
    module = CellStack(stack, bits, output_bits)
    x = INDICES if stack.one_hot else INTEGERS * UNIT
    network, layers = quantize_stack(
        stack, x, None if stack.one_hot else GRID, bits=bits, output_bits=output_bits
    )
    module.hold(layers, network.scales["logits"] / layers[-1].output.scale[0])
    return module, network


STACKS = [
    *[(name,) for name in CELLS],
    ("gru", "gru"),
    ("lstm", "fastgrnn"),
    ("rnn", "min_gru", "leaky"),
]


@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_the_float_module_computes_the_float_stack(names):
    """Logits after every step and after the last."""
    stack = stack_of(*names, relu=len(names) == 2)
    module = CellStack(stack, CellBits(), 8)
    x = torch.from_numpy(INTEGERS * UNIT).float()
    expected = stack.run(INTEGERS * UNIT)
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=2e-5)
    np.testing.assert_allclose(module(x, last_only=True)[0].detach().numpy(), expected[:, -1], atol=2e-5)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_the_rounded_module_computes_the_integers(names, one_hot):
    """What training sees is four times nearer to the integers than the float network at least."""
    bits = CellBits(weights=4, states=8)
    stack = stack_of(*names, one_hot=one_hot)
    module, network = held(stack, bits)
    x = INDICES if one_hot else INTEGERS
    integers = interpreter_of(network).answers(x) * network.scales["logits"]
    with torch.no_grad():
        real = torch.from_numpy(x) if one_hot else torch.from_numpy(x * UNIT).float()
        rounded = module(real)[0].numpy()
    exact = stack.run(x if one_hot else x * UNIT)
    assert np.abs(rounded - integers).mean() < np.abs(exact - integers).mean() / 4


@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_held_units_give_the_same_integers_again(names):
    """The export of an untrained held module is the network that it was held from."""
    bits = CellBits(weights=3, states=7, gates=6, index=7, values=9, multiplier=12)
    stack = stack_of(*names)
    module, network = held(stack, bits, 4)
    again, _ = quantize_stack(
        module.stack(), INTEGERS[:0], GRID, bits=bits, output_bits=4, held=module.grids()
    )
    answers = [interpreter_of(one).answers(INTEGERS) for one in (network, again)]
    # Float32 parameters may move a factor by one unit of its multiplier.
    assert np.abs(answers[0] - answers[1]).mean() < 0.05 * np.abs(answers[0]).mean()
    for one, other in zip(network.layers, again.layers, strict=True):
        for mine, its in zip(one.groups, other.groups, strict=True):
            for a, b in zip(mine.rows, its.rows, strict=True):
                assert np.mean(a.terms[0].weights != b.terms[0].weights) < 0.02


def test_one_bit_weights_are_signs():
    """With one bit, rounded weights are plus and minus the row's step, as in the integers."""
    stack = stack_of("gru")
    module, _ = held(stack, CellBits(weights=1), 1)
    (graph,) = module.graphs()
    for value in graph.values:
        if hasattr(value, "weight"):
            sizes = value.weight.detach().abs()
            torch.testing.assert_close(sizes, sizes[:, :1].expand_as(sizes))
    assert module(torch.from_numpy(INTEGERS * UNIT).float())[0].isfinite().all()


def test_a_state_carried_over_gives_the_whole_sequence():
    """Two halves, with the state of the first one, answer as the whole."""
    module, _ = held(stack_of("lstm", "gru"), CellBits())
    x = torch.from_numpy(INTEGERS * UNIT).float()
    with torch.no_grad():
        whole, end = module(x)
        first, state = module(x[:, :5])
        second, last = module(x[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for one, other in zip(end, last, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)


def test_a_large_batch_is_computed_in_parts(monkeypatch):
    """Without gradients a batch is cut so that its values fit, with the same answers."""
    module = CellStack(stack_of("gru", "gru"), CellBits(), 8)
    x = torch.from_numpy(INTEGERS * UNIT).float()
    with torch.no_grad():
        whole, end = module(x, last_only=True)
        monkeypatch.setattr("qornn_hw.training.cell_stack.HELD_MAX", 5000)
        parts, last = module(x, last_only=True)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(last[1][0], end[1][0])


def test_the_state_dict_has_everything():
    """A new module with the state of a held one computes the same, and exports the same integers."""
    bits = CellBits()
    module, _ = held(stack_of("lstm"), bits)
    other = CellStack(stack_of("lstm", seed=9), bits, 8)
    other.load_state_dict(module.state_dict())
    x = torch.from_numpy(INTEGERS * UNIT).float()
    torch.testing.assert_close(other(x)[0], module(x)[0])
    assert other.grids().layers[0].values == module.grids().layers[0].values


def test_every_parameter_gets_a_gradient():
    """All fields of all cells, all steps, V and its step are trained."""
    module, _ = held(stack_of("gru", "lstm"), CellBits())
    module(torch.from_numpy(INTEGERS * UNIT).float())[0].square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


def after_some_steps(module, x, steps=6, rate=0.02):
    """Train all parameters for a few steps, so that nothing is as it was when the units were chosen."""
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    wanted = torch.randn(len(x), 4, generator=torch.Generator().manual_seed(3))
    for _ in range(steps):
        optimizer.zero_grad()
        (module(x, last_only=True)[0] - wanted).square().mean().backward()
        optimizer.step()
    return module.eval()


@pytest.mark.parametrize("output_bits", [2, 4, 8])
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(
    "names", [("gru",), ("lstm", "gru"), ("rnn", "dense"), ("leaky", "fastgrnn")], ids="+".join
)
def test_a_trained_module_computes_its_integers(names, one_hot, output_bits):
    """With other widths for everything, and all parameters changed since the units were chosen."""
    bits = CellBits(weights=3, states=9, gates=7, index=9, values=12, multiplier=14, symbols=6)
    stack = stack_of(*names, one_hot=one_hot)
    module, _ = held(stack, bits, output_bits)
    x = INDICES if one_hot else INTEGERS
    real = torch.from_numpy(x) if one_hot else torch.from_numpy(x * UNIT).float()
    after_some_steps(module, real)
    network, _ = quantize_stack(
        module.stack(),
        x[:0],
        None if one_hot else GRID,
        bits=bits,
        output_bits=output_bits,
        held=module.grids(),
    )
    integers = interpreter_of(network).answers(x) * network.scales["logits"]
    with torch.no_grad():
        rounded = module(real)[0].numpy()
    # Within a unit or two of the last state: V times its unit.
    unit = float(np.abs(module.stack().output_weight).max()) * 2.0**-8
    assert np.abs(rounded - integers).mean() < 2 * unit


def test_the_second_layer_of_indices_has_the_weights_bits():
    """Only the first layer's matrix of symbols has the bits of symbols."""
    module, _ = held(stack_of("gru", "gru", one_hot=True), CellBits(weights=2, symbols=12))
    for graph, steps, first in zip(module.graphs(), module.steps, (True, False), strict=True):
        for value in graph.values:
            if hasattr(value, "weight"):
                integers = (value.weight / steps[value.name].exp()).detach()
                wide = first and value.value is graph.input
                assert float(integers.abs().max()) > 100 if wide else float(integers.abs().max()) < 2.01


@pytest.mark.parametrize("bits", [2, 5])
def test_the_readout_is_rounded_to_its_bits(bits):
    """Logits of states are those of V's integers times its step, with the step that was learned."""
    module, _ = held(stack_of("rnn"), CellBits(), bits)
    with torch.no_grad():
        module.output_step.add_(0.3)
    x = torch.from_numpy(INTEGERS * UNIT).float()
    logits, ((state,),) = module(x, last_only=True)
    step = float(module.output_step.detach().exp())
    integers = (module.output_weight / step).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    torch.testing.assert_close(logits, state @ (integers * step).T + module.output_bias)
    assert module.grids().output_step == pytest.approx(step)


def test_an_initial_state_is_part_of_the_training():
    """The first step begins with the cell's own state, on the grid of the state."""
    stack = stack_of("rnn")
    fields = {k: v for k, v in vars(stack.cells[0]).items() if k != "graph"}
    cell = CELLS["rnn"](**fields | {"initial": np.array([0.31, -0.7, 0.02, 0.9, 0.5, -0.111])})
    stack = RealStack((cell,), stack.output_weight, stack.output_bias)
    x = torch.from_numpy(INTEGERS * UNIT).float()
    np.testing.assert_allclose(
        CellStack(stack, CellBits(), 8)(x)[0].detach(), stack.run(INTEGERS * UNIT), atol=2e-5
    )
    module, network = held(stack, CellBits(states=4))
    (start,) = module._starts(module.graphs()[0], module.units[0].grids(cell.graph), 1)
    unit = 2.0 ** module.units[0].values["h"][0]
    np.testing.assert_array_equal(start[0].detach() / unit, network.layers[0].states[0].initial)


def test_a_module_is_slowed():
    """The gates' biases become those of the slowed cell."""
    stack = stack_of("gru", "leaky")
    module = CellStack(stack, CellBits(), 8)
    module.slow(4.0)
    for slowed, cell in zip(module.stack().cells, stack.cells, strict=True):
        for name, value in vars(cell.slowed(4.0)).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(getattr(slowed, name), value, rtol=1e-6)
    assert not np.allclose(module.stack().cells[0].bias_ih, stack.cells[0].bias_ih)


def test_gates_do_not_reach_their_ends_below():
    """A sigmoid is at least one unit, and tanh has the same end on both sides, as in the table."""
    module, _ = held(stack_of("gru"), CellBits(gates=5))
    grids = module.units[0].grids(module.cells[0].graph)
    assert grids["z"].low == 2.0**-5 and grids["n"].low == -grids["n"].high


@dataclass(frozen=True, eq=False)
class Unused(Cell):
    """A cell with a field that its step does not depend on."""

    weight_ih: np.ndarray
    gain: float

    def build(self, graph):
        """Write the step, with the number of the field alone."""
        h = graph.state("h", self.units)
        graph.assign(h, tanh(2.0 * graph.linear(self.weight_ih, graph.input)).named("new"))
        return h


def test_a_field_without_a_gradient_is_refused():
    """It would not be trained, in silence."""
    stack = RealStack((Unused(np.ones((2, 3)), 2.0),), np.ones((1, 2)), np.zeros(1))
    with pytest.raises(FormatError, match=r"^Unused\.gain must be used with operators in build"):
        CellStack(stack, CellBits(), 8)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_single_input_has_exact_weights(bits):
    """A row of one weight has a step of its own, so the weight of the export is the one of the training."""
    random = np.random.default_rng(0)
    stack = RealStack((CELLS["gru"].start(1, 6, random, 5.0),), random.normal(size=(4, 6)), np.zeros(4))
    grid = InputGrid(IntFormat(5, signed=True), np.full(1, UNIT), np.zeros(1))
    widths = CellBits(weights=bits)
    network, layers = quantize_stack(stack, INTEGERS[:, :, :1] * UNIT, grid, bits=widths)
    module = CellStack(stack, widths, 8)
    module.hold(layers, network.scales["logits"] / layers[-1].output.scale[0])
    after_some_steps(module, torch.from_numpy(INTEGERS[:, :, :1] * UNIT).float())
    exported, _ = quantize_stack(module.stack(), INTEGERS[:0], grid, bits=widths, held=module.grids())
    wanted = module.stack().cells[0].weight_ih
    steps = module.grids().layers[0].steps
    rows = [r for group in exported.layers[0].groups for r in group.rows if r.terms[0].value == "x"]
    found = np.concatenate(
        [r.terms[0].weights * steps[r.name.removeprefix("layer0.")][:, None] for r in rows]
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
