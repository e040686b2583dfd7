"""The cocotb bench of the UART link: a host at the pins, that knows nothing of what is behind them.

Runs inside the simulator on the harness of :mod:`sim.link_simulation`; what it recorded is judged there.
Python wakes up once a UART bit, not once a clock cycle.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from qornn_hw.fixed import IntFormat
from qornn_hw.link_protocol import (
    NUMBERS,
    Acknowledge,
    Answer,
    Garbled,
    Identity,
    LinkFormat,
    Loaded,
    Reply,
    ReplyDecoder,
    ResetDone,
    encode_identify,
    encode_load,
    encode_reset,
    encode_step,
)
from qornn_hw.weight_image import LoadStatus
from sim.plan import CLOCK_NS, PLAN_VARIABLE

__all__ = ["run_link"]

# Attempts to reach the board while it still holds its own reset.
RESET_ATTEMPTS = 50


class Host:
    """Sends frames into ``rx`` and collects the replies from ``tx``."""

    def __init__(self, dut: Any, form: LinkFormat, bit_ps: int) -> None:
        self._dut = dut
        self.form = form
        self.bit_ps = bit_ps
        self._decoder = ReplyDecoder(form)
        self.replies: list[Reply] = []
        self.bad_bytes = 0

    async def send(self, data: bytes) -> None:
        """Send bytes, each with a start and a stop bit."""
        for byte in data:
            for bit in (0, *(byte >> i & 1 for i in range(8)), 1):
                self._dut.rx.value = bit
                await Timer(self.bit_ps, "ps")

    async def listen(self) -> None:
        """Take bytes from the line for ever."""
        while True:
            await FallingEdge(self._dut.tx)
            await Timer(self.bit_ps // 2, "ps")
            byte = 0
            for i in range(8):
                await Timer(self.bit_ps, "ps")
                byte |= int(self._dut.tx.value) << i
            await Timer(self.bit_ps, "ps")
            if int(self._dut.tx.value) != 1:
                self.bad_bytes += 1
            self.replies += self._decoder.feed(bytes([byte]))

    async def wait_for(self, kind: type, start: int, bits: int) -> bool:
        """Wait until a reply of ``kind`` is among those from ``start`` on, or the board falls silent."""
        silence, seen = 0, len(self.replies)
        while not any(isinstance(reply, kind) for reply in self.replies[start:]):
            if silence > bits:
                return False
            await Timer(self.bit_ps, "ps")
            silence += 1
            if len(self.replies) != seen:
                silence, seen = 0, len(self.replies)
        return True

    async def reset(self) -> bool:
        """Reset link and core; return whether the board says so."""
        for _ in range(RESET_ATTEMPTS):
            start = len(self.replies)
            await self.send(encode_reset())
            if await self.wait_for(ResetDone, start, bits=20 * self.form.answer_frame_bytes + 60):
                return True
        return False

    async def identify(self, constant: bytes) -> str | None:
        """Ask the board what it is; return what is wrong with that, in words."""
        start = len(self.replies)
        await self.send(encode_identify())
        if not await self.wait_for(Identity, start, bits=20 * self.form.answer_frame_bytes + 500):
            return "the board must say what it is, and did not"
        (reply,) = (r for r in self.replies[start:] if isinstance(r, Identity))
        if reply.constant != constant:
            return f"the board must be {constant.hex()}, and says it is {reply.constant.hex()}"
        return None

    async def load(self, image: bytes) -> str | None:
        """Load weights; return what is wrong with that, in words."""
        start = len(self.replies)
        await self.send(encode_load(image))
        if not await self.wait_for(Loaded, start, bits=200):
            return "the board must say how an image of weights was, and did not"
        (reply,) = (r for r in self.replies[start:] if isinstance(r, Loaded))
        if reply.status != LoadStatus.LOADED:
            return f"the board must load its weights, and found {reply.status!r}"
        return None


@cocotb.test()
async def run_link(dut: Any) -> None:
    """Play the plan and write the record."""
    plan = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text())
    sizes = plan["form"]
    form = LinkFormat(
        sizes["words_per_step"],
        IntFormat(sizes["word_bits"], signed=sizes["word_signed"]),
        sizes["words_per_answer"],
        sizes["answer_bits"],
    )
    host = Host(dut, form, plan["bit_ps"])
    silent_bits = plan["silent_cycles"] * CLOCK_NS * 1000 // plan["bit_ps"] + 20 * form.answer_frame_bytes
    # Before the first edge of the clock: of an undefined input Icarus makes undefined registers.
    dut.clk.value, dut.rx.value, dut.rst.value = 0, 1, 1
    await Timer(1, "ns")
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    cocotb.start_soon(host.listen())

    record: dict[str, Any] = {"segments": [], "trouble": None}
    if not await host.reset():
        record["trouble"] = "the board must answer a RESET, and did not"
    else:
        record["trouble"] = await host.identify(bytes.fromhex(plan["identity"]))
    if plan["image"] is not None and record["trouble"] is None:
        record["trouble"] = await host.load(bytes.fromhex(plan["image"]))
    for segment in plan["segments"] if record["trouble"] is None else []:
        seen: dict[str, Any] = {"steps": 0, "answers": [], "other": []}
        record["segments"].append(seen)
        if not await host.reset():
            record["trouble"] = "the board must answer a RESET, and did not"
            break
        start = len(host.replies)
        steps = segment["steps"]
        for at in range(0, len(steps), form.window):
            batch = steps[at : at + form.window]
            asked = len(host.replies)
            for index, (words, first, last) in enumerate(batch):
                ask = index == len(batch) - 1
                await host.send(
                    encode_step(form, words, at + index, first=bool(first), last=bool(last), acknowledge=ask)
                )
            if not await host.wait_for(Acknowledge, asked, silent_bits):
                record["trouble"] = "the board must acknowledge a step, and did not"
                break
            seen["steps"] += len(batch)
        if segment["cut"]:
            seen["answers"] = _answers(host.replies[start:])
            continue
        for _ in range(segment["answers"]):
            before = len(host.replies)
            if len(_answers(host.replies[start:])) >= segment["answers"]:
                break
            if not await host.wait_for(Answer, before, silent_bits):
                break
        # Answers that nobody asked for would come now.
        await Timer(silent_bits * host.bit_ps, "ps")
        seen["answers"] = _answers(host.replies[start:])
        seen["other"] = [
            repr(reply) for reply in host.replies[start:] if not isinstance(reply, Answer | Acknowledge)
        ]
        numbers = [r.number for r in host.replies[start:] if isinstance(r, Answer)]
        if numbers != [i % NUMBERS for i in range(len(numbers))]:
            record["trouble"] = record["trouble"] or "the board must number its answers, and did not"
        if record["trouble"] is not None:
            break
    if any(isinstance(reply, Garbled) for reply in host.replies) or host.bad_bytes:
        record["trouble"] = record["trouble"] or "the board sent garbled bytes"
    record["ns"] = int(cocotb.simtime.get_sim_time("ns"))
    Path(plan["record"]).write_text(json.dumps(record))


def _answers(replies: list[Reply]) -> list[tuple[list[int], int]]:
    return [(list(r.words), int(r.last)) for r in replies if isinstance(r, Answer) and not r.aborted]
