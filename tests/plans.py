"""Plans of networks for part of a device, with the iCE40 UltraPlus where no family is named."""

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.planner import plan
from qornn_hw.compiler.request import Request


def request(
    network: IntegerNetwork,
    available: Resources,
    *,
    name: str = "here",
    family: Family = ICE40_ULTRAPLUS,
    **asked,
) -> Request:
    """Return what is asked for."""
    return Request(network=network, available=available, family=family, name=name, **asked)


def planned(network: IntegerNetwork, available: Resources, **asked) -> Design:
    """Return what the planner makes of it."""
    return plan(request(network, available, **asked))
