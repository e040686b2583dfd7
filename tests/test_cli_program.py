"""The command program: the first programmer that is installed, weights of the flash, and errors."""

import json
from pathlib import Path


def build_folder(path, board="icebreaker", bitstream=True):
    """Make a folder that looks like a build's."""
    report = {"board": board, "clock_mhz": 24, "baud": 3_000_000, "files": {"bitstream": "top.bin"}}
    path.mkdir()
    (path / "report.json").write_text(json.dumps(report))
    if bitstream:
        (path / "top.bin").write_bytes(b"\x7e\xaa")
    return path


def tool(path, code=0):
    """Write a program that keeps its arguments."""
    path.write_text(f'#!/bin/sh\necho "$@" > {path}.arguments\nexit {code}\n')
    path.chmod(0o755)
    return path


def test_a_bitstream_is_loaded_with_what_is_installed(run, tmp_path, monkeypatch):
    """The first programmer of the board that is there gets the bitstream."""
    build = build_folder(tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = run("program", build)
    assert code == 2
    assert "into icebreaker must have iceprog or openFPGALoader, and none is installed" in errors
    loader = tool(tmp_path / "openFPGALoader")
    code, output, _ = run("program", build, "--board", "icebreaker")
    assert code == 0
    assert output == f"openFPGALoader -b ice40_generic {build / 'top.bin'}\n"
    assert Path(f"{loader}.arguments").read_text() == f"-b ice40_generic {build / 'top.bin'}\n"
    tool(tmp_path / "iceprog", code=3)
    code, _, errors = run("program", build)
    assert code == 2
    assert "iceprog must load the bitstream, and failed with exit code 3; check that the board" in errors


def test_weights_of_the_flash_are_loaded_first(run, tmp_path, monkeypatch):
    """Of a build that boots from flash the weights go behind the bitstream, and before it."""
    build = build_folder(tmp_path / "build")
    report = json.loads((build / "report.json").read_text())
    report |= {"boot": "flash", "files": report["files"] | {"weights": "weights.bin"}}
    (build / "report.json").write_text(json.dumps(report))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "iceprog").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n')
    (tmp_path / "iceprog").chmod(0o755)
    code, _, errors = run("program", build)
    assert code == 2 and "must hold the weights that its report names, weights.bin is not there" in errors
    assert not (tmp_path / "arguments").exists()
    (build / "weights.bin").write_bytes(b"QHWW")
    assert run("program", build)[0] == 0
    assert (tmp_path / "arguments").read_text().splitlines() == [
        f"-o 1048576 {build / 'weights.bin'}",
        str(build / "top.bin"),
    ]
    (tmp_path / "iceprog").write_text("#!/bin/sh\nexit 4\n")
    code, _, errors = run("program", build)
    assert code == 2 and "iceprog must load the weights, and failed with exit code 4; check" in errors


def test_what_cannot_be_loaded(run, tmp_path):
    """No build, another board and a missing bitstream are told."""
    code, _, errors = run("program", tmp_path / "nothing")
    assert code == 2 and "must be a folder with the results of a build" in errors
    build = build_folder(tmp_path / "build", bitstream=False)
    code, _, errors = run("program", build, "--board", "ulx3s-25f")
    assert code == 2 and "--board must be icebreaker, the board of " in errors
    code, _, errors = run("program", build)
    assert code == 2 and "must hold the bitstream that its report names, top.bin is not there" in errors
