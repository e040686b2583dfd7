"""The parts of an export, put together for tests: checked arguments, sample and search."""

import inspect

import numpy as np

from qornn_hw.quantization.arguments import check_arguments
from qornn_hw.quantization.calibration import check_indices, input_range, sample_of, state_range
from qornn_hw.quantization.candidates import Candidates
from qornn_hw.quantization.grid_search import GridSearch
from qornn_hw.quantization.input_grids import InputGrids
from qornn_hw.quantization.quantize import export


def arguments_of(w, u, v, **options):
    """Return the checked arguments of an export."""
    defaults = {name: p.default for name, p in inspect.signature(export).parameters.items()}
    return check_arguments(
        defaults | {"recurrent_weight": w, "input_weight": u, "output_weight": v} | options
    )


def search_of(w, u, v, **options):
    """Return the search of an export before it runs."""
    arguments = arguments_of(w, u, v, **options)
    sequences, inputs, prepare = arguments.sequences, None, np.asarray
    if arguments.one_hot:
        sequences = check_indices(sequences, arguments.inputs)
    else:
        inputs = InputGrids(arguments, input_range(sequences, arguments.percentile))
        prepare = inputs.clip
    found = state_range(arguments.network, sequences, prepare)
    sample = sample_of(arguments.network, sequences, prepare, found.reach)
    largest = found.largest if arguments.state_range is None else arguments.state_range
    return GridSearch(Candidates(arguments, inputs, sample, largest), sample)
