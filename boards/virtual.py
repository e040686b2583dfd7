"""The design of a board as Verilog, not synthesized: what a virtual board is compiled from."""

from pathlib import Path

from qornn_hw.boards.board import PIN, Board
from qornn_hw.boards.netlist import NETLIST_TOP, Netlist, boundary_models, netlist_of, netlist_script
from qornn_hw.boards.pll import fastest_settings
from qornn_hw.boards.toolchain import (
    TEMPORARY,
    YOSYS,
    amaranth_environment,
    find_tool,
    temporary_files,
    tool_environment,
)
from qornn_hw.boards.top import BoardTop
from qornn_hw.compiler.design import Design
from qornn_hw.errors import BoardError, ToolError
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.processes.child_process import run_child
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.yosys import tool_cache

__all__ = ["emit_board", "simulated_hz"]

# Every board's PLL can make this, or a little less.
SLOWEST_HZ = 18_000_000


def simulated_hz(board: Board) -> int:
    """Return a clock of the board at which a bit of its link has few cycles, to be simulated fast."""
    if board.clock_source is PIN:
        return board.oscillator_hz
    wanted = board.physical_link.full_rate_hz(board.baud_rates)
    settings = fastest_settings(board.clock_source, board.oscillator_hz, max(wanted, SLOWEST_HZ))
    return round(settings.output_hz(board.oscillator_hz))


def emit_board(design: Design, board: Board, folder: Path, hz: int) -> Netlist:
    """Write the Verilog of a board's whole design, clock, pins and LEDs included; no synthesis.

    Args:
        design: the compiled network.
        board: where it goes.
        folder: for what is written.
        hz: core clock, which its link's rate is counted in.

    Raises:
        BoardError: the board's clock has no pin, or cannot be made.
        ToolError: yosys is missing or failed.
    """
    if not board.clock_source.has_pin:
        raise BoardError(
            f"the board must have a clock pin to be simulated, {board.name} has its oscillator on the chip"
        )
    folder.mkdir(parents=True, exist_ok=True)
    yosys = find_tool(YOSYS)
    top = BoardTop(board=board, core=make_core(design), form=LinkFormat.of(design), hz=hz)
    (folder / TEMPORARY).mkdir(exist_ok=True)
    with amaranth_environment(yosys, folder):
        plan = board.platform().prepare(top, name=NETLIST_TOP, emit_src=False, debug_verilog=False)
    text = plan.files[f"{NETLIST_TOP}.il"]
    (folder / "top.il").write_bytes(text if isinstance(text, bytes) else text.encode())
    script = netlist_script(board.family, "top.il", "board.v", synthesized=False)
    (folder / "board.ys").write_text(script)
    log = folder / "board.log"
    environment = tool_environment() | tool_cache() | temporary_files(folder)
    with log.open("w") as output:
        code = run_child([yosys.path, "-q", "board.ys"], cwd=folder, env=environment, stdout=output)
    path = folder / "board.v"
    if code != 0 or not path.is_file():
        raise ToolError(f"yosys could not write the Verilog of {board.name}, exit code {code}", log)
    path.write_text(path.read_text() + boundary_models(board.family))
    return netlist_of(path, board)
