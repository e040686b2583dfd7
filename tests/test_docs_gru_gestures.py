"""docs/examples/gru_gestures.py runs from nothing to the comparison of the Verilog."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs/examples/gru_gestures.py"


def run_script(folder, *options):
    """Return what the script prints."""
    command = [sys.executable, str(SCRIPT), str(folder / "out"), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stages(tmp_path):
    """A short training: the network is quantized, compiled and simulated, whatever it has learned."""
    output = run_script(
        tmp_path, "--epochs", "1", "--recordings", "100", "--test", "40", "--units", "4", "--steps", "3"
    )
    assert "Verilog: 19 integers compared, 0 mismatches" in output
    assert (tmp_path / "out" / "gru.npz").exists()


@pytest.mark.slow
def test_the_network_learns(tmp_path):
    """With 4-bit weights and 8-bit states it is within a point of the float network, which is above 97 %."""
    output = run_script(tmp_path, "--steps", "2")
    shares = [float(share) for share in re.findall(r"(?:float|states): ([\d.]+)%", output)]
    assert len(shares) == 2 and shares[0] > 97 and shares[1] > shares[0] - 1
