"""The placed netlist as Verilog that a simulator takes."""

import re
from dataclasses import dataclass
from pathlib import Path

from boards.board import Board, ClockSource
from qornn_hw.device import Family
from qornn_hw.errors import BoardError
from rtl_gen.yosys import find_cells

__all__ = ["NETLIST_TOP", "Netlist", "boundary_models", "find_netlist", "netlist_of", "netlist_script"]

NETLIST_TOP = "top"

# Yosys has an empty module for the PLL. In simulation the clock pin is driven at the PLL's output frequency
# and the PLL passes it on; the lock comes late, as in hardware.
_ICE40_PLL = """
module {name} ({pin}, PLLOUTGLOBAL, PLLOUTCORE, LOCK, RESETB, BYPASS);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 4'd0;
  parameter [6:0] DIVF = 7'd0;
  parameter [2:0] DIVQ = 3'd0;
  parameter [2:0] FILTER_RANGE = 3'd0;
  input {pin};
  output PLLOUTGLOBAL, PLLOUTCORE, LOCK;
  input RESETB, BYPASS;
  reg [3:0] cycles = 4'd0;
  always @(posedge {pin})
    if (!RESETB) cycles <= 4'd0;
    else if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign PLLOUTGLOBAL = {pin};
  assign PLLOUTCORE = {pin};
endmodule
"""

# The model of the pins that yosys has asks whether its clock enable floats, which Verilator cannot simulate.
# This one has what the boards' pins use: PIN_TYPE 000001 is an input, 1010xx an output with enable (Lattice
# FPGA-TN-02020, iCE40 technology library). Logic, memories and multipliers keep the vendor's models.
_ICE40_PIN = """
module {name} (PACKAGE_PIN, CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0, D_IN_0, GLOBAL_BUFFER_OUTPUT);
  parameter [5:0] PIN_TYPE = 6'd0;
  parameter IO_STANDARD = "";
  parameter PULLUP = 0;
  inout PACKAGE_PIN;
  input CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0;
  output D_IN_0, GLOBAL_BUFFER_OUTPUT;
  assign D_IN_0 = PACKAGE_PIN;
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
  generate
    if (PIN_TYPE[5:2] == 4'b1010) assign PACKAGE_PIN = OUTPUT_ENABLE ? D_OUT_0 : 1'bz;
    else if (PIN_TYPE != 6'b000001) unknown_pin_type unsupported();
  endgenerate
endmodule
"""


def _names(*groups: str) -> str:
    """Return port names: ``A17:0`` stands for A17 to A0."""
    names = []
    for group in groups:
        name, colon, _ = group.partition(":0")
        if colon:
            stem = name.rstrip("0123456789")
            names += [f"{stem}{i}" for i in range(int(name[len(stem) :]), -1, -1)]
        else:
            names.append(group)
    return ", ".join(names)


_ECP5_PLL = """
module {name} (CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PLLWAKESYNC, ENCLKOP,
    ENCLKOS, CLKOP, CLKOS, LOCK);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 8, CLKOS_DIV = 8, CLKOP_CPHASE = 0, CLKOS_CPHASE = 0;
  parameter PLLRST_ENA = "", INTFB_WAKE = "", STDBY_ENABLE = "", DPHASE_SOURCE = "", OUTDIVIDER_MUXA = "";
  parameter OUTDIVIDER_MUXB = "", CLKOP_ENABLE = "", CLKOS_ENABLE = "", FEEDBK_PATH = "";
  input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PLLWAKESYNC, ENCLKOP, ENCLKOS;
  output CLKOP, CLKOS, LOCK;
  reg [3:0] cycles = 4'd0;
  always @(posedge CLKI) if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
endmodule
"""

# Yosys makes each pin of the top an input or an output, and Verilator wants the model's to be one, too.
_ECP5_INPUT = """
module {name} (B, O);
  parameter DIR = "INPUT";
  input B;
  output O;
  assign O = B;
endmodule
"""
_ECP5_PAD_INPUT = """
module {name} (I, O);
  input I;
  output O;
  assign O = I;
endmodule
"""
_ECP5_PAD_OUTPUT = """
module {name} (O, I, T);
  output O;
  input I, T;
  assign O = T ? 1'bz : I;
endmodule
"""
_ECP5_OUTPUT = """
module {name} (B, I, T);
  parameter DIR = "OUTPUT";
  output B;
  input I, T;
  assign B = T ? 1'bz : I;
endmodule
"""

# Yosys has no model of the multiplier and of the block RAM. These have the modes that it makes use of here:
# no registers in the multiplier (Lattice FPGA-TN-02205, ECP5 sysDSP usage guide)...
_MULT_INPUTS = ("A17:0", "B17:0", "C17:0", "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB")
_MULT_REGISTERS = [f"REG_{r}_CLK" for r in ("INPUTA", "INPUTB", "INPUTC", "PIPELINE", "OUTPUT")]
_ECP5_MULTIPLIER = f"""
module {{name}} ({_names(*_MULT_INPUTS, "P35:0")});
  parameter {", ".join(f'{r} = "NONE"' for r in _MULT_REGISTERS)};
  input {_names(*_MULT_INPUTS)};
  output {_names("P35:0")};
  wire signed [18:0] a = {{{{SIGNEDA & A17, {_names("A17:0")}}}}};
  wire signed [18:0] b = {{{{SIGNEDB & B17, {_names("B17:0")}}}}};
  wire signed [37:0] product = a * b;
  assign {{{{{_names("P35:0")}}}}} = product[35:0];
  generate
    if ({" || ".join(f'{r} != "NONE"' for r in _MULT_REGISTERS)}) registered_multiplier unsupported();
  endgenerate
endmodule
"""

# ... and block RAM with one clock, without output registers (Lattice FPGA-TN-02204, ECP5 memory usage
# guide). The contents are 2048 units of 9 bits, of which narrow words use 8; an INITVAL holds 16 words of 18
# bits, each in 20. At 36 bits port A writes, with its own and port B's data, and port B reads to both.
_RAM_INPUTS = [
    group.replace("?", port)
    for port in "AB"
    for group in ("DI?17:0", "AD?13:0", "CE?", "OCE?", "CLK?", "WE?", "RST?", "CS?2:0")
]
_RAM_WRITE = """
      case (DATA_WIDTH_{p})
        1: units[ad{p}[13:3]][ad{p}[2:0]] <= di{p}[0];
        2: units[ad{p}[13:3]][{{ad{p}[2:1], 1'b0}} +: 2] <= di{p}[1:0];
        4: units[ad{p}[13:3]][{{ad{p}[2], 2'b0}} +: 4] <= di{p}[3:0];
        9: units[ad{p}[13:3]] <= di{p}[8:0];
        18: begin
          if (ad{p}[0]) units[{{ad{p}[13:4], 1'b0}}] <= di{p}[8:0];
          if (ad{p}[1]) units[{{ad{p}[13:4], 1'b1}}] <= di{p}[17:9];
        end
        36: begin
          if (ad{p}[0]) units[{{ad{p}[13:5], 2'd0}}] <= diA[8:0];
          if (ad{p}[1]) units[{{ad{p}[13:5], 2'd1}}] <= diA[17:9];
          if (ad{p}[2]) units[{{ad{p}[13:5], 2'd2}}] <= diB[8:0];
          if (ad{p}[3]) units[{{ad{p}[13:5], 2'd3}}] <= diB[17:9];
        end
      endcase"""
_RAM_PORT = """
  always @(posedge CLK{p}) if (CE{p} && {{CS{p}2, CS{p}1, CS{p}0}} == 3'd0) begin
    case (DATA_WIDTH_{p})
      1: do{p} <= units[ad{p}[13:3]][ad{p}[2:0]];
      2: do{p} <= units[ad{p}[13:3]][{{ad{p}[2:1], 1'b0}} +: 2];
      4: do{p} <= units[ad{p}[13:3]][{{ad{p}[2], 2'b0}} +: 4];
      9: do{p} <= units[ad{p}[13:3]];
      18: do{p} <= {{units[{{ad{p}[13:4], 1'b1}}], units[{{ad{p}[13:4], 1'b0}}]}};
      36: do36{p} <= {{units[{{ad{p}[13:5], 2'd3}}], units[{{ad{p}[13:5], 2'd2}}],
          units[{{ad{p}[13:5], 2'd1}}], units[{{ad{p}[13:5], 2'd0}}]}};
    endcase
    if (WE{p}) begin{write}
    end
  end"""
# With doubled braces: the model's name is filled in later.
_RAM_PORTS = "".join(_RAM_PORT.format(p=p, write=_RAM_WRITE.format(p=p)) for p in "AB")
_RAM_PORTS = _RAM_PORTS.replace("{", "{{").replace("}", "}}")
_ECP5_RAM = f"""
module {{name}} ({_names(*_RAM_INPUTS, "DOA17:0", "DOB17:0")});
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter ASYNC_RESET_RELEASE = "", RESETMODE = "", GSR = "", CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter [319:0] {", ".join(f"INITVAL_{i:02X} = 320'd0" for i in range(64))};
  input {_names(*_RAM_INPUTS)};
  output {_names("DOA17:0", "DOB17:0")};
  reg [8:0] units [0:2047];
  wire [64 * 320 - 1:0] init = {{{{{", ".join(f"INITVAL_{i:02X}" for i in range(63, -1, -1))}}}}};
  integer i;
  initial for (i = 0; i < 2048; i = i + 1) units[i] = init[i / 2 * 20 + i % 2 * 9 +: 9];
  wire [17:0] diA = {{{{{_names("DIA17:0")}}}}}, diB = {{{{{_names("DIB17:0")}}}}};
  wire [13:0] adA = {{{{{_names("ADA13:0")}}}}}, adB = {{{{{_names("ADB13:0")}}}}};
  reg [17:0] doA, doB;
  reg [35:0] do36A, do36B;
{_RAM_PORTS}
  assign {{{{{_names("DOA17:0")}}}}} = DATA_WIDTH_B == 36 ? do36B[17:0] : doA;
  assign {{{{{_names("DOB17:0")}}}}} = DATA_WIDTH_B == 36 ? do36B[35:18] : doB;
  generate
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB") unknown_ram_mode unsupported();
  endgenerate
endmodule
"""

_GOWIN_PLL = """
module {name} (CLKIN, CLKFB, RESET, RESET_P, FBDSEL, IDSEL, ODSEL, PSDA, DUTYDA, FDLY, CLKOUT, CLKOUTP,
    CLKOUTD, CLKOUTD3, LOCK);
  parameter FCLKIN = "", DEVICE = "", CLKFB_SEL = "";
  parameter IDIV_SEL = 0, FBDIV_SEL = 0, ODIV_SEL = 8;
  input CLKIN, CLKFB, RESET, RESET_P;
  input [5:0] FBDSEL, IDSEL, ODSEL;
  input [3:0] PSDA, DUTYDA, FDLY;
  output CLKOUT, CLKOUTP, CLKOUTD, CLKOUTD3, LOCK;
  reg [3:0] cycles = 4'd0;
  always @(posedge CLKIN) if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign CLKOUT = CLKIN;
  assign CLKOUTP = CLKIN;
  assign CLKOUTD = CLKIN;
  assign CLKOUTD3 = CLKIN;
endmodule
"""

# Yosys has but the ports of Gowin's block RAM, too. These have what yosys makes use of: no output registers
# (Gowin UG285, BSRAM & SSRAM user guide). 2048 units of 9 bits, or of 8 for words of less than 9 bits; an
# INIT_RAM holds 32 of them. A port of more than one unit has an enable for each in its lowest address bits.
_GOWIN_READ = """
    case (WIDTH)
      1: q = units[ad[13:3]][ad[2:0]];
      2: q = units[ad[13:3]][{ad[2:1], 1'b0} +: 2];
      4: q = units[ad[13:3]][{ad[2], 2'b0} +: 4];
      UNIT: q = units[ad[13:3]];
      2 * UNIT: q = {units[{ad[13:4], 1'b1}], units[{ad[13:4], 1'b0}]};
      4 * UNIT: q = {units[{ad[13:5], 2'd3}], units[{ad[13:5], 2'd2}],
          units[{ad[13:5], 2'd1}], units[{ad[13:5], 2'd0}]};
    endcase"""
_GOWIN_WRITE = """
      case (WIDTH)
        1: units[ad[13:3]][ad[2:0]] <= di[0];
        2: units[ad[13:3]][{ad[2:1], 1'b0} +: 2] <= di[1:0];
        4: units[ad[13:3]][{ad[2], 2'b0} +: 4] <= di[3:0];
        UNIT: units[ad[13:3]] <= di[0 +: UNIT];
        2 * UNIT: for (i = 0; i < 2; i = i + 1)
          if (ad[i]) units[{ad[13:4], i[0]}] <= di[i * UNIT +: UNIT];
        4 * UNIT: for (i = 0; i < 4; i = i + 1)
          if (ad[i]) units[{ad[13:5], i[1:0]}] <= di[i * UNIT +: UNIT];
      endcase"""


@dataclass(frozen=True)
class _RamPort:
    """A port of a block RAM, by the names of its signals and parameters; "" for what it has not."""

    clock: str
    enable: str
    address: str
    width: str
    write: str = ""
    data: str = ""
    output: str = ""
    reset: str = ""
    mode: str = ""


def _gowin_port(port: _RamPort, number: int, unit: int) -> str:
    """Return what a port does, in Verilog."""
    names = {"ad": port.address, "di": port.data, "WIDTH": port.width, "UNIT": str(unit), "q": f"q{number}"}

    def named(text: str) -> str:
        return re.sub(r"\b(ad|di|WIDTH|UNIT|q)\b", lambda word: names[word[0]], text)

    lines = [f"  always @(posedge {port.clock}) if ({port.enable}) begin"]
    if port.output:
        # Mode 0 keeps the last word while it writes, 1 passes on what it writes, 2 gives what was there.
        lines += [f"    if (!({port.write or 0}) || {port.mode or 2} == 2) begin"]
        lines += [named(_GOWIN_READ.replace("q = ", "q <= ")), "    end"]
        if port.mode:
            lines += [f"    else if ({port.mode} == 1) q{number} <= {port.data};"]
    if port.write:
        lines += [f"    if ({port.write}) begin", named(_GOWIN_WRITE), "    end"]
    lines += ["  end"]
    if port.output:
        lines += [f"  assign {port.output} = {port.reset} ? 0 : q{number};"]
    return "\n".join(lines)


def _gowin_ram(unit: int, bits: int, ports: tuple[_RamPort, ...], inputs: str, read_modes: str) -> str:
    """Return a model of a block RAM, with doubled braces.

    Args:
        unit: bits of a unit.
        bits: of the widest port.
        ports: what it has.
        inputs: names of its other inputs, which select the block or its output register.
        read_modes: the parameters that put in the output registers.
    """
    contents = [f"INIT_RAM_{i:02X}" for i in range(64)]
    used = {name for p in ports for name in (p.clock, p.enable, p.write, p.reset) if name}
    data = {p.data for p in ports if p.data}
    single = ", ".join(sorted(name for name in used if not name.isdigit()))
    text = f"""
module NAME (
    {", ".join([single, *sorted(data), *(p.address for p in ports), *(p.output for p in ports if p.output)])},
    {inputs});
  parameter {", ".join(f"{p.width} = {bits}" for p in ports)};
  parameter {", ".join(f"{p.mode} = 0" for p in ports if p.mode) or "WRITES = 1"};
  parameter {", ".join(f"{name} = 1'b0" for name in read_modes.split())};
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [{32 * unit - 1}:0] {", ".join(f"{name} = 0" for name in contents)};
  input {single};
  input [{bits - 1}:0] {", ".join(sorted(data))};
  input [13:0] {", ".join(p.address for p in ports)};
  input [2:0] {inputs.replace(" ", "").replace(",", ", ")};
  output [{bits - 1}:0] {", ".join(p.output for p in ports if p.output)};
  reg [{unit - 1}:0] units [0:2047];
  wire [64 * 32 * {unit} - 1:0] init = {{{", ".join(reversed(contents))}}};
  integer i;
  initial for (i = 0; i < 2048; i = i + 1) units[i] = init[i * {unit} +: {unit}];
  reg [{bits - 1}:0] {", ".join(f"q{n}" for n, p in enumerate(ports) if p.output)};
{chr(10).join(_gowin_port(p, n, unit) for n, p in enumerate(ports))}
  generate
    if ({" || ".join(read_modes.split())} || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule
"""
    return text.replace("{", "{{").replace("}", "}}").replace("NAME", "{name}")


def _gowin_single(unit: int) -> str:
    port = _RamPort("CLK", "CE", "AD", "BIT_WIDTH", "WRE", "DI", "DO", "RESET", "WRITE_MODE")
    return _gowin_ram(unit, 4 * unit, (port,), "BLKSEL, OCE", "READ_MODE")


def _gowin_simple_dual(unit: int) -> str:
    writing = _RamPort("CLKA", "CEA", "ADA", "BIT_WIDTH_0", "1", "DI")
    reading = _RamPort("CLKB", "CEB", "ADB", "BIT_WIDTH_1", output="DO", reset="RESETB")
    return _gowin_ram(unit, 4 * unit, (writing, reading), "BLKSELA, BLKSELB, OCE, RESETA", "READ_MODE")


def _gowin_dual(unit: int) -> str:
    ports = [
        _RamPort(
            f"CLK{p}", f"CE{p}", f"AD{p}", f"BIT_WIDTH_{n}", f"WRE{p}", f"DI{p}", f"DO{p}", f"RESET{p}",
            f"WRITE_MODE{n}",
        )
        for n, p in enumerate("AB")
    ]  # fmt: skip
    return _gowin_ram(unit, 2 * unit, tuple(ports), "BLKSELA, BLKSELB, OCEA, OCEB", "READ_MODE0 READ_MODE1")


# Cells of the netlist, as yosys selects them, and the model that stands in for them.
_MODELS: dict[str, dict[str, str]] = {
    "ice40": {
        "t:SB_PLL40_PAD": _ICE40_PLL.replace("{pin}", "PACKAGEPIN"),
        "t:SB_PLL40_CORE": _ICE40_PLL.replace("{pin}", "REFERENCECLK"),
        "t:SB_IO": _ICE40_PIN,
    },
    "ecp5": {
        "t:EHXPLLL": _ECP5_PLL,
        "t:TRELLIS_IO r:DIR=INPUT %i": _ECP5_INPUT,
        "t:TRELLIS_IO r:DIR=OUTPUT %i": _ECP5_OUTPUT,
        # Before synthesis.
        "t:IB": _ECP5_PAD_INPUT,
        "t:OBZ": _ECP5_PAD_OUTPUT,
        "t:MULT18X18D": _ECP5_MULTIPLIER,
        "t:DP16KD": _ECP5_RAM,
    },
    "gowin": {
        "t:rPLL": _GOWIN_PLL,
        "t:SP": _gowin_single(8),
        "t:SPX9": _gowin_single(9),
        "t:SDPB": _gowin_simple_dual(8),
        "t:SDPX9B": _gowin_simple_dual(9),
        "t:DPB": _gowin_dual(8),
        "t:DPX9B": _gowin_dual(9),
    },
}
# What yosys' files of models need to be told: no default values of ports, which Icarus Verilog 11 cannot
# read; none of the further files that they include, which are not needed here.
_DEFINES = {"ice40": {"NO_ICE40_DEFAULT_ASSIGNMENTS": 1}, "ecp5": {"NO_INCLUDES": 1}, "gowin": {}}


def _model_name(cells: str) -> str:
    """Return the name of a model: ``t:A r:B=C %i`` is qornn_a_c."""
    return "qornn_" + "_".join(re.findall(r"[:=](\w+)(?: |$)", cells)).lower()


@dataclass(frozen=True)
class Netlist:
    """What a simulator needs to run a placed netlist through the board's pins.

    Attributes:
        sources: Verilog files, the netlist first.
        top: name of the top module.
        defines: preprocessor definitions that the files need.
        ports: pin by meaning: ``clock``, ``rx``, ``tx``, and as far as there are any ``led_state`` and
            ``led_fault``.
    """

    sources: tuple[Path, ...]
    top: str
    defines: dict[str, int]
    ports: dict[str, str]


def boundary_models(family: Family) -> str:
    """Return the Verilog of the stand-ins for cells of which yosys has no model that serves here."""
    return "".join(text.format(name=_model_name(cells)) for cells, text in _MODELS[family.name].items())


def netlist_script(family: Family, source_file: str, verilog_file: str, *, synthesized: bool = True) -> str:
    """Return the yosys script that makes Verilog of the netlist which nextpnr places, or of its source.

    Args:
        family: of the device.
        source_file: the netlist as JSON, or RTLIL where it is not ``synthesized``.
        verilog_file: what is written.
        synthesized: all is one module of cells.
    """
    read = [f"read_json {source_file}", f"select {NETLIST_TOP}"]
    if not synthesized:
        # As Amaranth itself writes Verilog.
        read = [f"read_rtlil {source_file}", "proc -nomux -norom", "memory_collect"]
    return "\n".join(
        (
            *read,
            *(f"chtype -set {_model_name(cells)} {cells}" for cells in _MODELS[family.name]),
            f"write_verilog -noattr{' -selected' if synthesized else ' -norename'} {verilog_file}",
            "",
        )
    )


def find_netlist(out_dir: Path, board: Board) -> Netlist:
    """Return the netlist that :func:`boards.build.build` left in ``out_dir`` for ``board``.

    Raises:
        BoardError: the board's clock has no pin that a bench could drive.
    """
    if board.clock_source is ClockSource.ICE40_OSCILLATOR:
        raise BoardError(
            f"the board must have a clock pin for its netlist to be simulated, {board.name} has its "
            "oscillator on the chip"
        )
    return netlist_of(out_dir / "netlist.v", board)


def netlist_of(path: Path, board: Board) -> Netlist:
    """Return the Verilog of a board's design with all that a simulator needs besides."""
    uart = "{}_{}".format(*board.uart)
    leds = zip(("led_state", "led_fault"), board.leds, strict=False)
    return Netlist(
        sources=(path, *find_cells(board.family.name)),
        top=NETLIST_TOP,
        defines=_DEFINES[board.family.name],
        ports={
            "clock": f"{board.clock_resource}_0__io",
            "rx": f"{uart}__rx__io",
            "tx": f"{uart}__tx__io",
        }
        | {meaning: f"{name}_{number}__io" for meaning, (name, number) in leds},
    )
