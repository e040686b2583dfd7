"""The multiplier block of the iCE40 UltraPlus: SB_MAC16 as a 16x16 multiplier and a 32-bit adder."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.mac_settings import MacSettings

__all__ = ["Mac16"]


class Mac16(wiring.Component):
    """``o = c + a * b`` with a held operand, a register in front of the multiplier and one behind the adder.

    With A and B the registers behind ``a`` and ``b``: ``o(t + 1) = c(t) + A(t) * B(t)`` modulo 2^32, where
    ``B(t) = b(t - 1)`` and A is ``a`` of the last cycle before t without ``a_hold``.

    Parameters:
        settings: how the block reads its operands and joins the halves of its adder.
        c_register: take ``c`` through a register: ``c(t - 1)`` instead of ``c(t)``.

    Members:
        a: In(16); the operand that is held.
        a_hold: In(1); keep A.
        b: In(16).
        c: In(32).
        o: Out(32).

    Latency: 2 cycles from ``b``, 1 from ``c`` (2 with ``c_register``). Throughput: 1 a cycle.

    Nothing is reset; what the registers hold first is undefined in hardware.
    """

    def __init__(self, *, settings: MacSettings, c_register: bool = False) -> None:
        self._settings = settings
        self._c_register = c_register
        super().__init__({"a": In(16), "a_hold": In(1), "b": In(16), "c": In(32), "o": Out(32)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        return self._twin() if platform is None else self._cell()

    def _twin(self) -> Module:
        m = Module()
        settings = self._settings
        held, b = Signal(16, reset_less=True), Signal(16, reset_less=True)
        with m.If(~self.a_hold):
            m.d.sync += held.eq(self.a)
        m.d.sync += b.eq(self.b)
        c: Any = self.c
        if self._c_register:
            c = Signal(32, reset_less=True)
            m.d.sync += c.eq(self.c)
        left = held.as_signed() if settings.a_signed else held
        right = b.as_signed() if settings.b_signed else b
        product = Signal(32)
        # Two adders of 16 bits, as in the block: the carry of the lower one is a setting.
        low = Signal(17)
        m.d.comb += [product.eq(left * right), low.eq(c[:16] + product[:16])]
        carry = low[16] if settings.carry else 0
        out = Signal(32, reset_less=True)
        m.d.sync += out.eq(Cat(low[:16], (c[16:] + product[16:] + carry)[:16]))
        m.d.comb += self.o.eq(out)
        return m

    def _cell(self) -> Module:
        # Ref: iCE40 technology library, Document Number FPGA-TN-02020, SB_MAC16; the same in yosys'
        # ice40/cells_sim.v. An adder half takes C or D above and the product's half below.
        m = Module()
        settings = self._settings
        zeros = {
            name: Const(0)
            for name in (
                *("i_BHOLD", "i_CHOLD", "i_DHOLD", "i_IRSTTOP", "i_IRSTBOT", "i_ORSTTOP", "i_ORSTBOT"),
                *("i_OLOADTOP", "i_OLOADBOT", "i_ADDSUBTOP", "i_ADDSUBBOT", "i_OHOLDTOP", "i_OHOLDBOT"),
                *("i_CI", "i_ACCUMCI", "i_SIGNEXTIN"),
            )
        }
        m.submodules.cell = Instance(
            "SB_MAC16",
            p_A_REG=Const(1, 1),
            p_B_REG=Const(1, 1),
            p_C_REG=Const(self._c_register, 1),
            p_D_REG=Const(self._c_register, 1),
            p_TOPOUTPUT_SELECT=Const(1, 2),
            p_BOTOUTPUT_SELECT=Const(1, 2),
            p_TOPADDSUB_LOWERINPUT=Const(2, 2),
            p_BOTADDSUB_LOWERINPUT=Const(2, 2),
            p_TOPADDSUB_UPPERINPUT=Const(1, 1),
            p_BOTADDSUB_UPPERINPUT=Const(1, 1),
            p_TOPADDSUB_CARRYSELECT=Const(2 if settings.carry else 0, 2),
            p_BOTADDSUB_CARRYSELECT=Const(0, 2),
            p_A_SIGNED=Const(settings.a_signed, 1),
            p_B_SIGNED=Const(settings.b_signed, 1),
            i_CLK=ClockSignal(),
            i_CE=Const(1),
            i_A=self.a,
            i_AHOLD=self.a_hold,
            i_B=self.b,
            i_C=self.c[16:],
            i_D=self.c[:16],
            o_O=self.o,
            **zeros,
        )
        return m
