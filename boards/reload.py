"""Another network of the same shape in a bitstream that is there, without place and route."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock import board_as_built, cell_parameters
from qornn_hw.boards.device_family import DeviceFamily
from qornn_hw.boards.devices import FAMILIES
from qornn_hw.boards.flow import Flow, tool_arguments
from qornn_hw.boards.kept import KEPT_FILE, Kept, read_kept
from qornn_hw.boards.memory_cells import masked, read_memories, replaced_contents
from qornn_hw.boards.netlist import NETLIST_TOP, boundary_models, netlist_script
from qornn_hw.boards.placed_text import PlacedText, sections
from qornn_hw.boards.report import read_file_of, read_report
from qornn_hw.boards.report_schema import FILE_NAMES
from qornn_hw.boards.stages import Stage
from qornn_hw.boards.toolchain import YOSYS, amaranth_environment, find_tool
from qornn_hw.boards.top import BoardTop
from qornn_hw.boards.workshop import LOG_FOLDER, Workshop, work_folder
from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.refit import refit
from qornn_hw.compiler.weight_image import DIGEST_BYTES, encode_image
from qornn_hw.errors import BoardError, FormatError, ToolError
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.emit import emit_core_verilog
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.storage.folder_lock import folder_lock

__all__ = ["STAGES", "Reloaded", "check_reloadable", "reload"]

STAGES = ("elaborate", "replace", "netlist", "pack", "read back")
# The largest device's bitstream has 2 MB, and one that is text 3.5 MB.
MOST_BITSTREAM_BYTES = 64 << 20
MOST_PORTS_BYTES = 1 << 20
Contents: TypeAlias = dict[str, dict[str, str]]
"""Parameters of block RAMs: by cell, by name."""


@dataclass(frozen=True)
class Reloaded:
    """What came of it.

    Attributes:
        report: of the build, brought up to date.
        design: the network on the hardware that is there.
        block_rams: that were changed.
    """

    report: dict[str, Any]
    design: Design
    block_rams: int


def check_reloadable(board: Board) -> None:
    """Raise a BoardError if no other weights can be put into a board's bitstream."""
    if not _is_reloadable(board.family):
        names = sorted({family.name for family in FAMILIES if _is_reloadable(family)})
        raise BoardError(
            f"board must be of {' or '.join(names)} for its bitstream to be reloaded, {board.name} is "
            f"{board.family.name}; make a full build of each network, not a reloadable one"
        )


def _is_reloadable(family: DeviceFamily) -> bool:
    return None not in (family.block_ram, family.placed_text, family.flow.unpack)


def reload(
    build_dir: Path,
    network: AnyNetwork,
    board: Board,
    out_dir: Path,
    *,
    progress: Callable[[Stage], None] | None = None,
) -> Reloaded:
    """Put a network into the bitstream of a build; leave in ``out_dir`` what a build leaves.

    The design is elaborated anew with the network and must be the one that was placed, line for line, but for
    the contents of memories. These are replaced in the netlist and in the placed design, which is packed; the
    bitstream is unpacked again, and must hold them, and nothing else that is new.

    Args:
        build_dir: folder of a build.
        network: whose weights are to go in.
        board: that the build is for.
        out_dir: folder of the results; may be ``build_dir``.
        progress: called with each stage of :data:`STAGES` as it begins.

    Raises:
        BoardError: the build lacks what it takes, is for another board, or cannot be reloaded.
        FormatError: the network does not fit the hardware that is there; says what differs.
        ToolError: a tool is missing or failed.
        OutputError: ``out_dir`` cannot be written.
    """
    start = time.monotonic()
    check_reloadable(board)
    report = read_report(build_dir)
    if report["board"] != board.name:
        raise BoardError(f"the build must be for {board.name}, {build_dir} is for {report['board']}")
    with ExitStack() as stack:
        work = stack.enter_context(work_folder(out_dir))
        if not out_dir.samefile(build_dir):
            # Nobody replaces what is read here.
            stack.enter_context(folder_lock(build_dir, shared=True))
        # As it is now that nobody can change it.
        report = read_report(build_dir)
        board = board_as_built(board, report)
        kept = read_kept(build_dir, report, work)
        try:
            design = refit(kept.plan, kept.network, network)
        except FormatError as error:
            raise FormatError(
                f"the network must fit the hardware of {build_dir}: {error}; a full build is needed"
            ) from error
        shop = Workshop(work, out_dir)
        run = _Run(kept, design, board, board.family.flow, shop, report, progress or (lambda stage: None))
        return run.run(build_dir, start)


@dataclass
class _Run:
    kept: Kept
    design: Design
    board: Board
    flow: Flow
    shop: Workshop
    report: dict[str, Any]
    progress: Callable[[Stage], None]

    def run(self, build_dir: Path, start: float) -> Reloaded:
        """Run every stage and put the results in place."""
        work, kept = self.shop.work, self.kept
        data = read_file_of(build_dir, self.report, "bitstream", MOST_BITSTREAM_BYTES)
        (work / f"before{self.flow.bitstream}").write_bytes(data)
        yosys, packer = find_tool(YOSYS), find_tool(self.flow.pack)
        placed_text, unpack = self.board.family.placed_text, self.flow.unpack
        assert placed_text is not None and unpack is not None, "check_reloadable"
        unpacker = find_tool(unpack)
        self._begin("elaborate")
        with amaranth_environment(yosys, work):
            rtlil, pack = self._elaborate()
            documents = {
                "core.v": emit_core_verilog(self.design, vendor_cells=self.design.needs_vendor_cells),
            }
        # The ports are those of the hardware.
        if "ports" in self.report["files"]:
            ports = read_file_of(build_dir, self.report, "ports", MOST_PORTS_BYTES)
            documents[FILE_NAMES["ports"]] = ports.decode("utf-8", "replace")
        self._check_same_hardware(rtlil, build_dir)

        self._begin("replace")
        netlist, cells = kept.cells()
        contents = self._contents(rtlil, cells)
        placed, changed = _replaced(placed_text, kept, cells, contents)
        for name, parameters in contents.items():
            cells[name]["parameters"].update(parameters)
        for name, text in {
            "top.json": json.dumps(netlist),
            f"top{self.flow.placed}": placed,
            "netlist.ys": netlist_script(self.board.family, "top.json", "netlist.v"),
            **documents,
        }.items():
            (work / name).write_text(text)

        self._begin("netlist")
        self.shop.run("netlist", yosys, ["netlist.ys"], ("netlist.v",))
        _, _, body = (work / "netlist.v").read_text().partition("\n")
        (work / "netlist.v").write_text(body.lstrip("\n") + boundary_models(self.board.family))

        self._begin("pack")
        bitstream = f"top{self.flow.bitstream}"
        self.shop.run("pack", packer, pack, (bitstream,))
        self._begin("read back")
        texts = []
        for source in ("before", "top"):
            names = {"bitstream": f"{source}{self.flow.bitstream}", "text": f"{source}.txt"}
            options = [option.format_map(names) for option in self.flow.unpack_options]
            self.shop.run(f"read-{source}", unpacker, options, (names["text"],))
            texts.append((work / names["text"]).read_text())
        _check_read_back(texts[1], texts[0], changed)
        return self._install(rtlil, placed, documents, start, len(contents))

    def _begin(self, stage: str) -> None:
        logs = self.shop.work / LOG_FOLDER
        log = {"netlist": "netlist.log", "pack": "pack.log", "read back": "read-before.log"}.get(stage, "")
        self.progress(Stage(stage, STAGES.index(stage) + 1, len(STAGES), logs=logs, log=log))

    def _elaborate(self) -> tuple[str, list[str]]:
        """Return the design as RTLIL, and the packer's arguments, as a build has them from the board."""
        form = LinkFormat.of(self.design)
        if form.weights is not None:
            # What an image of weights must name is logic, not memory.
            form = replace(form, weights=replace(form.weights, digest=self._built_digest))
        # The check comes before any component exists: Amaranth warns of components that nothing elaborates.
        cell_parameters(self.board, self.kept.hz)
        top = BoardTop(
            board=self.board,
            core=make_core(self.design),
            form=form,
            hz=self.kept.hz,
            boot=Boot(self.report.get("boot", Boot.LINK)),
        )
        plan = self.board.platform().prepare(top, name=NETLIST_TOP, emit_src=False, debug_verilog=False)
        rtlil, commands = (
            text if isinstance(text, str) else text.decode()
            for text in (plan.files[f"{NETLIST_TOP}.il"], plan.files[f"build_{NETLIST_TOP}.json"])
        )
        return rtlil, tool_arguments(commands)[self.flow.pack.native]

    @property
    def _built_digest(self) -> bytes:
        return bytes.fromhex(self.kept.digest)[:DIGEST_BYTES]

    def _check_same_hardware(self, rtlil: str, build_dir: Path) -> None:
        old, new = masked(self.kept.rtlil), masked(rtlil)
        if old == new:
            return
        differing = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
        shown = [repr(line.strip())[:60] for line in (differing[0] if differing else ())]
        first = f", first {' and '.join(shown)}" if shown else ""
        raise FormatError(
            f"the hardware that the network needs must be that of {build_dir} but for memories, and "
            f"{len(differing) + abs(len(old) - len(new))} lines of it differ{first}; a full build is needed"
        )

    def _contents(self, rtlil: str, cells: Mapping[str, Mapping[str, Any]]) -> Contents:
        """Return the parameters of all block RAMs that hold something else now."""
        ram = self.board.family.block_ram
        assert ram is not None, "check_reloadable"
        old, new = read_memories(self.kept.rtlil, NETLIST_TOP), read_memories(rtlil, NETLIST_TOP)
        changed: Contents = {}
        for name, memory in new.items():
            if memory.words != old[name].words:
                try:
                    changed |= replaced_contents(ram, cells, old[name], memory)
                except ToolError as error:
                    raise FormatError(f"{error}; a full build is needed") from error
                except (LookupError, ValueError) as error:
                    # A block RAM without a mode, or with a word that is no number.
                    raise BoardError(
                        f"{KEPT_FILE} must hold memory {name} in block RAM, and does not: {error!r}; build "
                        "it anew"
                    ) from error
        return {
            name: parameters
            for name, parameters in changed.items()
            if any(cells[name]["parameters"][p] != value for p, value in parameters.items())
        }

    def _install(
        self, rtlil: str, placed: str, documents: dict[str, str], start: float, count: int
    ) -> Reloaded:
        work, kept = self.shop.work, self.kept
        report = dict(self.report)
        files = dict(report["files"])
        results = {f"top{self.flow.bitstream}": files["bitstream"], "netlist.v": FILE_NAMES["netlist"]}
        results |= {name: name for name in documents}
        if self.design.weight_banks:
            weights = FILE_NAMES["weights"]
            (work / weights).write_bytes(encode_image(self.design, self._built_digest))
            results[weights] = weights
        fresh = Kept(
            plan=kept.plan,
            network=self.design.network,
            digest=kept.digest,
            hz=kept.hz,
            rtlil=rtlil,
            netlist=(work / "top.json").read_text(),
            placed=placed,
            block_rams=kept.block_rams,
        )
        fresh.write(work / KEPT_FILE, work)
        results[KEPT_FILE] = KEPT_FILE
        report |= {
            "design_digest": self.design.digest,
            "reloaded": {"from": self.report.get("design_digest", ""), "block_rams": count},
            "seconds": {"reload": time.monotonic() - start},
        }
        (work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        self.shop.install(results)
        return Reloaded(report, self.design, count)


def _replaced(
    text: PlacedText, kept: Kept, cells: Mapping[str, Mapping[str, Any]], contents: Contents
) -> tuple[str, dict[str, str]]:
    """Return the placed design with other contents, and the sections that are new in it.

    Raises:
        ToolError: it does not hold what the netlist has, or not where it should be.
    """
    heads, parts = text.heads(kept.block_rams, kept.placed), sections(kept.placed)
    placed, changed = kept.placed, {}
    for name, parameters in contents.items():
        head, old = heads.get(name), text.rows(cells[name]["parameters"])
        if head is None or parts.get(head, "") != old:
            raise ToolError(f"the placed design must hold what the netlist has in {name}, and does not")
        changed[head] = text.rows(parameters)
        placed = placed.replace(f"{head}\n{old}\n", f"{head}\n{changed[head]}\n")
    return placed, changed


def _check_read_back(back: str, before: str, changed: Mapping[str, str]) -> None:
    """Raise a ToolError unless a bitstream is the one before, but for what changed."""
    wanted, got = sections(before) | dict(changed), sections(back)
    for head in sorted({*wanted, *got}):
        if got.get(head) != wanted.get(head):
            raise ToolError(f"the bitstream must hold what was packed, and {head!r} reads back otherwise")
