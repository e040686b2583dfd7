"""Another network in a chain that exists, and a chain with room for other networks.

All of a core but the contents of its memories follows from the sizes and formats of a network and from its
plan, :class:`~qornn_hw.compiler.chain_plan.ChainPlan`. A network whose own widths
are at most those that were built computes the same integers in the wider hardware.
"""

from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from qornn_hw.cells.elman_network import SHIFT_MAX, IntegerNetwork
from qornn_hw.compiler.chain_plan import ChainPlan
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.widths import Widths
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.chain_engine import ChainEngine

__all__ = ["check_chain_plan", "needed_widths", "refit_chain", "schedule_of", "with_room", "with_shift"]

M_MAX = 65535
# Powers of two by which the requantizer's factor M may be finer than the one that is built.
FINER_BITS = 2

NAMES = {
    "dot_bits": "bits of the dot product of element",
    "partial_sum_bits": "bits of the sum behind element",
    "waiting_sum_bits": "bits of a sum that waits",
    "total_bits": "bits of the operands' total",
    "accumulator_bits": "bits of the accumulator",
    "logit_bits": "bits of a logit",
    "activated_bits": "bits of the activation's result",
    "constant_bits": "bits of a row's constant",
    "bias_bits": "bits of the bias",
    "multiplier_bits": "bits of M",
    "answer_bits": "bits of an answer word",
}
# Numbers that are added modulo a power of two: as wide as the result, their widths hold any number.
MODULAR = ("partial_sum_bits", "waiting_sum_bits", "total_bits", "constant_bits")


def _engine_of(plan: ChainPlan) -> "ChainEngine":
    return cast("ChainEngine", engine_named(plan.engine))


def schedule_of(plan: ChainPlan, network: IntegerNetwork) -> ChainSchedule:
    """Return the schedule of a network on the hardware of a plan, whether the network fits or not.

    Raises:
        FormatError: the plan's chain is none for the network.
    """
    engine = _engine_of(plan)
    return ChainSchedule(network, plan.chain, engine, given=plan.widths, room=plan.room)


def needed_widths(plan: ChainPlan, network: IntegerNetwork) -> Widths:
    """Return the widths that a network needs on the chain of a plan, each sum for itself."""
    engine = _engine_of(plan)
    return engine.prove_widths(ChainSchedule(network, plan.chain, engine).placement, limited=False)


def check_chain_plan(plan: ChainPlan, network: IntegerNetwork) -> None:
    """Raise a ValueError unless a plan can be the hardware that a network was compiled for."""
    chain = plan.chain
    columns = network.hidden_size + (network.input_size if network.vector_input else 0)
    for name, most in (
        ("columns_per_element", columns),
        ("elements", columns),
        ("readout_lanes", max(network.output_size, network.hidden_size)),
        ("input_lanes", network.input_size),
    ):
        if (value := getattr(chain, name)) > most:
            raise ValueError(f"{name} of a plan for this network must be at most {most}, not {value}")
    if not chain.elements or not chain.columns_per_element:
        raise ValueError("a plan must have elements with columns")
    needed = needed_widths(plan, network)
    for name in ("dot_bits", "partial_sum_bits"):
        have, want = len(getattr(plan.widths, name)), len(getattr(needed, name))
        if have != want:
            raise ValueError(f"{name} of a plan for this network must be {want} numbers, not {have}")


def with_shift(network: IntegerNetwork, shift: int) -> IntegerNetwork:
    """Return the same network with another shift of the requantizer: M is multiplied with a power of two.

    Every integer that it computes is the same: ``(v M) / 2^s`` is.

    Raises:
        FormatError: there is none.
    """
    by = shift - network.shift
    multiplier = network.multiplier << by if by >= 0 else network.multiplier >> -by
    if by < 0 and np.any(multiplier << -by != network.multiplier):
        raise FormatError(
            f"the requantizer's shift must be {shift} or less, it is {network.shift} and M is no multiple "
            f"of {1 << -by}"
        )
    if int(multiplier.max()) > M_MAX:
        raise FormatError(
            f"M must be at most {M_MAX}, it is {int(multiplier.max())} with a shift of {shift} in place of "
            f"{network.shift}"
        )
    return replace(network, multiplier=multiplier, shift=shift)


def refit_chain(plan: ChainPlan, built: IntegerNetwork, network: IntegerNetwork) -> ChainSchedule:
    """Return the schedule of ``network`` on hardware that was built for the network ``built``.

    Raises:
        FormatError: it does not fit that hardware; says all that differs.
    """
    problems = [
        f"{name} must be {have}, not {want}" for name, have, want in _shapes(built, network) if have != want
    ]
    if not problems:
        try:
            network = with_shift(network, plan.shift)
        except FormatError as error:
            problems.append(str(error))
        else:
            problems += _wider(plan, network)
            if plan.chain.readout_lanes and np.any(network.output_bias != built.output_bias):
                problems.append("the readout's biases of the logits are logic, not memory, and must be equal")
    if not problems and built.pieces is not None and built.pieces != network.pieces:
        problems.append("the pieces of the activation are logic, not memory, and must be equal")
    if problems:
        more = f", and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise FormatError("; ".join(problems[:4]) + more)
    return schedule_of(plan, network)


def _shapes(built: IntegerNetwork, network: IntegerNetwork) -> list[tuple[str, Any, Any]]:
    names = {
        "hidden_size": "hidden units",
        "input_size": "inputs",
        "output_size": "outputs",
        "state_bits": "bits of the state",
        "input_kind": "the kind of input",
        "input_format": "the format of the input",
        "input_shift": "the shift of the input",
        "activation": "the activation",
        "rounding": "the rounding",
        "output_mode": "the output mode",
        "output_kind": "the kind of output",
    }
    if built.activation.shape.indexed and network.activation.shape.indexed:
        names["index_bits"] = "bits of the index of the activation's table or pieces"
    shapes = [(text, getattr(built, name), getattr(network, name)) for name, text in names.items()]
    bits = zip(astuple(built.weight_bits), astuple(network.weight_bits), "WUV", strict=True)
    return shapes + [(f"bits of {letter}", have, want) for have, want, letter in bits]


def _wider(plan: ChainPlan, network: IntegerNetwork) -> list[str]:
    """Return what of a network is wider than the hardware, in words."""
    built, needed = plan.widths, needed_widths(plan, network)
    schedule = schedule_of(plan, network)
    absent = set(schedule.engine.unused_widths)
    if not network.activation.shape.unit_bias:
        absent.add("bias_bits")
    if built.shares_multiplier:
        absent.add("multiplier_bits")
    problems = []
    for name, text in NAMES.items():
        if name in absent:
            continue
        have, want = getattr(built, name), getattr(needed, name)
        several = isinstance(have, tuple)
        for at, (h, w) in enumerate(zip(have, want, strict=True) if several else ((have, want),)):
            if w > h and not (name in MODULAR and h == schedule.sum_bits):
                where = f"{text} {at}" if several else text
                problems.append(f"{where} must be at most {h}, not {w}")
    if built.shared_multiplier is not None and np.any(network.multiplier != built.shared_multiplier):
        units = sorted({int(m) for m in network.multiplier})
        shown = str(units[0]) if len(units) == 1 else f"{units[0]} to {units[-1]}"
        problems.append(f"M must be {built.shared_multiplier} in all units, not {shown}")
    return problems


def with_room(schedule: ChainSchedule) -> ChainSchedule:
    """Return the schedule with widths for any weights of its formats, and room in M.

    Biases of up to the largest sum of products fit, too. M is in a memory, whether units share it or not.
    """
    if schedule.chain.readout_lanes or schedule.chain.input_lanes:
        raise ValueError("multipliers beside the chain have constants or widths in logic")
    network = schedule.network
    for by in range(FINER_BITS, -1, -1):
        try:
            network = with_shift(schedule.network, min(schedule.network.shift + by, SHIFT_MAX))
            break
        except FormatError:
            continue
    finer = replace(schedule, network=network)
    return replace(finer, given=schedule.engine.widest_widths(finer.placement), room=True)
