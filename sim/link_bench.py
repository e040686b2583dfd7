"""The cocotb bench of a link: a host at the pins, that knows nothing of what is behind them.

Runs inside the simulator on the harness of :mod:`qornn_hw.sim.link_simulation`; what it recorded is judged
there. The pins are driven by the link's own :class:`qornn_hw.link.physical.PinDriver`, which the plan names.
"""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from qornn_hw.compiler.weight_image import LoadStatus
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.physical import PinDriver
from qornn_hw.link.protocol import (
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
from qornn_hw.sim.plan import CLOCK_NS, PLAN_VARIABLE

__all__ = ["run_link"]

# Attempts to reach the board while it still holds its own reset.
RESET_ATTEMPTS = 50


class CocotbPins:
    """The pins of the harness (:class:`qornn_hw.link.physical.SimulatedPins`)."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut

    def set(self, pin: str, level: int) -> None:
        """Drive a pin."""
        getattr(self._dut, pin).value = level

    def get(self, pin: str) -> int:
        """Return the level of a pin; low where nothing drives it."""
        value = getattr(self._dut, pin).value
        return 0 if str(value) in ("Z", "z") else int(value)

    async def wait(self, picoseconds: int) -> None:
        """Let time pass."""
        await Timer(picoseconds, "ps")

    async def fall(self, pin: str) -> None:
        """Wait until a pin falls."""
        await FallingEdge(getattr(self._dut, pin))


class PinHost:
    """Sends requests to the pins and collects the replies."""

    def __init__(self, dut: Any, form: LinkFormat, driver: str, bit_ps: int) -> None:
        self.form = form
        self.bit_ps = bit_ps
        self._decoder = ReplyDecoder(form)
        self.replies: list[Reply] = []
        # Replies that are no garbage: a board that sends garbage for ever is as good as silent.
        self._valid = 0
        module, _, name = driver.partition(":")
        pin_driver: type[PinDriver] = getattr(importlib.import_module(module), name)
        self.pins = pin_driver(CocotbPins(dut), bit_ps, self._take)
        self.send = self.pins.send

    def _take(self, data: bytes) -> None:
        replies = self._decoder.feed(data)
        self.replies += replies
        self._valid += sum(not isinstance(reply, Garbled) for reply in replies)

    async def wait_for(self, kind: type, start: int, bits: int) -> bool:
        """Wait until a reply of ``kind`` is among those from ``start`` on, or the board falls silent."""
        silence, seen = 0, self._valid
        while not any(isinstance(reply, kind) for reply in self.replies[start:]):
            if silence > bits:
                return False
            await Timer(self.bit_ps, "ps")
            silence += 1
            if self._valid != seen:
                silence, seen = 0, self._valid
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


async def _start(dut: Any, plan: dict[str, Any]) -> PinHost:
    """Bring the board through its reset and return a host at its pins."""
    sizes = plan["form"]
    form = LinkFormat(
        sizes["words_per_step"],
        IntFormat(sizes["word_bits"], signed=sizes["word_signed"]),
        sizes["words_per_answer"],
        sizes["answer_bits"],
    )
    # Before the first edge of the clock: of an undefined input Icarus makes undefined registers.
    dut.clk.value, dut.rst.value = 0, 1
    for pin, level in plan["idle_levels"].items():
        getattr(dut, pin).value = level
    await Timer(1, "ns")
    host = PinHost(dut, form, plan["driver"], plan["bit_ps"])
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    cocotb.start_soon(host.pins.run())
    return host


async def _play(host: PinHost, segment: dict[str, Any], seen: dict[str, Any], silent_bits: int) -> str | None:
    """Play a segment of the plan into ``seen``; return what is wrong, in words."""
    if not await host.reset():
        return "the board must answer a RESET, and did not"
    start = len(host.replies)
    steps = segment["steps"]
    for at in range(0, len(steps), host.form.window):
        batch = steps[at : at + host.form.window]
        asked = len(host.replies)
        for index, (words, first, last) in enumerate(batch):
            ask = index == len(batch) - 1
            await host.send(
                encode_step(host.form, words, at + index, first=bool(first), last=bool(last), acknowledge=ask)
            )
        if not await host.wait_for(Acknowledge, asked, silent_bits):
            return "the board must acknowledge a step, and did not"
        seen["steps"] += len(batch)
    if segment["cut"]:
        seen["answers"] = _answers(host.replies[start:])
        return None
    for _ in range(segment["answers"]):
        before = len(host.replies)
        if len(_answers(host.replies[start:])) >= segment["answers"]:
            break
        if not await host.wait_for(Answer, before, silent_bits):
            break
    # Answers that nobody asked for would come now.
    await Timer(silent_bits * host.bit_ps, "ps")
    replies = host.replies[start:]
    seen["answers"] = _answers(replies)
    seen["other"] = [repr(reply) for reply in replies if not isinstance(reply, Answer | Acknowledge)]
    numbers = [reply.number for reply in replies if isinstance(reply, Answer)]
    if numbers != [i % NUMBERS for i in range(len(numbers))]:
        return "the board must number its answers, and did not"
    return None


@cocotb.test()
async def run_link(dut: Any) -> None:
    """Play the plan and write the record."""
    plan = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text())
    host = await _start(dut, plan)
    silent_bits = plan["silent_cycles"] * CLOCK_NS * 1000 // host.bit_ps + 20 * host.form.answer_frame_bytes
    record: dict[str, Any] = {"segments": [], "trouble": None}
    if not await host.reset():
        record["trouble"] = "the board must answer a RESET, and did not"
    else:
        # While a board starts it may drive nothing, which is no byte of it.
        host.replies = [reply for reply in host.replies if not isinstance(reply, Garbled)]
        record["trouble"] = await host.identify(bytes.fromhex(plan["identity"]))
    if plan["image"] is not None and record["trouble"] is None:
        record["trouble"] = await host.load(bytes.fromhex(plan["image"]))
    for segment in plan["segments"]:
        if record["trouble"] is not None:
            break
        seen: dict[str, Any] = {"steps": 0, "answers": [], "other": []}
        record["segments"].append(seen)
        record["trouble"] = await _play(host, segment, seen, silent_bits)
    if any(isinstance(reply, Garbled) for reply in host.replies) or host.pins.bad_bytes:
        record["trouble"] = record["trouble"] or "the board sent garbled bytes"
    record["ns"] = int(cocotb.simtime.get_sim_time("ns"))
    Path(plan["record"]).write_text(json.dumps(record))


def _answers(replies: list[Reply]) -> list[tuple[list[int], int]]:
    return [(list(r.words), int(r.last)) for r in replies if isinstance(r, Answer) and not r.aborted]
