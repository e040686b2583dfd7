"""Sound ranges of every value of a network, from which the widths of the hardware are proved.

A state has one range for all of its units: what its initial values are, and what the operation that it is
assigned from can give for accumulators of any size, within the state's format. With these ranges of the
states, every operation's interval follows from those of its operands, in the order of computation.
"""

from dataclasses import dataclass
from typing import TypeAlias

from qornn_hw.errors import FormatError
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import Assign, MatVec, Operation

__all__ = ["INNER_BITS_MAX", "VALUE_BITS_MAX", "Ranges", "check_ranges", "value_ranges"]

# A value's width in hardware, and that of an integer on the way to it: what 64-bit integers hold.
VALUE_BITS_MAX = 48
INNER_BITS_MAX = 64
_UNBOUNDED = Interval.of(-(1 << 200), 1 << 200)

Intervals: TypeAlias = dict[str, Interval]


@dataclass(frozen=True)
class Ranges:
    """Intervals of a network's values.

    Attributes:
        values: of each value by name: the input, the states (old and new alike), the results of operations.
        inner: by the result's name, of the widest integer that an operation forms on the way to it.
        assigned: by the state's name, of what it is assigned.
    """

    values: Intervals
    inner: Intervals
    assigned: Intervals

    def bits(self, name: str) -> int:
        """Return the bits, signed, that hold a value."""
        return self.values[name].bits


def value_ranges(network: Network) -> Ranges:
    """Return ranges that hold every value for all inputs and sequences; no width is judged here."""
    values: Intervals = {}
    source = network.input
    values[source.name] = Interval.of(0, 1) if source.one_hot else Interval.of_format(source.format)
    values |= _state_ranges(network, values)
    inner: Intervals = {}
    assigned: Intervals = {}
    for op in network.operations:
        operands = [values[name] for name in op.operands]
        if isinstance(op, Assign):
            assigned[op.name] = operands[0]
            continue
        values[op.name] = op.interval(*operands)
        inner[op.name] = op.inner(*operands)
    return Ranges(values, inner, assigned)


def _state_ranges(network: Network, known: Intervals) -> Intervals:
    values = dict(known)
    for state in network.states.values():
        values[state.name] = Interval.of_format(state.format)
    found: Intervals = {}
    for layer in network.layers:
        for op in layer.operations:
            operands = [values[name] for name in op.operands]
            if isinstance(op, Assign):
                state = network.states[op.name]
                given = operands[0].clamp(state.format)
                found[op.name] = given.union(Interval.of_values(state.initial)).hull
            else:
                values[op.name] = _UNBOUNDED if isinstance(op, MatVec) else op.interval(*operands)
    return found


def check_ranges(network: Network, ranges: Ranges) -> None:
    """Refuse a network one of whose integers could pass its width.

    Raises:
        FormatError: a value could pass 48 bits, an integer on the way to it 64 bits, a new state its
            format, or an operand the values that the operation has results for.
    """
    for op in network.operations:
        if isinstance(op, Assign):
            _check_state(network, op, ranges)
            continue
        _check_domain(op, ranges)
        if (bits := ranges.bits(op.name)) > VALUE_BITS_MAX:
            raise FormatError(f"{op.name} must fit {VALUE_BITS_MAX} bits, not {bits}")
        if (bits := ranges.inner[op.name].bits) > INNER_BITS_MAX:
            raise FormatError(f"{op.name}: the sum must fit {INNER_BITS_MAX} bits, not {bits}")


def _check_state(network: Network, op: Assign, ranges: Ranges) -> None:
    form = network.states[op.name].format
    given = ranges.assigned[op.name]
    if not given.inside(Interval.of_format(form)):
        raise FormatError(
            f"{op.value} must lie in {form.min} to {form.max}, the format of {op.name}, not in "
            f"{given.least} to {given.most}; saturate it to that format"
        )


def _check_domain(op: Operation, ranges: Ranges) -> None:
    domain = op.domain()
    if domain is None:
        return
    for name in op.operands:
        value = ranges.values[name]
        if not value.inside(domain):
            raise FormatError(
                f"{op.name}: {name} must lie in {domain.least} to {domain.most}, not in {value.least} to "
                f"{value.most}; saturate it to that range"
            )
