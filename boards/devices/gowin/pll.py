"""The PLL of a GW1NR-9C."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Module

from qornn_hw.boards.clock_source import (
    ClockNets,
    Parameter,
    PllLimits,
    PllSource,
    buffered,
    instance_parameters,
    within,
)

__all__ = ["GOWIN_LIMITS", "GOWIN_PLL", "GowinPll"]

# Ref: GW1NR Series of FPGA Products Data Sheet, Document Number DS117, PLL parameters of a GW1NR-9 of speed
# grade C6/I5. Its phase detector bounds the input.
GOWIN_LIMITS = PllLimits(
    input=(3_000_000, 400_000_000),
    detector=(3_000_000, 400_000_000),
    oscillator=(400_000_000, 1_200_000_000),
    output=(3_125_000, 600_000_000),
)
# Ref: Gowin Clock User Guide, Document Number UG286, rPLL: input and feedback divider are one more than
# IDIV_SEL and FBDIV_SEL; the clock is the oscillator over ODIV_SEL, and goes back to the detector.
IDIV = range(1, 65)
FBDIV = range(1, 65)
ODIV_SEL = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@dataclass(frozen=True)
class GowinPll:
    """Parameters of an rPLL cell: ``input / idiv * fbdiv``, of an oscillator ``odiv`` times as fast."""

    idiv: int
    fbdiv: int
    odiv: int

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz * self.fbdiv, self.idiv)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency."""
        return {"IDIV_SEL": self.idiv - 1, "FBDIV_SEL": self.fbdiv - 1, "ODIV_SEL": self.odiv}


class _Pll(PllSource):
    """An rPLL."""

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[GowinPll]:
        """Yield the settings for outputs from ``low`` to ``high``; the fastest phase detector first."""
        for idiv in IDIV:
            detector = Fraction(input_hz, idiv)
            if not within(detector, self.limits.detector):
                continue
            for fbdiv in range(max(FBDIV.start, -(-low // detector)), min(FBDIV.stop, high // detector + 1)):
                for odiv in ODIV_SEL:
                    if within(detector * fbdiv * odiv, self.limits.oscillator):
                        yield GowinPll(idiv, fbdiv, odiv)

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance:
        """Return the PLL."""
        clock = buffered(m, nets.pin)
        return Instance(
            "rPLL",
            p_FCLKIN=f"{nets.oscillator_hz / 1e6:g}",
            p_DEVICE=nets.device,
            p_CLKFB_SEL="internal",
            **instance_parameters(parameters),
            i_CLKIN=clock,
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=nets.clk,
            o_LOCK=nets.lock,
        )


GOWIN_PLL = _Pll("rPLL", limits=GOWIN_LIMITS)
