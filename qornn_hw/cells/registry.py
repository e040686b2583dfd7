"""The cells that can be trained, by the word of `qornn-hw train --cell`."""

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.dense import Dense
from qornn_hw.cells.fastgrnn import FastGrnn, FastRnn
from qornn_hw.cells.gru import Gru
from qornn_hw.cells.hadamard import HadamardUnits
from qornn_hw.cells.leaky import Leaky
from qornn_hw.cells.linear import LinearUnits
from qornn_hw.cells.lstm import Lstm
from qornn_hw.cells.min_gru import MinGru
from qornn_hw.cells.rnn import Rnn
from qornn_hw.cells.rotating import RotatingUnits

__all__ = ["CELLS"]

CELLS: dict[str, type[Cell]] = {
    "gru": Gru,
    "lstm": Lstm,
    "fastgrnn": FastGrnn,
    "fastrnn": FastRnn,
    "leaky": Leaky,
    "min_gru": MinGru,
    "rnn": Rnn,
    "linear": LinearUnits,
    "rotating": RotatingUnits,
    "hadamard": HadamardUnits,
    "dense": Dense,
}
