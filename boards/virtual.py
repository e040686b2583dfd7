"""The design of a board as Verilog, not synthesized: what a virtual board is compiled from."""

import subprocess
from pathlib import Path

from boards.board import Board, ClockSource
from boards.netlist import NETLIST_TOP, Netlist, boundary_models, netlist_of, netlist_script
from boards.pll import fastest_settings
from boards.toolchain import amaranth_environment, find_tool, tool_environment
from boards.top import BoardTop
from qornn_hw.design import Design
from qornn_hw.errors import BoardError, ToolError
from qornn_hw.link_protocol import LinkFormat
from rtl_gen.engines import make_core
from rtl_gen.uart import CLOCKS_PER_BIT_MIN
from rtl_gen.yosys import tool_cache

__all__ = ["emit_board", "simulated_hz"]

# Every board's PLL can make this, or a little less.
SLOWEST_HZ = 18_000_000


def simulated_hz(board: Board) -> int:
    """Return a clock of the board at which a bit of its fastest rate has few cycles, to be simulated fast."""
    wanted = CLOCKS_PER_BIT_MIN * board.baud_rates[0]
    settings = fastest_settings(board.clock_source, board.oscillator_hz, max(wanted, SLOWEST_HZ))
    return round(settings.output_hz(board.oscillator_hz))


def emit_board(design: Design, board: Board, folder: Path, hz: int) -> Netlist:
    """Write the Verilog of a board's whole design, clock, pins and LEDs included; no synthesis.

    Args:
        design: the compiled network.
        board: where it goes.
        folder: for what is written.
        hz: core clock, which its UART's rate is counted in.

    Raises:
        BoardError: the board's clock has no pin, or cannot be made.
        ToolError: yosys is missing or failed.
    """
    if board.clock_source is ClockSource.ICE40_OSCILLATOR:
        raise BoardError(
            f"the board must have a clock pin to be simulated, {board.name} has its oscillator on the chip"
        )
    folder.mkdir(parents=True, exist_ok=True)
    yosys = find_tool("yosys")
    top = BoardTop(board=board, core=make_core(design), form=LinkFormat.of(design), hz=hz)
    with amaranth_environment(yosys):
        plan = board.platform().prepare(top, name=NETLIST_TOP, emit_src=False, debug_verilog=False)
    text = plan.files[f"{NETLIST_TOP}.il"]
    (folder / "top.il").write_bytes(text if isinstance(text, bytes) else text.encode())
    script = netlist_script(board.family, "top.il", "board.v", synthesized=False)
    (folder / "board.ys").write_text(script)
    log = folder / "board.log"
    with log.open("w") as output:
        code = subprocess.run(
            [yosys.path, "-q", "board.ys"],
            cwd=folder,
            env=tool_environment() | tool_cache(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    path = folder / "board.v"
    if code != 0 or not path.is_file():
        raise ToolError(f"yosys could not write the Verilog of {board.name}, exit code {code}", log)
    path.write_text(path.read_text() + boundary_models(board.family))
    return netlist_of(path, board)
