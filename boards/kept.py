"""What a build keeps so that another network can be put into its bitstream: `placed.zip`."""

import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from qornn_hw.boards.memory_cells import BlockRam
from qornn_hw.boards.netlist import NETLIST_TOP
from qornn_hw.boards.report import file_of, read_report
from qornn_hw.boards.report_schema import FILE_NAMES, Entries, Number, Text
from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.refit import check_plan, read_plan, refit
from qornn_hw.errors import BoardError, DataError, FormatError, QornnError, ToolError
from qornn_hw.files.checkpoint import Checkpoint, load_any, save_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.network import Network
from qornn_hw.storage.strict_json import parse_json

__all__ = ["KEPT_FILE", "Kept", "block_rams_of", "built_design", "read_kept"]

KEPT_FILE = FILE_NAMES["placed"]
VERSION = 2
VERSIONS = (1, 2)
# Members of the archive, and the most bytes of each.
MEMBERS = {
    "facts.json": 4 << 20,
    "network.npz": 64 << 20,
    "design.il": 64 << 20,
    "netlist.json": 256 << 20,
    "placed": 128 << 20,
}
# The netlist, most of which repeats itself, is deflated to a 26th.
MOST_INFLATION = 200
# One for all, so that the same build gives the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Kept:
    """A placed design, and what it was made of.

    Attributes:
        plan: the hardware.
        network: whose weights are in it.
        digest: of the design that was placed first: what an image of weights in SPRAM must name.
        hz: clock that the design was elaborated with, before it was retuned.
        rtlil: what was synthesized.
        netlist: what was placed, as yosys writes it.
        placed: the placed design in the packer's text.
        block_rams: of each block RAM cell of the netlist, where nextpnr put it.
    """

    plan: Plan
    network: AnyNetwork
    digest: str
    hz: int
    rtlil: str
    netlist: str
    placed: str
    block_rams: dict[str, dict[str, str]]

    def write(self, path: Path, scratch: Path) -> None:
        """Write the file; ``scratch`` is a folder for a moment."""
        model = scratch / "kept_network.npz"
        net = self.network
        save_any(model, NetworkCheckpoint(net) if isinstance(net, Network) else Checkpoint(net))
        facts = {
            "version": VERSION,
            "digest": self.digest,
            "hz": self.hz,
            "plan": self.plan.to_json(),
            "block_rams": self.block_rams,
        }
        contents: dict[str, bytes] = {
            "facts.json": json.dumps(facts).encode(),
            "network.npz": model.read_bytes(),
            "design.il": self.rtlil.encode(),
            "netlist.json": self.netlist.encode(),
            "placed": self.placed.encode(),
        }
        model.unlink()
        for name, data in contents.items():
            if len(data) > MEMBERS[name]:
                raise ToolError(f"{name} must have at most {MEMBERS[name]} bytes to be kept, not {len(data)}")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, data in contents.items():
                archive.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_DEFLATED, 6)

    @classmethod
    def read(cls, path: Path, scratch: Path) -> Self:
        """Read the file that :meth:`write` wrote.

        The file may come from anybody: all of it is checked as data, and nothing in it is a path or an
        argument of a program.

        Raises:
            BoardError: it is absent, damaged, or not what :meth:`write` writes.
        """
        try:
            members = _members(path)
            facts = _facts(parse_json(members["facts.json"]))
            model = scratch / "kept_network.npz"
            model.write_bytes(members["network.npz"])
            network = load_any(model).network
            model.unlink()
            plan = read_plan(facts["plan"])
            check_plan(plan, network)
            return cls(
                plan=plan,
                network=network,
                digest=facts["digest"],
                hz=facts["hz"],
                rtlil=members["design.il"].decode(),
                netlist=members["netlist.json"].decode(),
                placed=members["placed"].decode(),
                block_rams=facts["block_rams"],
            )
        except FileNotFoundError as error:
            raise BoardError(
                f"the build must have {path.name}, {path.parent} has none; build it anew with this version"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, MemoryError, QornnError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, KeyError):
                reason = f"{reason} is missing"
            raise BoardError(
                f"{path} must be what a build kept, and is not: {reason}; build it anew"
            ) from error

    def cells(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return :attr:`netlist` as a value, and in it the cells of the top module by name.

        Raises:
            BoardError: it is no netlist.
        """
        try:
            netlist = parse_json(self.netlist)
            return netlist, _cells(netlist)
        except ValueError as error:
            raise BoardError(
                f"{KEPT_FILE} must hold a netlist, and does not: {error}; build it anew"
            ) from error


def _members(path: Path) -> dict[str, bytes]:
    """Return the members of the archive: those of :data:`MEMBERS`, each of a size that it may have.

    The directory is judged before a member is read. A member is never inflated beyond the size that the
    directory declares, and its CRC-32 is compared.

    Raises:
        FileNotFoundError: there is no file.
        OSError, ValueError: it cannot be read, or is not such an archive.
    """
    if not path.is_file():
        raise FileNotFoundError(path) if not path.exists() else ValueError("it is not a file")
    if path.stat().st_size > sum(MEMBERS.values()):
        raise ValueError("the file is larger than its members may be")
    try:
        with zipfile.ZipFile(path) as archive:
            directory = archive.infolist()
            names = [info.filename for info in directory]
            if sorted(names) != sorted(MEMBERS):
                raise ValueError(
                    f"its members must be {', '.join(MEMBERS)}, not {', '.join(map(ascii, names[:8]))[:200]}"
                )
            for info in directory:
                most = MEMBERS[info.filename]
                if info.file_size > most:
                    raise ValueError(f"{info.filename} must have at most {most} bytes, not {info.file_size}")
                if info.file_size > MOST_INFLATION * max(info.compress_size, 1 << 10):
                    raise ValueError(f"{info.filename} inflates to more than {MOST_INFLATION} times its size")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{info.filename} must be stored or deflated")
            return {info.filename: archive.read(info) for info in directory}
    except (zipfile.BadZipFile, RuntimeError, EOFError, zlib.error, struct.error) as error:
        # RuntimeError: a member is encrypted, or packed in a way that is not known.
        raise ValueError(f"it is damaged: {error}") from error


_FACTS = Entries(
    {
        "digest": Text("64 hexadecimal digits", r"[0-9a-f]{64}"),
        "hz": Number(1, 10**9, whole=True),
        "block_rams": Entries(
            {},
            others=Entries(
                {
                    "bel": Text("the place of a block RAM", r"[\w./-]{1,100}"),
                    "number": Text("a number of bits", r"[01]{1,64}"),
                },
                required=("bel",),
                closed=True,
            ),
        ),
        "plan": Entries({}),
    },
    required=("digest", "hz", "block_rams", "plan"),
)


def _facts(value: Any) -> dict[str, Any]:
    """Return what ``facts.json`` says, if all of it has its type."""
    if not isinstance(value, dict):
        raise ValueError("facts.json must be a JSON object")
    # Version 1 had the packer's arguments, too, of which no use is made.
    if value.get("version") not in VERSIONS:
        raise ValueError(f"version {ascii(value.get('version'))[:60]}")
    if (fault := _FACTS.fault(value)) is not None:
        raise ValueError(f"facts.json{fault}")
    return value


def _cells(value: Any) -> dict[str, dict[str, Any]]:
    """Return the cells of the top module of a netlist; a ValueError if they are not what yosys writes."""
    for key in ("modules", NETLIST_TOP, "cells"):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"it has no {key}")
        value = value[key]
    if not isinstance(value, dict):
        raise ValueError("its cells are no JSON object")
    for name, cell in value.items():
        if not isinstance(cell, dict) or not isinstance(cell.get("type"), str):
            raise ValueError(f"cell {ascii(name)[:60]} has no type")
        parameters = cell.get("parameters")
        if not isinstance(parameters, dict) or not all(isinstance(v, str) for v in parameters.values()):
            raise ValueError(f"cell {ascii(name)[:60]} must have texts as its parameters")
    return value


def read_kept(build_dir: Path, report: Mapping[str, Any], scratch: Path) -> Kept:
    """Return what a build kept.

    Args:
        build_dir: folder of the build.
        report: from :func:`qornn_hw.boards.report.read_report`.
        scratch: a folder for a moment.

    Raises:
        BoardError: there is nothing, or it is not what a build keeps.
    """
    try:
        path = file_of(build_dir, report, "placed")
    except DataError as error:
        raise BoardError(
            f"the build must have {KEPT_FILE}, {build_dir} has none; build it anew with this version"
        ) from error
    return Kept.read(path, scratch)


def built_design(build_dir: Path, network: AnyNetwork) -> Design | None:
    """Return the design of ``network`` on the hardware of a build, None where the build is of another one."""
    report = read_report(build_dir)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            kept = read_kept(build_dir, report, Path(scratch))
            design = refit(kept.plan, kept.network, network)
        except (BoardError, FormatError):
            return None
    return design if report.get("design_digest") == design.digest else None


def block_rams_of(placed_json: str, ram: BlockRam | None) -> dict[str, dict[str, str]]:
    """Return the block RAMs in what nextpnr's ``--write`` gives: place, and the number of its contents.

    None where the family's block RAM is not known, and so cannot be reloaded.
    """
    if ram is None:
        return {}
    cells = json.loads(placed_json)["modules"]["top"]["cells"]
    found = {}
    for name, cell in cells.items():
        if cell["type"] == ram.placed_kind:
            facts = {"bel": cell["attributes"]["NEXTPNR_BEL"]}
            if (number := cell["parameters"].get("WID")) is not None:
                facts["number"] = number
            found[name.removesuffix(ram.placed_suffix)] = facts
    return dict(sorted(found.items()))
