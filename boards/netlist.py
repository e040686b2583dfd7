"""The placed netlist as Verilog that a simulator takes."""

from dataclasses import dataclass, field
from pathlib import Path

from rtl_gen.yosys import find_ice40_cells

__all__ = ["NETLIST_TOP", "Netlist", "boundary_models", "find_netlist", "netlist_script"]

NETLIST_TOP = "top"
PLL_MODEL = "qornn_pll_model"
PIN_MODEL = "qornn_pin_model"

# Yosys has an empty module for the PLL. In simulation the clock pin is driven at the PLL's output frequency
# and the PLL passes it on; the lock comes late, as in hardware.
_PLL_MODEL = f"""
module {PLL_MODEL} (PACKAGEPIN, PLLOUTGLOBAL, PLLOUTCORE, LOCK, RESETB, BYPASS);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 4'd0;
  parameter [6:0] DIVF = 7'd0;
  parameter [2:0] DIVQ = 3'd0;
  parameter [2:0] FILTER_RANGE = 3'd0;
  input PACKAGEPIN;
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


# The model of the pins that yosys has asks whether its clock enable floats, which Verilator cannot simulate.
# This one has what the board's pins use: PIN_TYPE 000001 is an input, 1010xx an output with enable (Lattice
# FPGA-TN-02020, iCE40 technology library). Logic, memories and multipliers keep the vendor's models.
_PIN_MODEL = f"""
module {PIN_MODEL} (PACKAGE_PIN, CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0, D_IN_0);
  parameter [5:0] PIN_TYPE = 6'd0;
  parameter IO_STANDARD = "";
  parameter PULLUP = 0;
  inout PACKAGE_PIN;
  input CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0;
  output D_IN_0;
  assign D_IN_0 = PACKAGE_PIN;
  generate
    if (PIN_TYPE[5:2] == 4'b1010) assign PACKAGE_PIN = OUTPUT_ENABLE ? D_OUT_0 : 1'bz;
    else if (PIN_TYPE != 6'b000001) unknown_pin_type unsupported();
  endgenerate
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


def boundary_models() -> str:
    """Return the Verilog of the stand-ins for PLL and pins."""
    return _PLL_MODEL + _PIN_MODEL


def netlist_script(json_file: str, verilog_file: str) -> str:
    """Return the yosys script that turns the netlist which nextpnr places into Verilog."""
    return "\n".join(
        (
            f"read_json {json_file}",
            f"select {NETLIST_TOP}",
            f"chtype -set {PLL_MODEL} t:SB_PLL40_PAD",
            f"chtype -set {PIN_MODEL} t:SB_IO",
            f"write_verilog -noattr -selected {verilog_file}",
            "",
        )
    )


def find_netlist(out_dir: Path) -> Netlist:
    """Return the netlist that :func:`boards.build.build` left in ``out_dir``."""
    return Netlist((out_dir / "netlist.v", find_ice40_cells()))
