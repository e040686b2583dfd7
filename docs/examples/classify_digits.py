"""Classify handwritten digits on a board, one row of pixels per step.

    python docs/examples/classify_digits.py MNIST_FOLDER [--port PORT] [--count 10]

With --port, the board at that serial port must hold `qornn-hw build models/mnist_rows.npz`. Without --port
the board is simulated, which needs Verilator.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

import qornn_hw
from qornn_hw.evaluation.evaluate import task_of

parser = argparse.ArgumentParser(description="Classify handwritten digits on a board.")
parser.add_argument("folder", type=Path, metavar="MNIST_FOLDER", help="folder with the MNIST files")
parser.add_argument("--port", help="serial port of the board; default: a simulated board")
parser.add_argument("--count", type=int, default=10, help="number of digits")
options = parser.parse_args()

path = Path(__file__).parents[2] / "models" / "mnist_rows.npz"
net = qornn_hw.load(path)
design = qornn_hw.compile(net, board="icebreaker")
digits = task_of(net.checkpoint, options.folder).test(options.count)

with ExitStack() as stack:
    if options.port is None:
        virtual = stack.enter_context(design.virtual_board())
        board = stack.enter_context(virtual.open())
    else:
        board = stack.enter_context(design.open(options.port))
    # A digit is 28 rows of 28 pixels, 0 to 15. Its answer is ten logits and the index of the largest one.
    answers = board.run_integers(list(digits.inputs), check=True)

correct = 0
for image, answer, label in zip(digits.inputs, answers, digits.targets, strict=True):
    digit = int(answer[-1, -1])
    correct += digit == label
    print("\n".join("".join(" .:#"[pixel // 4] * 2 for pixel in row) for row in image[4:24:2, 4:24]))
    print(f"board: {digit}, label: {label}\n")
print(f"{correct} of {len(answers)} correct")
