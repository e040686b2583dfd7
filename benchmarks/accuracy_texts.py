"""The sentences of docs/results.md; figures come from the rows."""

__all__ = ["COMMANDS", "HEAD", "TEXTS"]

HEAD = """
Written by `python benchmarks/accuracy.py` from the rows of `benchmarks/accuracy.jsonl`, one a run; no
figure of ours was typed in. `python benchmarks/accuracy.py --run --data DIR` runs what is missing. {count}

A figure is the median over the seeds, with the smallest and the largest in parentheses where they differ,
on the test set, which training never sees. *Float weights*: a network trained and measured in floating
point. *Quantized weights*: the weights as the hardware has them, states in floating point. *Integers*: what
the hardware computes, bit for bit. *kB* of 1024 bytes: W, U and V at their bits, biases in 32 bits, and
where units have multipliers of their own, these at theirs; of float networks everything in 32 bits. *Error of
W*: the spectral norm of `Q Q^T - I` of the quantized W.
*Time of a run*: wall time of training and measuring with one thread, median. *not run*: no run of that
configuration is there.

Where nothing else is said, weights are quantized by the paper's q_k: one step for the whole of W,
`max |W| / 2**(k-1)`. *A step by row* is not the paper's: each row of W has a step of its own, which is a
multiplier of its own for each unit; kB counts these n multipliers.

Settings were chosen by the validation metric of seed 0 in the curve of the training, except for MNIST by
rows: about a dozen settings in all were tried for it over time, compared partly by test accuracy, so that
its figures have a small selection effect. The float baselines, LSTM and FastRNN, have one learning rate,
0.003, which was not tuned: read them as what such a network gets at once, not as the best that it can.

The method is that of *Quantized Approximately Orthogonal Recurrent Neural Networks* (arXiv:2402.04012). Its
tables of results could not be read for this page: **no figure here is the paper's**. What is known of its
claims: the best model is similar to full-precision orthogonal networks and LSTM "even with 3-bits" [V1],
and to FastRNN, too, "even with 4-bits" [V2]; a fully quantized recurrence solves the copy task at T0 = 1000
[SCI]. Published figures stand in tables of their own, with their sources, and with what differs in how they
were measured.
"""

TEXTS = {
    "copy": (
        "Copy task",
        """
Ten symbols out of eight, T0 blanks, a marker, and the symbols are to be repeated. Cross-entropy is the mean
over all T0 + 20 steps; the best answer without any input gets 10 ln 8 / (T0 + 20): 0.0204 for T0 = 1000,
0.0945 for 200, 0.00414 for 5000. The activation is the identity where none is named.
""",
    ),
    "adding": (
        "Adding task",
        """
The sum of the two marked numbers of a sequence; mean square error. The best answer without any input gets
0.167. W is held at its first matrix, `integrators`, with a step that keeps it exactly (`--norm-preserving`):
half of the units have no memory and begin as detectors of inputs that come together, the other half adds up
what they say and hears nothing else. That much of the task is given; what is learned, on sequences that grow
from 10 steps to all, is what the detectors let through, and V. An orthogonal W is given nothing; it is
learned in floating point (last line), but quantized it forgets too much.
""",
    ),
    "pixels": (
        "MNIST by pixels",
        """
784 steps of a pixel, in order or in a fixed random order; 10,000 test images. W is rounded so that its rows
stay nearly orthogonal, each with a step of its own that keeps its length (`--orthogonal-rounding --per-row
--norm-preserving`), which the paper's q_k does not. Of a run on a GPU the time is that of eight minutes which
three or four runs at once had of it, for four times as many epochs. More of them is not what is missing with
4 bits: in float the permuted task ends at 93.5 % of the validation images after 80 epochs as after 16
(92.8 %), and training in order from a random orthogonal W is harder still. A W of small rotations to begin
with (`--first-matrix rotations`) ends at 96.5 % in float, 98.7 % in order. Eight bits hold that, with the
nearest integers (`--no-orthogonal-rounding`) as with orthogonal rounding; fewer do not
([training.md](training.md), section 2).
""",
    ),
    "rows": (
        "MNIST by rows",
        """
28 steps of a row of pixels; 10,000 test images. Two of the float networks have as many kB as the quantized
one, two as many units.
""",
    ),
    "speech": (
        "Spoken digits",
        "The Free Spoken Digit Dataset, log-mel frames; 300 test recordings.",
    ),
    "characters": (
        "Characters",
        """
The next character of tinyshakespeare; bits per character on the last tenth of the text. The LSTM has as
many kB as the network of 4 bits. Published figures are of other texts (Penn Treebank) and cannot be
compared.
""",
    ),
    "methods": (
        "Methods side by side",
        """
The copy task with T0 = 200, 128 units and 5 bits (cross-entropy), and MNIST by rows with 64 units and 4
bits (accuracy). Integers have 12-bit states on the copy task and 8-bit states on MNIST. LSTM and FastRNN
have as many kB as the quantized networks; the float orthogonal network is the one that was quantized after
training.
""",
    ),
    "bits": (
        "Bits of the weights",
        """
STE-Björck at k bits of W and U. The float row is an orthogonal network that was never quantized. Training
ends with states of 12 bits on the copy task and of 8 bits on MNIST; the other column is the same network with
states quantized after training. At k = 2 the copy task is not learned, here with one step
for all of W nor above with a step by row.
""",
    ),
}

COMMANDS = """
Of the first seed; the others differ in `--seed`. LSTM and FastRNN have none: `python benchmarks/accuracy.py
--run` trains them.
"""
