"""Another network of the same shape in a bitstream that is there, without place and route."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from boards.board import Board
from boards.flow import Flow, flow_of
from boards.kept import KEPT_FILE, Kept
from boards.memory_cells import BLOCK_RAMS, masked, read_memories, replaced_contents
from boards.netlist import NETLIST_TOP, boundary_models, netlist_script
from boards.placed_text import sections
from boards.report import read_report
from boards.toolchain import amaranth_environment, find_tool
from boards.top import BoardTop
from boards.workshop import Workshop, work_folder
from qornn_hw.design import Design
from qornn_hw.engine import Boot, WeightStore
from qornn_hw.errors import BoardError, FormatError, ToolError
from qornn_hw.fixed_schedule import refit
from qornn_hw.link_protocol import LinkFormat
from qornn_hw.network import IntegerNetwork
from qornn_hw.weight_image import DIGEST_BYTES, encode_image
from rtl_gen.emit import emit_core_verilog
from rtl_gen.engines import make_core

__all__ = ["STAGES", "Reloaded", "check_reloadable", "reload"]

STAGES = ("elaborate", "replace", "netlist", "pack", "read back")
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
    if board.family.name not in _TEXTS:
        raise BoardError(
            f"board must be of iCE40 or ECP5 for its bitstream to be reloaded, {board.name} is "
            f"{board.family.name}; make a full build of each network, without --reloadable"
        )


def reload(
    build_dir: Path,
    network: IntegerNetwork,
    board: Board,
    out_dir: Path,
    *,
    progress: Callable[[str], None] | None = None,
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
        progress: called with the name of each stage of :data:`STAGES` as it begins.

    Raises:
        BoardError: the build lacks what it takes, is for another board, or cannot be reloaded.
        FormatError: the network does not fit the hardware that is there; says what differs.
        ToolError: a tool is missing or failed.
        OutputError: ``out_dir`` cannot be written.
    """
    start = time.monotonic()
    check_reloadable(board)
    report = read_report(build_dir)
    if report.get("board") != board.name:
        raise BoardError(f"the build must be for {board.name}, {build_dir} is for {report.get('board')}")
    with work_folder(out_dir) as work:
        kept = Kept.read(build_dir / KEPT_FILE, work)
        try:
            design = refit(kept.plan, kept.network, network)
        except FormatError as error:
            raise FormatError(
                f"the network must fit the hardware of {build_dir}: {error}; a full build is needed"
            ) from error
        shop = Workshop(work, out_dir)
        run = _Run(kept, design, board, flow_of(board), shop, report, progress or (lambda stage: None))
        return run.run(build_dir, start)


@dataclass
class _Run:
    kept: Kept
    design: Design
    board: Board
    flow: Flow
    shop: Workshop
    report: dict[str, Any]
    progress: Callable[[str], None]

    def run(self, build_dir: Path, start: float) -> Reloaded:
        """Run every stage and put the results in place."""
        work, kept = self.shop.work, self.kept
        try:
            data = (build_dir / self.report["files"]["bitstream"]).read_bytes()
        except (OSError, KeyError) as error:
            raise BoardError(f"the build must have its bitstream, {build_dir} has none") from error
        (work / f"before{self.flow.bitstream}").write_bytes(data)
        yosys, packer = find_tool("yosys"), find_tool(self.flow.pack)
        unpacker = find_tool(self.flow.unpack)
        self.progress("elaborate")
        with amaranth_environment(yosys):
            rtlil = self._elaborate()
            documents = {
                "core.v": emit_core_verilog(self.design, vendor_cells=self.design.needs_vendor_cells),
            }
        # The ports are those of the hardware.
        ports = build_dir / "core_ports.md"
        if ports.is_file():
            documents[ports.name] = ports.read_text()
        self._check_same_hardware(rtlil, build_dir)

        self.progress("replace")
        netlist = json.loads(kept.netlist)
        cells = netlist["modules"][NETLIST_TOP]["cells"]
        contents = self._contents(rtlil, cells)
        placed, changed = _replaced(self.board.family.name, kept, cells, contents)
        for name, parameters in contents.items():
            cells[name]["parameters"].update(parameters)
        for name, text in {
            "top.json": json.dumps(netlist),
            f"top{self.flow.placed}": placed,
            "netlist.ys": netlist_script(self.board.family, "top.json", "netlist.v"),
            **documents,
        }.items():
            (work / name).write_text(text)

        self.progress("netlist")
        self.shop.run("netlist", yosys, ["netlist.ys"], ("netlist.v",))
        _, _, body = (work / "netlist.v").read_text().partition("\n")
        (work / "netlist.v").write_text(body.lstrip("\n") + boundary_models(self.board.family))

        self.progress("pack")
        bitstream = f"top{self.flow.bitstream}"
        self.shop.run("pack", packer, kept.pack, (bitstream,))
        self.progress("read back")
        texts = []
        for source in ("before", "top"):
            names = {"bitstream": f"{source}{self.flow.bitstream}", "text": f"{source}.txt"}
            unpack = [option.format_map(names) for option in self.flow.unpack_options]
            self.shop.run(f"read-{source}", unpacker, unpack, (names["text"],))
            texts.append((work / names["text"]).read_text())
        _check_read_back(texts[1], texts[0], changed)
        return self._install(rtlil, placed, documents, start, len(contents))

    def _elaborate(self) -> str:
        form = LinkFormat.of(self.design)
        if form.weights is not None:
            # What an image of weights must name is logic, not memory.
            form = replace(form, weights=replace(form.weights, digest=self._built_digest))
        top = BoardTop(
            board=self.board,
            core=make_core(self.design),
            form=form,
            hz=self.kept.hz,
            boot=Boot(self.report.get("boot", Boot.LINK)),
        )
        plan = self.board.platform().prepare(top, name=NETLIST_TOP, emit_src=False, debug_verilog=False)
        text = plan.files[f"{NETLIST_TOP}.il"]
        return text if isinstance(text, str) else text.decode()

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
        family = self.board.family.name
        old, new = read_memories(self.kept.rtlil, NETLIST_TOP), read_memories(rtlil, NETLIST_TOP)
        changed: Contents = {}
        for name, memory in new.items():
            if memory.words != old[name].words:
                try:
                    changed |= replaced_contents(family, cells, old[name], memory)
                except ToolError as error:
                    raise FormatError(f"{error}; a full build is needed") from error
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
        results = {f"top{self.flow.bitstream}": files["bitstream"], "netlist.v": files["netlist"]}
        results |= {name: name for name in documents}
        if kept.plan.store is WeightStore.SPRAM:
            (work / files["weights"]).write_bytes(encode_image(self.design, self._built_digest))
            results[files["weights"]] = files["weights"]
        fresh = Kept(
            plan=kept.plan,
            network=self.design.network,
            digest=kept.digest,
            hz=kept.hz,
            rtlil=rtlil,
            netlist=(work / "top.json").read_text(),
            placed=placed,
            block_rams=kept.block_rams,
            pack=kept.pack,
        )
        fresh.write(work / KEPT_FILE, work)
        results[KEPT_FILE] = KEPT_FILE
        report |= {
            "design_digest": self.design.digest,
            "reloaded": {"from": self.report["design_digest"], "block_rams": count},
            "seconds": {"reload": time.monotonic() - start},
        }
        (work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        self.shop.install(results)
        return Reloaded(report, self.design, count)


# -- placed designs as text: sections, some of which are the contents of block RAMs -------------------


def _ice40_heads(kept: Kept) -> dict[str, str]:
    heads = {}
    for name, facts in kept.block_rams.items():
        if (match := re.fullmatch(r"X(\d+)/Y(\d+)/ram", facts["bel"])) is not None:
            heads[name] = f".ram_data {match[1]} {match[2]}"
    return heads


def _ice40_rows(parameters: Mapping[str, str]) -> str:
    rows = (parameters[name].replace("x", "0") for name in BLOCK_RAMS["ice40"].parameters)
    return "\n".join(f"{int(row, 2):064x}" for row in rows)


def _ecp5_heads(kept: Kept) -> dict[str, str]:
    # A block RAM is set in the tiles at its place, by the number of its contents, lowest bit first.
    numbers: dict[str, int] = {}
    for tile, body in sections(kept.placed).items():
        if tile.startswith((".tile_group MIB_", ".tile MIB_")):
            places = re.findall(r"MIB_R(\d+)C(\d+)", tile)
            for ebr, bits in re.findall(r"^word: (EBR\d)\.WID ([01]+)$", body, re.MULTILINE):
                numbers |= {f"X{x}/Y{y}/{ebr}": int(bits[::-1], 2) for y, x in places}
    return {
        name: f".bram_init {numbers[facts['bel']]}"
        for name, facts in kept.block_rams.items()
        if facts["bel"] in numbers
    }


def _ecp5_rows(parameters: Mapping[str, str]) -> str:
    units = []
    for name in BLOCK_RAMS["ecp5"].parameters:
        row = int(parameters.get(name, "0").replace("x", "0"), 2)
        units += [row >> (at * 20 + half * 9) & 0x1FF for at in range(16) for half in range(2)]
    return "\n".join(" ".join(f"{u:03x}" for u in units[at : at + 8]) for at in range(0, len(units), 8))


@dataclass(frozen=True)
class _Text:
    """How a family's text has the contents of block RAMs.

    Attributes:
        heads: the first lines of the sections, by cell.
        rows: the other lines, of the parameters of a cell.
    """

    heads: Callable[[Kept], dict[str, str]]
    rows: Callable[[Mapping[str, str]], str]


_TEXTS = {
    "ice40": _Text(_ice40_heads, _ice40_rows),
    "ecp5": _Text(_ecp5_heads, _ecp5_rows),
}


def _replaced(
    family: str, kept: Kept, cells: Mapping[str, Mapping[str, Any]], contents: Contents
) -> tuple[str, dict[str, str]]:
    """Return the placed design with other contents, and the sections that are new in it.

    Raises:
        ToolError: it does not hold what the netlist has, or not where it should be.
    """
    text = _TEXTS[family]
    heads, parts = text.heads(kept), sections(kept.placed)
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
