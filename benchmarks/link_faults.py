"""Random faults on the line between a host and a virtual board: each must be detected or harmless.

    python benchmarks/link_faults.py [--faults N] [--seed N] [--stream] [--json]

A run plays a few sequences through the host client to the RTL of core, link and UART in Verilator. Each run
has one fault at a random place in either direction: a bit flipped, a byte replaced, bytes dropped, inserted
or repeated, the rest of a frame cut off, a RESET inside a frame, or a host that disconnects. A run passes if
every answer equals the integer model's, and the next run starts on the same board. With --stream the
sequences are one stream: a chunk, then step after step, with each answer awaited.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qornn_hw.boards.host import Host, SerialTransport, Transport, model_answers
from qornn_hw.cells.elman_network import InputKind, IntegerNetwork, OutputKind, OutputMode
from qornn_hw.compiler.design import Design, compile_network
from qornn_hw.errors import QornnError
from qornn_hw.link.protocol import encode_reset
from qornn_hw.sim.link_simulation import emit_linked_core
from qornn_hw.sim.stimuli import random_network, random_sequences
from qornn_hw.sim.virtual_board import VirtualBoard, build_virtual_board

__all__ = ["KINDS", "Campaign", "FaultyTransport", "HostGoneError", "designs", "play_stream", "running"]

IntArray = NDArray[np.int64]

# The faults of bytes in either direction.
KINDS = ("flip", "replace", "drop", "insert", "repeat", "cut", "noise", "reset", "gone")
TO_BOARD_ONLY = ("reset", "gone")
# Clock and baud rate of the virtual board, with few cycles a bit to save time.
HZ, BAUD = 24_000_000, 3_000_000
# Silence after which a host assumes a loss. The board answers within a millisecond on an idle machine.
TIMEOUT = 0.25
SEQUENCES, STEPS = 3, 5
# More cycles than these designs need to work off their buffers; then the board sleeps.
IDLE_CYCLES = 50_000


class HostGoneError(Exception):
    """The host disconnected in the middle of a write."""


class FaultyTransport:
    """A transport that makes one fault.

    Args:
        inner: the transport without faults.
        kind: one of :data:`KINDS`.
        to_board: direction of the fault.
        at: index of the byte in that direction at which the fault happens.
        rng: random numbers for its size and content.
    """

    def __init__(self, inner: Transport, kind: str, to_board: bool, at: int, rng: random.Random) -> None:
        self.name = inner.name
        self._inner = inner
        self._kind = kind
        self._to_board = to_board
        self._at = at
        self._rng = rng
        self._seen = 0
        # Number of bytes that are still to be dropped.
        self._dropping = 0
        self.done = False

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._inner.write(self._spoil(data) if self._to_board else data)
        if self.done and self._kind == "gone":
            self._kind = "nothing"
            raise HostGoneError

    def read(self, seconds: float) -> bytes:
        """Return bytes."""
        data = self._inner.read(seconds)
        return data if self._to_board else self._spoil(data)

    def close(self) -> None:
        """Close."""
        self._inner.close()

    def _spoil(self, data: bytes) -> bytes:
        dropped = min(self._dropping, len(data))
        self._dropping -= dropped
        data = data[dropped:]
        start, self._seen = self._seen, self._seen + len(data) + dropped
        at = self._at - start
        if self.done or not 0 <= at < len(data):
            return data
        self.done = True
        rng = self._rng
        before, behind = data[:at], data[at:]
        match self._kind:
            case "flip":
                return before + bytes([behind[0] ^ 1 << rng.randrange(8)]) + behind[1:]
            case "replace":
                count = rng.randint(1, 4)
                return before + rng.randbytes(min(count, len(behind))) + behind[count:]
            case "drop" | "cut":
                # A few bytes, or about a frame.
                count = rng.randint(1, 3) if self._kind == "drop" else rng.randint(4, 24)
                self._dropping = max(0, count - len(behind))
                return before + behind[count:]
            case "insert":
                return before + rng.randbytes(rng.randint(1, 4)) + behind
            case "noise":
                return before + rng.randbytes(rng.randint(5, 60)).replace(b"\x11", b"\xa5") + behind
            case "repeat":
                count = rng.randint(1, 40)
                return before + behind[:count] + behind
            case "reset":
                return before + encode_reset(rng.randrange(256)) + behind
            case _:
                return before


@dataclass
class Campaign:
    """The results of many faults.

    Attributes:
        faults: number of faults by kind.
        detected: faults after which the host had to start again, or refused.
        harmless: faults without an effect.
        missed: runs that ended before their fault.
        wrong_answers: sequences with an answer that differs from the integer model's. Must be 0.
        given_up: runs that ended with an error, by message. Must be empty.
        seconds: duration of the runs.
    """

    faults: Counter[str] = field(default_factory=Counter)
    detected: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    wrong_answers: int = 0
    given_up: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def play(
        self, design: Design, board: VirtualBoard, count: int, seed: int, *, stream: bool = False
    ) -> None:
        """Make ``count`` faults in runs of sequences, or of one stream."""
        start = time.monotonic()
        network = design.network
        sequences = random_sequences(network, batch=SEQUENCES, steps=STEPS, seed=seed)
        if stream:
            sequences = [np.concatenate(sequences)]
        expected = stream_answers(network, sequences[0]) if stream else model_answers(network, sequences)

        def compute(host: Host) -> list[IntArray]:
            return play_stream(host, sequences[0]) if stream else host.run(sequences)

        # The bytes that a run without a fault sends and receives.
        with self._host(design, SerialTransport(board.port, BAUD)) as host:
            compute(host)
            sent, received = host.statistics.bytes_sent, host.statistics.bytes_received
        made = 0
        number = 0
        while made < count:
            rng = random.Random(f"{seed} {number}")
            number += 1
            kind = KINDS[number % len(KINDS)]
            to_board = kind in TO_BOARD_ONLY or rng.random() < 0.5
            place = rng.randrange(sent if to_board else received)
            inner = SerialTransport(board.port, BAUD)
            transport = FaultyTransport(inner, kind, to_board, place, rng)
            host = self._host(design, transport)
            label = f"{kind}{'' if kind in TO_BOARD_ONLY else ' to board' if to_board else ' to host'}"
            noticed = False
            try:
                host.connect()
                answers = compute(host)
            except HostGoneError:
                # Another host takes over the board in its present state.
                noticed = True
                inner.close()
                with self._host(design, SerialTransport(board.port, BAUD)) as other:
                    answers = compute(other)
            except QornnError as error:
                self.given_up.append(f"{label} at {place}, run {number}: {error}")
                answers = []
            finally:
                host.close()
            if not transport.done:
                self.missed += 1
                continue
            made += 1
            self.faults[label] += 1
            s = host.statistics
            noticed |= bool(s.resets or s.faults or s.garbled or s.silences or s.out_of_turn)
            (self.detected if noticed else self.harmless)[label] += 1
            if made % 1000 == 0:
                print(f"{made} of {count} faults, {time.monotonic() - start:.0f} s", file=sys.stderr)
            # A run that was given up has no answers.
            for got, due in zip(answers, expected if answers else [], strict=True):
                self.wrong_answers += not np.array_equal(got, due)
        self.seconds += time.monotonic() - start

    def _host(self, design: Design, transport: Transport) -> Host:
        return Host(design.network, transport, design=design, timeout=TIMEOUT)


def play_stream(host: Host, inputs: IntArray) -> list[IntArray]:
    """Play a sequence as a stream, its first third as a chunk; return the answers."""
    chunk = len(inputs) // 3
    (words,) = host.run([inputs[:chunk]], continue_state=True)
    answers = [words]
    for step, x in enumerate(inputs[chunk:]):
        # A network that answers the last step only is asked after every second step.
        if (answer := host.step(x, last=step % 2 == 1)) is not None:
            answers.append(answer[np.newaxis])
    return answers


def stream_answers(network: IntegerNetwork, inputs: IntArray) -> list[IntArray]:
    """Return the expected result of :func:`play_stream`, from the integer model on the whole sequence."""
    chunk = len(inputs) // 3
    every = network.output_mode is OutputMode.EVERY_STEP
    whole = model_answers(replace(network, output_mode=OutputMode.EVERY_STEP), [inputs])[0]
    asked = [step for step in range(len(inputs) - chunk) if every or step % 2 == 1]
    return [whole[0 if every else chunk - 1 : chunk], *(whole[chunk + s : chunk + s + 1] for s in asked)]


def designs() -> dict[str, Design]:
    """Return the tested designs: vectors with an answer every step, and symbols with one at the end."""
    vector = random_network(seed=1, hidden_size=5, input_size=3, output_size=2)
    symbols = random_network(
        seed=2,
        hidden_size=4,
        input_size=5,
        output_size=3,
        input_kind=InputKind.ONE_HOT,
        output_mode=OutputMode.LAST_STEP,
        output_kind=OutputKind.LOGITS,
    )
    return {
        "vector": compile_network(vector, columns_per_element=2, elements=2),
        "symbols": compile_network(symbols, columns_per_element=2, elements=2),
    }


@contextmanager
def running(design: Design, folder: Path) -> Iterator[VirtualBoard]:
    """Yield a virtual board with the design: core, link and UART, without a board's own clock and pins."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "linked_core.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=HZ // BAUD))
    build = build_virtual_board([source], "linked_core", folder, hz=HZ, baud=BAUD)
    with build.start(IDLE_CYCLES) as board:
        yield board


def main() -> int:
    """Run the campaign and print what came of it; 1 if an answer was wrong or a board given up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stream", action="store_true", help="one stream instead of sequences")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    campaign = Campaign()
    chosen = designs()
    with tempfile.TemporaryDirectory() as folder:
        for index, (name, design) in enumerate(chosen.items()):
            share = arguments.faults // len(chosen) + (index < arguments.faults % len(chosen))
            with running(design, Path(folder) / name) as board:
                campaign.play(design, board, share, arguments.seed + index, stream=arguments.stream)
    value = {
        "faults": sum(campaign.faults.values()),
        "detected": sum(campaign.detected.values()),
        "harmless": sum(campaign.harmless.values()),
        "wrong_answers": campaign.wrong_answers,
        "given_up": campaign.given_up,
        "missed": campaign.missed,
        "seconds": round(campaign.seconds, 1),
        "by_kind": {
            kind: {"faults": n, "detected": campaign.detected[kind], "harmless": campaign.harmless[kind]}
            for kind, n in sorted(campaign.faults.items())
        },
    }
    if arguments.json:
        print(json.dumps(value, indent=2))
    else:
        for kind, row in value["by_kind"].items():
            n, noticed, harmless = row["faults"], row["detected"], row["harmless"]
            print(f"{kind:18} {n:6} faults {noticed:6} detected {harmless:6} harmless")
        print(
            f"{value['faults']} faults: {value['detected']} detected, {value['harmless']} harmless, "
            f"{value['wrong_answers']} wrong answers accepted, {len(campaign.given_up)} given up, "
            f"{value['seconds']} s"
        )
        for line in campaign.given_up[:10]:
            print(line)
    return 1 if campaign.wrong_answers or campaign.given_up else 0


if __name__ == "__main__":
    sys.exit(main())
