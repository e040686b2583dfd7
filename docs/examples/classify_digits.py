"""Handwritten digits, row by row, on a board.

    python docs/examples/classify_digits.py PORT MNIST_FOLDER [COUNT]

The board holds `qornn-hw build models/mnist_rows.npz`; or there is none, and `qornn-hw simulate-board
models/mnist_rows.npz` says which PORT to take.
"""

import sys
from pathlib import Path

from boards.host import Host, open_port
from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.evaluate import task_of

checkpoint = load_checkpoint(Path(__file__).parents[2] / "models" / "mnist_rows.npz")
digits = task_of(checkpoint, sys.argv[2]).test(int(sys.argv[3]) if len(sys.argv) > 3 else 10)
right = 0
with Host(checkpoint.network, open_port(sys.argv[1], 3_000_000)) as host:
    # A digit is 28 rows of 28 pixels, 0 to 15; its answer ten logits and the index of the largest one.
    answers = host.run(list(digits.inputs))
    for image, answer, label in zip(digits.inputs, answers, digits.targets, strict=True):
        digit = int(answer[-1, -1])
        right += digit == label
        print("\n".join("".join(" .:#"[pixel // 4] * 2 for pixel in row) for row in image[4:24:2, 4:24]))
        print(f"{digit}, and it is a {label}\n")
print(f"{right} of {len(answers)} right")
