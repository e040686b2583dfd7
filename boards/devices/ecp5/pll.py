"""The PLL of the ECP5."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Module, Signal

from qornn_hw.boards.clock_source import (
    ClockNets,
    Parameter,
    PllLimits,
    PllSource,
    buffered,
    instance_parameters,
    within,
)

__all__ = ["ECP5_LIMITS", "ECP5_PLL", "Ecp5Pll"]

# Ref: ECP5 and ECP5-5G Family Data Sheet, Document Number FPGA-DS-02012, sysCLOCK PLL timing.
ECP5_LIMITS = PllLimits(
    input=(8_000_000, 400_000_000),
    detector=(10_000_000, 400_000_000),
    oscillator=(400_000_000, 800_000_000),
    output=(3_125_000, 400_000_000),
)
# Ref: ECP5 and ECP5-5G sysCLOCK PLL/DLL Design and Usage Guide, Document Number FPGA-TN-02200: input,
# feedback and output dividers.
CLKI_DIV = range(1, 129)
CLKFB_DIV = range(1, 81)
CLKOP_DIV = range(1, 129)
CLKOS_DIV = range(1, 129)


@dataclass(frozen=True)
class Ecp5Pll:
    """Parameters of an EHXPLLL cell: CLKOP closes the loop, CLKOS is the clock.

    The oscillator runs at ``input / clki_div * clkfb_div * clkop_div``, and CLKOS divides it on its own: far
    more frequencies than CLKOP makes.
    """

    clki_div: int
    clkfb_div: int
    clkop_div: int
    clkos_div: int

    def oscillator_hz(self, input_hz: int) -> Fraction:
        """Return the frequency of the PLL's oscillator."""
        return Fraction(input_hz * self.clkfb_div * self.clkop_div, self.clki_div)

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return self.oscillator_hz(input_hz) / self.clkos_div

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency; phases in the middle, as Lattice sets them."""
        return {
            "CLKI_DIV": self.clki_div,
            "CLKFB_DIV": self.clkfb_div,
            "CLKOP_DIV": self.clkop_div,
            "CLKOP_CPHASE": self.clkop_div // 2,
            "CLKOS_DIV": self.clkos_div,
            "CLKOS_CPHASE": self.clkos_div // 2,
        }


def _feedback(multiple: int, detector: Fraction) -> tuple[int, int] | None:
    """Split the oscillator's multiple of the phase detector into CLKFB_DIV and CLKOP_DIV."""
    for clkfb_div in CLKFB_DIV:
        clkop_div, rest = divmod(multiple, clkfb_div)
        if rest == 0 and clkop_div in CLKOP_DIV and within(detector * clkfb_div, ECP5_LIMITS.output):
            return clkfb_div, clkop_div
    return None


class _Pll(PllSource):
    """EHXPLLL."""

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ecp5Pll]:
        """Yield the settings for outputs from ``low`` to ``high``; the fastest phase detector first."""
        for clki_div in CLKI_DIV:
            detector = Fraction(input_hz, clki_div)
            if not within(detector, self.limits.detector):
                continue
            lowest, highest = (
                -(-self.limits.oscillator[0] // detector),
                self.limits.oscillator[1] // detector,
            )
            for multiple in range(lowest, highest + 1):
                factors = _feedback(multiple, detector)
                if factors is None:
                    continue
                oscillator = detector * multiple
                slowest, fastest = oscillator // low, -(-oscillator // high)
                for clkos_div in range(max(CLKOS_DIV.start, fastest), min(CLKOS_DIV.stop, slowest + 1)):
                    yield Ecp5Pll(clki_div, *factors, clkos_div)

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance:
        """Return the PLL."""
        clock = buffered(m, nets.pin)
        feedback = Signal()
        return Instance(
            "EHXPLLL",
            # Loop filter as Lattice's own tool sets it.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOS_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            **instance_parameters(parameters),
            i_CLKI=clock,
            i_CLKFB=feedback,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=nets.clk,
            o_LOCK=nets.lock,
        )


ECP5_PLL = _Pll("EHXPLLL", limits=ECP5_LIMITS)
