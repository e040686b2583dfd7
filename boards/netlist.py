"""The placed netlist as Verilog that a simulator takes."""

from dataclasses import dataclass
from pathlib import Path

from qornn_hw.boards.board import Board
from qornn_hw.boards.device_family import DeviceFamily
from qornn_hw.boards.netlist_text import check_hardware_alone
from qornn_hw.boards.report import file_of, read_file_of, read_report
from qornn_hw.errors import BoardError, DataError
from qornn_hw.rtl_gen.yosys import find_cells

__all__ = ["NETLIST_TOP", "Netlist", "boundary_models", "find_netlist", "netlist_of", "netlist_script"]

NETLIST_TOP = "top"
# That of 3800 cells has 2.8 MB.
MOST_NETLIST_BYTES = 256 << 20


@dataclass(frozen=True)
class Netlist:
    """What a simulator needs to run a placed netlist through the board's pins.

    Attributes:
        sources: Verilog files, the netlist first.
        top: name of the top module.
        defines: preprocessor definitions that the files need.
        ports: pin by meaning: ``clock``, those of the link by their names, and as far as there are any
            ``led_state`` and ``led_fault``.
    """

    sources: tuple[Path, ...]
    top: str
    defines: dict[str, int]
    ports: dict[str, str]


def boundary_models(family: DeviceFamily) -> str:
    """Return the Verilog of the stand-ins for cells of which yosys has no model that serves here."""
    return family.cell_models.verilog


def netlist_script(
    family: DeviceFamily, source_file: str, verilog_file: str, *, synthesized: bool = True
) -> str:
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
            *(f"chtype -set {module} {cells}" for cells, module in family.cell_models.modules.items()),
            f"write_verilog -noattr{' -selected' if synthesized else ' -norename'} {verilog_file}",
            "",
        )
    )


def find_netlist(out_dir: Path, board: Board) -> Netlist:
    """Return the netlist that :func:`qornn_hw.boards.build.build` left in ``out_dir`` for ``board``.

    The folder may come from anybody: the netlist must be hardware alone
    (:mod:`qornn_hw.boards.netlist_text`).

    Raises:
        BoardError: the board's clock has no pin that a bench could drive.
        DataError: the folder holds no build, or its netlist does more than hardware does.
    """
    if not board.clock_source.has_pin:
        raise BoardError(
            f"the board must have a clock pin for its netlist to be simulated, {board.name} has its "
            "oscillator on the chip"
        )
    report = read_report(out_dir)
    path = file_of(out_dir, report, "netlist")
    text = read_file_of(out_dir, report, "netlist", MOST_NETLIST_BYTES)
    try:
        check_hardware_alone(text.decode("ascii", "replace"))
    except ValueError as error:
        raise DataError(f"{path} must be hardware alone, and {error}; build it anew") from error
    return netlist_of(path, board)


def netlist_of(path: Path, board: Board) -> Netlist:
    """Return the Verilog of a board's design with all that a simulator needs besides."""
    link = "{}_{}".format(*board.link_resource)
    leds = zip(("led_state", "led_fault"), board.leds, strict=False)
    return Netlist(
        sources=(path, *find_cells(board.family.synthesis)),
        top=NETLIST_TOP,
        defines=dict(board.family.synthesis.defines),
        ports={"clock": f"{board.clock_resource}_0__io"}
        | {pin.name: f"{link}__{pin.name}__io" for pin in board.physical_link.pins}
        | {meaning: f"{name}_{number}__io" for meaning, (name, number) in leds},
    )
