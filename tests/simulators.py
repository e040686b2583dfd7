"""The Verilog simulators of this machine: at least Verilator, which the set-up installs."""

from qornn_hw.errors import ToolError
from qornn_hw.sim.runner import SIMULATORS, find_simulator


def is_installed(name):
    """Return whether a simulator is on this machine."""
    try:
        find_simulator(name)
    except ToolError:
        return False
    return True


INSTALLED = tuple(name for name in SIMULATORS if is_installed(name))
DEFAULT = find_simulator()
