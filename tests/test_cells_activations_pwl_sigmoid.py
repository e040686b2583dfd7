"""The sigmoid of straight pieces: its integers, its quality, and its hardware in both engines."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulators import INSTALLED

import qornn_hw
from qornn_hw.cells.activations.pwl_sigmoid import FUNCTION, sigmoid, sigmoid_pieces, sigmoid_range
from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_bounds import state_range
from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.cells.elman_recognition import recognized
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.files.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.files.scale_consistency import check_scales
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.core_simulation import simulate_core
from qornn_hw.sim.faults import inject_faults
from qornn_hw.sim.stimuli import random_network, random_sequences

ENGINES = ("lut", "dsp")


def states_of(bits, index_bits=None):
    """Return the states of all indices, and the real ones in the same units."""
    t = index_bits or bits + 2
    step = FUNCTION.index_step(bits, t)
    pieces = sigmoid_pieces(t, step, bits)
    q = np.arange(-(1 << (t - 1)), 1 << (t - 1))
    form = IntFormat(bits, signed=True)
    found = pieces.operation("h", "q", form, Rounding.HALF_UP).evaluate(q)
    return found, 2.0 ** (bits - 1) * sigmoid(q * step), pieces


@pytest.mark.parametrize(
    ("bits", "pieces", "most", "rms"),
    [(4, 3, 0.90, 0.45), (6, 7, 1.00, 0.52), (8, 15, 1.00, 0.46), (10, 31, 1.10, 0.40), (12, 31, 3.50, 0.85)],
)
def test_error(bits, pieces, most, rms):
    """The largest error and its root mean square are those of docs/numerics.md, in units of the state."""
    found, wanted, own = states_of(bits)
    error = found - wanted
    assert own.count == pieces
    assert np.abs(error).max() <= most and np.sqrt(np.mean(error**2)) <= rms
    assert found.min() >= 0 and found.max() == 2 ** (bits - 1) - 1


def test_worked_numbers():
    """The pieces and the states of 4 bits are those of docs/numerics.md."""
    found, _, pieces = states_of(4)
    assert pieces.rows.tolist() == [[-32, 1, 0, 34], [-10, 1, 2, 64], [10, 1, 0, 94]] and pieces.shift == 4
    wanted = {-32: 0, -26: 1, -11: 1, -10: 2, 0: 4, 9: 6, 10: 7, 31: 7}
    assert {q: int(found[q + 32]) for q in wanted} == wanted


def test_trained_network(monkeypatch):
    """A trained network keeps its answers: the benchmark's, trained for a fifth of the time."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    bench = importlib.import_module("pwl_sigmoid")
    x, classes = bench.sines(0)
    weights = bench.trained(x, classes, iterations=120)
    w, u, b, v, c = weights
    network = qornn_hw.quantize(
        (w, u, v), x[:200], activation="pwl_sigmoid", bias=b, output_bias=c, weight_bits=8, input_bits=8,
        output_mode="last_step",
    )  # fmt: skip
    tests = bench.sines(1)[0][:500].clip(-2, 2)
    real = bench.logits(weights, torch.from_numpy(tests)).numpy().argmax(1)
    assert np.mean(network.checkpoint(tests)[:, 0].argmax(1) == real) > 0.95


@pytest.mark.parametrize("bits", range(4, 17))
def test_range_holds_all_that_moves(bits):
    """Beyond the range the sigmoid is within half a unit of 1; within half of it it is not."""
    half = 2.0**-bits
    assert 1 - sigmoid(np.array(sigmoid_range(bits))) <= half < 1 - sigmoid(np.array(sigmoid_range(bits) / 2))


def test_sigmoid_never_overflows():
    """The real function is 0 and 1 far from 0, and 1/2 there."""
    np.testing.assert_array_equal(sigmoid(np.array([-1e9, 0.0, 1e9])), [0.0, 0.5, 1.0])


def exported(activation="pwl_sigmoid", **options):
    """Return a checkpoint of random weights, with 300 hidden states of the real network in its quality."""
    rng = np.random.default_rng(4)
    n, m, p = 12, 3, 2
    weights = rng.normal(size=(n, n)) * 2 / n**0.5, 2 * rng.normal(size=(n, m)), rng.normal(size=(p, n))
    return qornn_hw.quantize(
        weights,
        rng.normal(size=(30, 10, m)),
        activation=activation,
        bias=0.2 * rng.normal(size=n),
        **({"weight_bits": 8, "state_bits": 8, "input_bits": 8} | options),
    )


def test_quantized_and_kept(tmp_path):
    """A quantized network agrees with its float network, and both versions of files keep it."""
    network = exported().checkpoint.network
    assert state_range(network) == (0, 127)
    save_checkpoint(tmp_path / "a.npz", exported().checkpoint)
    again = load_checkpoint(tmp_path / "a.npz").network
    assert again.pieces == network.pieces and again.activation is Activation.PWL_SIGMOID
    back = recognized(lower(network))
    assert back.pieces == network.pieces and back.activation is Activation.PWL_SIGMOID


def test_pieces_of_another_function():
    """Pieces that are far from the sigmoid are refused, and recognized as no Elman network."""
    network = exported().checkpoint.network
    rows = network.pieces.rows.copy()
    rows[7, 3] += 12 << network.pieces.shift
    wrong = replace(network, pieces=replace(network.pieces, rows=rows))
    with pytest.raises(
        FormatError, match=r"^pieces must be the sigmoid at the spacing .* for index -?\d+, not "
    ):
        check_scales(wrong)
    assert recognized(lower(wrong)) is None


def design_of(seed, engine, **options):
    """Return a random design, and sequences."""
    rng = np.random.default_rng(seed)
    network = random_network(
        seed=seed,
        hidden_size=int(rng.integers(2, 9)),
        input_size=int(rng.integers(1, 5)),
        output_size=int(rng.integers(1, 4)),
        activation=Activation.PWL_SIGMOID,
        weight_bits=int(rng.integers(2, 9)),
        state_bits=int(rng.integers(4, 11)),
        input_kind=list(InputKind)[rng.integers(2)],
        rounding=list(Rounding)[rng.integers(2)],
        output_mode=list(OutputMode)[rng.integers(2)],
        shared_multiplier=bool(rng.integers(2)),
        **options,
    )
    elements = int(rng.integers(1, network.hidden_size + 1))
    design = compile_network(network, elements=elements, engine=engine)
    return design, random_sequences(network, batch=3, steps=6, seed=seed)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(8))
def test_random_cores(seed, engine):
    """Every state and answer of random networks is the integer model's, under stalls and a reset."""
    design, sequences = design_of(seed, engine)
    found = simulate_core_in_python(
        design, sequences, idle="random", back_pressure="random", reset_after=3, seed=seed
    )
    assert found.integers_compared > 60 and found.mismatches == 0


@pytest.mark.sampled(1)
@pytest.mark.skipif("icarus" not in INSTALLED, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(20, 22))
def test_random_cores_in_verilog(seed, engine):
    """The same for the Verilog in Icarus."""
    design, sequences = design_of(seed, engine)
    found = simulate_core(
        design, sequences, simulator="icarus", idle="random", back_pressure="random", reset_after=2, seed=seed
    )
    assert found.mismatches == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", [31, 32])
def test_faults_are_seen(seed, engine):
    """Each planted fault, one in the pieces among them, changes a state or an answer."""
    design, sequences = design_of(seed, engine)
    faults = inject_faults(design, sequences)
    assert "pieces" in {fault.name for fault in faults}
    for fault in faults:
        if fault.name == "pieces":
            assert fault.design.digest != design.digest
            with pytest.raises(MismatchError):
                simulate_core_in_python(fault.design, sequences)
