"""Read-only memory in block RAM."""

from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler import memory as declared

__all__ = ["Rom", "below"]


def below(index: Value, count: int, wanted: Value) -> Value:
    """Return ``index`` where ``wanted``, else any number below ``count``, for a memory that ends there.

    If it is wanted, ``index`` must be below ``count``. The result keeps the bits of ``count - 1``, and the
    highest of them only where it is wanted: without that bit any number is below ``count``. It costs a logic
    cell, and none where ``count`` is a power of two.
    """
    bits = (count - 1).bit_length()
    if count == 1 << bits:
        return index[:bits]
    return Cat(index[: bits - 1], index[bits - 1] & wanted)


class Rom(wiring.Component):
    """A :class:`~qornn_hw.compiler.memory.Memory` in block RAM.

    Parameters:
        image: contents; word k is read at address k.

    Members:
        addr: In(ceil(log2 depth), at least 1); must be that of a word in every cycle, wanted or not.
        data: Out(width), the word at ``addr`` of the cycle before.

    Latency: 1 cycle. Throughput: 1 word a cycle.
    """

    LATENCY = 1

    def __init__(self, image: declared.Memory) -> None:
        self._image = image
        super().__init__({"addr": In(max(1, (image.depth - 1).bit_length())), "data": Out(image.width)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Without the attribute yosys turns shallow memories into logic: 64 x 128 bits cost 932 LUTs.
        m.submodules.memory = memory = Memory(
            shape=self._image.width,
            # A memory of one word has no address bit.
            depth=max(2, self._image.depth),
            init=self._image.words,
            attrs={"ram_style": "block"},
        )
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.addr), self.data.eq(port.data)]
        return m
