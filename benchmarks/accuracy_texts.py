"""The sentences of docs/results.md; figures come from the rows."""

__all__ = ["CLAIMS", "CLAIMS_TEXT", "COMMANDS", "HEAD", "TEXTS", "WAYS_TEXT"]

HEAD = """
`python benchmarks/accuracy.py` writes this page from the rows of `benchmarks/accuracy.jsonl`, one row for
each run. None of our figures is typed in by hand. `python benchmarks/accuracy.py --run --data DIR` runs
what is missing. {count}

Each figure is the median over the seeds on the test set, which is not used in training. If the seeds
differ, the smallest and the largest value follow in parentheses.

- *Float weights*: a network that was trained and measured in floating point.
- *Quantized weights*: the weights of the hardware, with states in floating point.
- *Integers*: the values that the hardware computes, bit for bit.
- *kB* (1024 bytes): W, U and V at their bits, biases in 32 bits, and the multipliers of the units at their
bits if each unit has its own; for float networks everything in 32 bits.
- *Error of W*: the spectral norm of `Q Q^T - I`, where Q is the quantized W.
- *Time per run*: the median wall time of training and measuring with one thread.
- *not run*: there is no run of this configuration.

By default the weights are quantized by the paper's q_k, with one quantization step for the whole of W,
`max |W| / 2**(k-1)`. *One step per row* is not the paper's: each row of W has a step of its own, which is
a multiplier of its own for each unit. kB counts these n multipliers.

The settings were chosen by the validation metric of seed 0 during training. MNIST by rows is an exception:
about a dozen settings were tried over time and compared partly by test accuracy, so its figures have a
small selection effect. The float baselines, LSTM and FastRNN, have one learning rate, 0.003, which was not
tuned. Their figures show what such a network reaches without tuning, not the best that it can reach.

The method is that of *Quantized Approximately Orthogonal Recurrent Neural Networks* (arXiv:2402.04012). Its
tables of results were not available for this page: **no figure here is the paper's**. These claims of the
paper are known: the best model is similar to full-precision orthogonal networks and LSTM "even with 3-bits"
[V1], and also to FastRNN, "even with 4-bits" [V2]; a fully quantized recurrence solves the copy task at T0
= 1000 [SCI]. Published figures are in separate tables, with their sources and with the differences in how
they were measured.
"""

TEXTS = {
    "copy": (
        "Copy task",
        """
The input has ten symbols out of eight, T0 blanks and a marker; the output must repeat the symbols.
Cross-entropy is the mean over all T0 + 20 steps. The best answer that ignores the input has 10 ln 8 / (T0 +
20): 0.0204 for T0 = 1000, 0.0945 for 200, 0.00414 for 5000, 0.00208 for 10,000. The activation is the
identity unless another one is named.

A W of signs and Hadamard blocks (`--method hadamard`) has one bit an entry and is exactly orthogonal, up to
the requantizer's factor for its step, here of 16 bits. A W that is rounded to two or three bits does not
solve the task with 1000 blanks.
""",
    ),
    "adding": (
        "Adding task",
        """
The output is the sum of the two marked numbers of a sequence; the metric is the mean squared error. The
best answer that ignores the input has 0.167. W is fixed at its initial value, `integrators`, and its step
represents it exactly (`--norm-preserving`). Half of the units have no memory, and start as detectors of
coinciding inputs. The other half accumulates the outputs of the detectors and has no other input. This much
of the solution is given. The detectors' parameters and V are learned, on sequences whose length increases
from 10 steps to all.
""",
    ),
    "pixels": (
        "MNIST by pixels",
        """
A sequence has 784 steps of one pixel, in order or in a fixed random order; there are 10,000 test images. W
is rounded so that its rows stay nearly orthogonal, and each row has a step of its own that preserves its
norm (`--orthogonal-rounding --per-row --norm-preserving`). The paper's q_k does none of this. The runs on a
GPU shared it, three or four at a time; each took about eight minutes, for four times as many epochs.

At 4 bits, more epochs do not help: in float, the permuted task ends at 93.5 % of the validation images
after 80 epochs, and at 92.8 % after 16. Training in order from a random orthogonal W is harder still. With
a W that starts with small rotations (`--first-matrix rotations`), float networks reach 96.5 %, and 98.7 %
in order. With 8 bits these are kept, with the nearest integers (`--no-orthogonal-rounding`) as well as with
orthogonal rounding. With fewer bits they are not ([training.md](training.md), section 2).
""",
    ),
    "cells": (
        "MNIST by pixels: linear recurrences and gated cells",
        """
A linear recurrence with a relu in front of the readout, or with a dense layer of relu units, is trained
without a loop over the steps ([training.md](training.md), section 7). The weights of these networks are
rounded from the start of the training on. A Hadamard matrix is signs times blocks of +1 and -1 (HadamRNN): it
is exactly orthogonal, with one bit a unit. The states are rounded after the training (`--epochs 0`), or in
its last epochs. Rotating units begin with small rotations in a random basis, and their own weights are apart.
kB counts a Hadamard matrix at one bit a unit, and factors that differ from unit to unit.
""",
    ),
    "rows": (
        "MNIST by rows",
        """
A sequence has 28 steps of one row of pixels; there are 10,000 test images. The float networks have as many
kB as the quantized Elman network.
""",
    ),
    "speech": (
        "Spoken digits",
        "The data are log-mel frames of the Free Spoken Digit Dataset; there are 300 test recordings.",
    ),
    "characters": (
        "Characters",
        """
The output is the next character of tinyshakespeare; the metric is bits per character on the last tenth of
the text. The LSTM has as many kB as the network with 4 bits. Published figures are for another text (Penn
Treebank) and cannot be compared.
""",
    ),
    "methods": (
        "Methods side by side",
        """
The table compares the copy task with T0 = 200, 128 units and 5 bits (cross-entropy), and MNIST by rows with
64 units and 4 bits (accuracy). In integers, the states have 12 bits on the copy task and 8 bits on MNIST.
LSTM and FastRNN have as many kB as the quantized networks. The float orthogonal network is the one that was
quantized after training.
""",
    ),
    "bits": (
        "Bits of the weights",
        """
The method is STE-Björck with k bits for W and U. The float row is an orthogonal network that was never
quantized. The last stage of training uses states of 12 bits on the copy task and of 8 bits on MNIST; the
column of the other width is the same network with states quantized after training. At k = 2 the copy task
is not learned by rounding W, neither here with one step for W nor above with one step per row.
""",
    ),
}

TEXTS["widening"] = (
    "Few bits and many units, or many bits and few units",
    """
All networks of a table have a W of as many bits in all: at k bits the units of 4 bits times the root of
4 / k. Each row of W has a step of its own. The method is the default of each task: STE-Björck on the copy
task, a free W on MNIST. The states have 12 bits on the copy task and 8 bits on MNIST. Lanes, cycles, logic
cells and block RAMs are those of `qornn-hw estimate --board icebreaker` for networks of these sizes.

On the copy task more bits are better than more units. On MNIST 2 to 6 bits are alike. In hardware fewer units
take fewer products, but with more bits fewer lanes fit: the fastest steps are those of 4 and of 6 bits.
""",
)

WAYS_TEXT = """
Ways to a W of k bits beside the paper's, each behind the same training in real numbers: the copy task with
T0 = 200 and 128 units (cross-entropy), MNIST by rows with 64 units (accuracy), the settings of the tables
above. U and V are rounded as there. Figures are medians of integers, with the number of seeds in
parentheses. Only the first three ways are in the program; the code of the others was not kept. Their runs
are in `benchmarks/few_bits.jsonl`.
"""

CLAIMS_TEXT = """
The claims of the paper's abstracts and of its summary, and the networks of this page that answer them: their
integers, or *float*.
"""

# Claim, its source, and the entries that answer it: group, title, rung.
CLAIMS = (
    (
        "a fully quantized recurrence solves the copy task at T0 = 1000",
        "SCI",
        (
            ("copy", "T0 = 1000, 256 units, k = 5, 12-bit states", "integer"),
            ("copy", "T0 = 1000, 256 units, k = 4, 12-bit states, one step per row", "integer"),
            ("copy", "T0 = 10,000, 256 units, W of 1 bit (Hadamard), U of 6, 12-bit states", "integer"),
        ),
    ),
    (
        'similar to full-precision orthogonal networks and LSTM "even with 3-bits"',
        "V1",
        (
            ("copy", "T0 = 1000, 256 units, k = 3, 12-bit states, one step per row", "integer"),
            ("copy", "T0 = 1000, 256 units, W of 1 bit (Hadamard), U and V of 3, 12-bit states", "integer"),
            ("methods", "copy/orthogonal", "float"),
            ("methods", "copy/lstm", "float"),
            ("cells", "permuted, 160 linear, 64 dense units, k = 3", "integer"),
        ),
    ),
    (
        'similar to FastRNN "even with 4-bits"',
        "V2",
        (
            ("pixels", "in order, 170 units, k = 4, 12-bit states, on a GPU, one step per row", "integer"),
            ("cells", "in order, 512 Hadamard units, W of 1 bit, U and V of 4", "integer"),
            ("cells", "in order, GRU of 64 units, k = 4, 12-bit states and gates", "integer"),
            ("rows", "64 units, k = 4, 8-bit states", "integer"),
            ("rows", "FastRNN, 15 units, float", "float"),
        ),
    ),
)

COMMANDS = """
These commands train the first seed; the others differ in `--seed`. LSTM and FastRNN have no command:
`python benchmarks/accuracy.py --run` trains them.
"""
