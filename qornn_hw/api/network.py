"""Networks: quantized from a trained model, or read from a file, and called with real numbers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from qornn_hw.cells.elman_network import IntegerNetwork, WeightBits
from qornn_hw.files.checkpoint import Checkpoint, load_any, save_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint

if TYPE_CHECKING:
    from qornn_hw.evaluation.bit_comparison import BitComparison
    from qornn_hw.ir.network import Network as Operations

__all__ = [
    "Network",
    "Quality",
    "QuantizeOptions",
    "compare_bits",
    "finetune",
    "load",
    "quantize",
    "save",
]


class QuantizeOptions(TypedDict, total=False):
    """Further options of :func:`quantize`; :func:`qornn_hw.quantization.quantize.export` says what each is.

    ``activation``, ``bias`` and ``output_bias`` go with a model of three arrays only. ``gate_bits``,
    ``value_bits`` and ``description`` go with gated and stacked layers
    (:func:`qornn_hw.quantization.quantize_stack.quantized_stack`).
    """

    activation: str
    bias: Any
    output_bias: Any
    initial_state: Any
    input: str
    input_bits: int
    input_signed: bool
    input_scale: Any
    input_offset: Any
    output_mode: str
    output_kind: str
    rounding: str
    multiplier_bits: int
    state_range: float
    calibration_percentile: float
    already_quantized: bool
    per_row: bool
    weight_steps: tuple[Any, Any, Any]
    float_weights: Mapping[str, Any]
    reference: Any
    quality: bool
    gate_bits: int
    index_bits: int
    value_bits: int
    description: Any
    task: dict[str, Any]
    metrics: dict[str, Any]
    provenance: dict[str, Any]


class Quality(Mapping[str, Any]):
    """How near a network is to the trained one: a mapping, and as text a short report.

    The keys are those of ``metrics["quality"]`` (docs/quality.md): ``agreement`` (share of equal answers, 0
    to 1), ``relrms`` (error of the logits relative to their spread), ``states`` (saturation, constant and
    dead units), ``inputs`` (clipped entries), ``warnings`` and so on.

    >>> import numpy as np, qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(20, 10, 2))
    >>> weights = (np.diag([0.9, -0.8]), np.eye(2), np.ones((1, 2)))
    >>> quality = qornn_hw.quantize(weights, x, activation="relu", weight_bits=8).quality
    >>> quality["bits"]["state"], quality["inputs"]["clipped"], quality["warnings"]
    (8, {}, [])
    >>> print(str(quality).splitlines()[0])
    understood 20 sequences of 10 steps of 2 inputs, 1 outputs after every step
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = dict(facts)

    def __getitem__(self, key: str) -> Any:
        return self._facts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __str__(self) -> str:
        from qornn_hw.quantization.quality import quality_text

        return quality_text(self._facts)

    def __repr__(self) -> str:
        return f"Quality(agreement={self.get('agreement')}, relrms={self.get('relrms')})"


class Network:
    """A quantized recurrent network: what it computes is what the hardware computes, integer for integer.

    From :func:`quantize` or :func:`load`; :func:`save` writes it, :func:`compile` makes hardware of it.

    >>> import numpy as np
    >>> import qornn_hw
    >>> net = qornn_hw.load("models/mnist_rows.npz")
    >>> net
    Network(28 inputs, 64 units, 10 outputs; relu; 4-bit weights, 8-bit states; answers the last step)
    >>> net(np.zeros((5, 28, 28))).shape
    (5, 1, 10)
    """

    def __init__(self, checkpoint: Checkpoint | NetworkCheckpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, inputs: Any, lengths: Any = None) -> Any:
        """Return the logits that the hardware computes for real inputs, as real numbers.

        Args:
            inputs: real vectors (count, steps, m), in the units that the trained network takes; or indices
                (count, steps); or a list of sequences of different lengths, (steps, m) or (steps,) each.
            lengths: steps of each sequence, (count,), where the array is padded.

        Returns:
            (count, steps, p), or (count, 1, p) where the network answers the last step only; for a list or
            lengths a list of such arrays without the first dimension.

        Warns:
            ClippedInputsWarning: inputs lay outside the format of the network's input.

        Raises:
            FormatError: the inputs have another form, or an entry is not finite.
        """
        return self._checkpoint(inputs, lengths)

    def integers(self, inputs: Any, lengths: Any = None) -> Any:
        """Return the logits of a call as the integers that the hardware computes.

        >>> import numpy as np, qornn_hw
        >>> net = qornn_hw.load("models/mnist_rows.npz")
        >>> net.integers(np.zeros((1, 28, 28))).dtype
        dtype('int64')
        """
        return self._checkpoint.integers(inputs, lengths)

    @property
    def quality(self) -> Quality | None:
        """The measured distance from the trained network; None where it was not measured."""
        found = self.metrics.get("quality")
        return None if found is None else Quality(found)

    @property
    def checkpoint(self) -> Checkpoint | NetworkCheckpoint:
        """What the model file holds."""
        return self._checkpoint

    @property
    def network(self) -> "IntegerNetwork | Operations":
        """The integers: the parameters of an Elman cell, or operations."""
        return self._checkpoint.network

    @property
    def operations(self) -> "Operations":
        """The network as operations (:mod:`qornn_hw.ir`)."""
        from qornn_hw.cells.elman import lower

        network = self._checkpoint.network
        return lower(network) if isinstance(network, IntegerNetwork) else network

    @property
    def float_weights(self) -> Mapping[str, Any] | None:
        """The weights of the trained network by name; None where they are not known."""
        return self._checkpoint.float_weights if isinstance(self._checkpoint, Checkpoint) else None

    @property
    def task(self) -> dict[str, Any]:
        """Name and parameters of the task that measures the network; empty if none."""
        return self._checkpoint.task

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured."""
        return self._checkpoint.metrics

    @property
    def provenance(self) -> dict[str, Any]:
        """How the network was made: command, seed, versions."""
        return self._checkpoint.provenance

    def __repr__(self) -> str:
        net = self._checkpoint.network
        if not isinstance(net, IntegerNetwork):
            return repr(net)
        when = "every step" if net.output_mode == "every_step" else "the last step"
        return (
            f"Network({net.input_size} {'inputs' if net.vector_input else 'symbols'}, {net.hidden_size} "
            f"units, {net.output_size} outputs; {net.activation}; {net.weight_bits.recurrent}-bit weights, "
            f"{net.state_bits}-bit states; answers {when})"
        )


def quantize(
    model: Any,
    calibration: Any,
    *,
    weight_bits: int | WeightBits = 4,
    state_bits: int = 8,
    **options: Unpack[QuantizeOptions],
) -> Network:
    """Quantize a trained network: recurrent layers in a row (RNN, GRU, LSTM) and a linear readout.

    Each matrix is rounded with the step that brings the integer network nearest to the trained one on the
    calibration inputs. ``print(net.quality)`` says how near that is.

    Args:
        model: a torch module with recurrent layers and a ``torch.nn.Linear`` readout (docs/torch.md); or
            layer and readout as a tuple; or the path of an ``.onnx``, ``.keras`` or ``.safetensors`` file; or
            a state dict; or W (n, n), U (n, m) and V (p, n) of ``h' = act(W h + U x + b)`` as a tuple of
            arrays, with the option ``activation``; or a :class:`Network` that has float weights.
        calibration: inputs as in use: real vectors (count, steps, m), or indices (count, steps); for
            sequences of different lengths a list of arrays (steps, m) or (steps,).
        weight_bits: bits of W, U and V, 1 to 8; or a
            :class:`~qornn_hw.cells.elman_network.WeightBits` of three numbers.
        state_bits: bits of the state, 4 to 16; of gated and stacked layers 2 to 16.
        options: those of :class:`QuantizeOptions`.

    Raises:
        FormatError: a module that has no hardware, or an argument that breaks a number rule.

    Warns:
        QualityWarning: the integer network answers otherwise than the trained one, or clips its inputs.

    >>> import numpy as np
    >>> import qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(40, 20, 2))
    >>> w, u, v = np.diag([0.9, -0.8, 0.7]), np.ones((3, 2)), np.eye(3)
    >>> net = qornn_hw.quantize((w, u, v), x, activation="relu", weight_bits=8, state_bits=12)
    >>> net
    Network(2 inputs, 3 units, 3 outputs; relu; 8-bit weights, 12-bit states; answers every step)
    >>> net.quality["agreement"] > 0.9
    True
    """
    from qornn_hw.importers.any_model import quantizer_of
    from qornn_hw.importers.any_stack import imported_stack
    from qornn_hw.quantization.quantize_stack import quantized_stack

    model = _unwrapped(model)
    description = options.pop("description", None)
    if (found := imported_stack(model, calibration, description)) is not None:
        return Network(
            quantized_stack(
                found.stack,
                calibration,
                weight_bits=weight_bits,
                state_bits=state_bits,
                mode=found.mode,
                notes=found.notes,
                **options,
            )
        )
    make = quantizer_of(model)
    return Network(
        make(calibration_inputs=calibration, weight_bits=weight_bits, state_bits=state_bits, **options)
    )


def load(path: str | Path) -> Network:
    """Read a model file, ``.pt`` or ``.npz``, and check everything in it; nothing in it is executed.

    Args:
        path: the file; docs/checkpoint.md says what it holds.

    Raises:
        CheckpointError: the file is absent, unreadable, incomplete or inconsistent.

    >>> import qornn_hw
    >>> qornn_hw.load("models/copy.npz").metrics["task"]
    'copy'
    """
    return Network(load_any(path))


def save(path: str | Path, net: Network | Checkpoint | NetworkCheckpoint) -> None:
    """Write a model file, ``.pt`` or ``.npz`` by the suffix of ``path``, whole or not at all.

    Folders that are not there are made.

    Args:
        path: the file.
        net: what to write.

    Raises:
        CheckpointError: another suffix, or a network that no file may hold.
        OutputError: the file cannot be written.

    >>> import tempfile, pathlib, qornn_hw
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> qornn_hw.save(folder / "copy.pt", qornn_hw.load("models/copy.npz"))
    >>> qornn_hw.load(folder / "copy.pt")
    Network(10 symbols, 64 units, 9 outputs; identity; 6-bit weights, 10-bit states; answers every step)
    """
    checkpoint = net.checkpoint if isinstance(net, Network) else net
    save_any(path, checkpoint)


def compare_bits(model: Any, inputs: Any, **options: Any) -> "BitComparison":
    """Measure one network as float and with several widths of weights and states.

    Args:
        model: as for :func:`quantize`; a :class:`Network` must hold float weights.
        inputs: as ``calibration`` of :func:`quantize`.
        options: those of :func:`qornn_hw.evaluation.bit_comparison.compare_bits`: targets, lengths,
            weight_bits, state_bits, and those of :func:`quantize`.

    Raises:
        FormatError: no float network, no sequences, or a width that cannot be.

    >>> import numpy as np, qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(20, 10, 2))
    >>> weights = (np.diag([0.9, -0.8]), np.eye(2), np.ones((1, 2)))
    >>> found = qornn_hw.compare_bits(weights, x, activation="relu", weight_bits=[4, 8], state_bits=[8])
    >>> [row.name for row in found.rows]
    ['float', '4-bit weights, 8-bit states', '8-bit weights, 8-bit states']
    """
    from qornn_hw.evaluation.bit_comparison import compare_bits as compare

    return compare(_unwrapped(model), inputs, **options)


def finetune(model: Any, data: Any, **options: Any) -> Network:
    """Train a network on with few bits, from its own weights; needs the extra ``train``.

    Args:
        model: a :class:`Network`, the path of a model file, or torch modules as :func:`quantize` takes them.
        data: ``(inputs, targets)`` or ``(inputs, targets, lengths)``, or the .npz file of the arrays task
            (docs/tasks.md).
        options: those of :func:`qornn_hw.training.finetune.finetune`: bits, output_bits, state_bits,
            input_bits, epochs and so on.

    Raises:
        FormatError: an option, or the module, cannot be.
        DataError: the data are not what they should be, or do not fit the network.
        TrainingError: the loss is not finite.

    >>> import numpy as np, torch, qornn_hw
    >>> rnn, readout = torch.nn.RNN(2, 4, nonlinearity="relu", batch_first=True), torch.nn.Linear(4, 3)
    >>> x, classes = np.random.default_rng(0).normal(size=(60, 8, 2)), np.arange(60) % 3
    >>> made = qornn_hw.finetune((rnn, readout), (x, classes), bits=4, epochs=1, finetune_epochs=1)
    >>> sorted(made.metrics["integer"])
    ['accuracy']
    """
    from qornn_hw.training.finetune import finetune as train

    return Network(train(_unwrapped(model), data, **options))


def _unwrapped(model: Any) -> Any:
    return model.checkpoint if isinstance(model, Network) else model
