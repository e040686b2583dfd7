"""What a build keeps so that another network can be put into its bitstream: `placed.zip`."""

import io
import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from boards.report import read_report
from qornn_hw.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.design import Design
from qornn_hw.errors import BoardError, FormatError, QornnError
from qornn_hw.fixed_schedule import Plan, refit
from qornn_hw.network import IntegerNetwork

__all__ = ["KEPT_FILE", "Kept", "block_rams_of", "built_design"]

KEPT_FILE = "placed.zip"
VERSION = 1
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
        pack: arguments of the packer.
    """

    plan: Plan
    network: IntegerNetwork
    digest: str
    hz: int
    rtlil: str
    netlist: str
    placed: str
    block_rams: dict[str, dict[str, str]]
    pack: list[str]

    def write(self, path: Path, scratch: Path) -> None:
        """Write the file; ``scratch`` is a folder for a moment."""
        model = scratch / "kept_network.npz"
        save_checkpoint(model, Checkpoint(self.network))
        facts = {
            "version": VERSION,
            "digest": self.digest,
            "hz": self.hz,
            "plan": self.plan.to_json(),
            "block_rams": self.block_rams,
            "pack": self.pack,
        }
        contents: dict[str, bytes] = {
            "facts.json": json.dumps(facts).encode(),
            "network.npz": model.read_bytes(),
            "design.il": self.rtlil.encode(),
            "netlist.json": self.netlist.encode(),
            "placed": self.placed.encode(),
        }
        model.unlink()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, data in contents.items():
                archive.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_DEFLATED, 6)

    @classmethod
    def read(cls, path: Path, scratch: Path) -> Self:
        """Read the file that :meth:`write` wrote.

        Raises:
            BoardError: it is absent or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                facts: dict[str, Any] = json.loads(archive.read("facts.json"))
                model = scratch / "kept_network.npz"
                model.write_bytes(archive.read("network.npz"))
                network = load_checkpoint(model).network
                model.unlink()
                if facts["version"] != VERSION:
                    raise ValueError(f"version {facts['version']}")
                return cls(
                    plan=Plan.from_json(facts["plan"]),
                    network=network,
                    digest=str(facts["digest"]),
                    hz=int(facts["hz"]),
                    rtlil=archive.read("design.il").decode(),
                    netlist=archive.read("netlist.json").decode(),
                    placed=archive.read("placed").decode(),
                    block_rams=facts["block_rams"],
                    pack=facts["pack"],
                )
        except FileNotFoundError as error:
            raise BoardError(
                f"the build must have {path.name}, {path.parent} has none; build it anew with this version"
            ) from error
        except (
            OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, QornnError,
        ) as error:  # fmt: skip
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BoardError(
                f"{path} must be what a build kept, and is not: {reason}; build it anew"
            ) from error


def built_design(build_dir: Path, network: IntegerNetwork) -> Design | None:
    """Return the design of ``network`` on the hardware of a build, None where the build is of another one."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            kept = Kept.read(build_dir / KEPT_FILE, Path(scratch))
            design = refit(kept.plan, kept.network, network)
        except (BoardError, FormatError):
            return None
    return design if read_report(build_dir).get("design_digest") == design.digest else None


# nextpnr's cells that are block RAM, and what it adds to their names.
_BLOCK_RAMS = {"ICESTORM_RAM": "_RAM", "DP16KD": ""}


def block_rams_of(placed_json: str) -> dict[str, dict[str, str]]:
    """Return the block RAMs in what nextpnr's ``--write`` gives: place, and the number of its contents."""
    cells = json.loads(placed_json)["modules"]["top"]["cells"]
    found = {}
    for name, cell in cells.items():
        if (suffix := _BLOCK_RAMS.get(cell["type"])) is not None:
            facts = {"bel": cell["attributes"]["NEXTPNR_BEL"]}
            if (number := cell["parameters"].get("WID")) is not None:
                facts["number"] = number
            found[name.removesuffix(suffix)] = facts
    return dict(sorted(found.items()))
