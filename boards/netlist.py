"""The placed netlist as Verilog that a simulator takes."""

from dataclasses import dataclass, field
from pathlib import Path

from rtl_gen.yosys import find_ice40_cells

__all__ = ["NETLIST_TOP", "Netlist", "find_netlist", "netlist_script", "pll_model"]

NETLIST_TOP = "top"
PLL_MODEL = "qornn_pll_model"

# Yosys has an empty module for the PLL. In simulation the clock pin is driven at the PLL's output frequency
# and the PLL passes it on; the lock comes late, as in hardware.
_PLL_MODEL = f"""
module {PLL_MODEL} (PACKAGEPIN, PLLOUTGLOBAL, PLLOUTCORE, LOCK, RESETB, BYPASS);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 4'd0;
  parameter [6:0] DIVF = 7'd0;
  parameter [2:0] DIVQ = 3'd0;
  parameter [2:0] FILTER_RANGE = 3'd0;
  inout PACKAGEPIN;
  output PLLOUTGLOBAL, PLLOUTCORE, LOCK;
  input RESETB, BYPASS;
  reg [3:0] cycles = 4'd0;
  always @(posedge PACKAGEPIN)
    if (!RESETB) cycles <= 4'd0;
    else if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign PLLOUTCORE = PACKAGEPIN;
endmodule
"""


@dataclass(frozen=True)
class Netlist:
    """What a simulator needs to run a placed netlist through the board's pins.

    Attributes:
        sources: Verilog files, the netlist first.
        top: name of the top module.
        defines: preprocessor definitions that the files need.
        ports: pin by meaning: ``clock``, ``rx``, ``tx``, ``led_green``, ``led_red``.
    """

    sources: tuple[Path, ...]
    top: str = NETLIST_TOP
    # Default values of ports, which Icarus Verilog 11 cannot read.
    defines: dict[str, int] = field(default_factory=lambda: {"NO_ICE40_DEFAULT_ASSIGNMENTS": 1})
    ports: dict[str, str] = field(
        default_factory=lambda: {
            "clock": "clk12_0__io",
            "rx": "uart_0__rx__io",
            "tx": "uart_0__tx__io",
            "led_green": "led_g_0__io",
            "led_red": "led_r_0__io",
        }
    )


def pll_model() -> str:
    """Return the Verilog of the PLL's stand-in."""
    return _PLL_MODEL


def netlist_script(json_file: str, verilog_file: str) -> str:
    """Return the yosys script that turns the netlist which nextpnr places into Verilog."""
    return "\n".join(
        (
            f"read_json {json_file}",
            f"select {NETLIST_TOP}",
            f"chtype -set {PLL_MODEL} t:SB_PLL40_PAD",
            f"write_verilog -noattr -selected {verilog_file}",
            "",
        )
    )


def find_netlist(out_dir: Path) -> Netlist:
    """Return the netlist that :func:`boards.build.build` left in ``out_dir``."""
    return Netlist((out_dir / "netlist.v", find_ice40_cells()))
