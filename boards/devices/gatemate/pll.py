"""The PLL of the GateMate."""

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

__all__ = ["GATEMATE_LIMITS", "GATEMATE_PLL", "GateMatePll"]

# Ref: GateMate FPGA Primitives Library, Document Number UG1001, CC_PLL, and nextpnr 0.11, which chooses the
# dividers (himbaechel/uarch/gatemate/pll.cc): reference, oscillator and output in economy mode. No lower
# limit of the reference is given; 10 MHz is that of the boards.
GATEMATE_LIMITS = PllLimits(
    input=(10_000_000, 50_000_000),
    detector=(10_000_000, 50_000_000),
    oscillator=(1_000_000_000, 2_000_000_000),
    output=(1_000_000, 312_500_000),
)
MODE = "ECONOMY"
# In front of both pairs of dividers; in this mode there is no other.
PDIV1 = 2
# Values of each pair, and the highest inputs of the second divider.
FIRST = range(1, 65)
SECOND = range(1, 1025)
SECOND_HZ = 625_000_000


@dataclass(frozen=True)
class GateMatePll:
    """Dividers of a CC_PLL: N1 and N2 in the loop, M1 and M2 behind the oscillator.

    The oscillator runs at ``2 * input * n1 * n2``; the output is a fourth of it over ``m1 * m2``. The cell
    has the frequencies as its parameters, and nextpnr chooses the same dividers.
    """

    input_hz: int
    n1: int
    n2: int
    m1: int
    m2: int

    @property
    def oscillator_hz(self) -> int:
        """The frequency of the PLL's oscillator."""
        return self.input_hz * PDIV1 * self.n1 * self.n2

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz * self.n1 * self.n2, 2 * self.m1 * self.m2)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency: whole hertz, in MHz."""
        return {"OUT_CLK": _mhz(int(self.output_hz(self.input_hz)))}


def _mhz(hz: int) -> str:
    return f"{hz // 1_000_000}.{hz % 1_000_000:06d}"


def _pairs(product: int, hz: Fraction) -> Iterator[tuple[int, int]]:
    """Yield first and second divider of a product, of a clock of ``hz``."""
    for first in FIRST:
        second, rest = divmod(product, first)
        if rest == 0 and second in SECOND and hz / first <= SECOND_HZ:
            yield first, second


class _Pll(PllSource):
    """CC_PLL, with its low jitter: the reference is the phase detector's input."""

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[GateMatePll]:
        """Yield the settings for outputs from ``low`` to ``high``, of whole hertz.

        The oscillator that is nearest to the middle of its range comes first, as nextpnr takes it.
        """
        least, most = (hz // (PDIV1 * input_hz) for hz in self.limits.oscillator)
        middle = sum(self.limits.oscillator) // 2
        # The lowest frequency itself is not in the range.
        multiples = sorted(
            range(least + 1, most + 1),
            key=lambda n: (abs(PDIV1 * input_hz * n - middle) * 24 + PDIV1 * input_hz * n, n),
        )
        for multiple in multiples:
            clock = Fraction(input_hz * multiple)
            loop = min(_pairs(multiple, clock), key=sum, default=None)
            if loop is None:
                continue
            for divider in range(int(-(-clock // (2 * high))), int(clock // (2 * low)) + 1):
                # An odd one other than 1 has no output at 90 degrees.
                output = next(_pairs(divider, clock), None) if divider == 1 or divider % 2 == 0 else None
                made = clock / (2 * divider)
                if output is not None and made.denominator == 1 and within(made, self.limits.output):
                    yield GateMatePll(input_hz, *loop, *output)

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance:
        """Return the PLL."""
        return Instance(
            "CC_PLL",
            p_REF_CLK=_mhz(nets.oscillator_hz),
            p_PERF_MD=MODE,
            p_LOW_JITTER=1,
            p_CI_FILTER_CONST=2,
            p_CP_FILTER_CONST=4,
            p_LOCK_REQ=1,
            **instance_parameters(parameters),
            i_CLK_REF=buffered(m, nets.pin),
            i_CLK_FEEDBACK=Const(0),
            i_USR_CLK_REF=Const(0),
            i_USR_LOCKED_STDY_RST=Const(0),
            o_USR_PLL_LOCKED=nets.lock,
            o_CLK0=nets.clk,
        )


GATEMATE_PLL = _Pll("CC_PLL", limits=GATEMATE_LIMITS)
