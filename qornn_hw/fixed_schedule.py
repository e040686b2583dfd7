"""Schedules whose widths are given, not proved from the weights: another network in hardware that is there.

All of a core but the contents of its memories follows from the sizes and formats of a network, from its
chain, and from :class:`Widths`. A network whose own widths are at most those that were built computes the
same integers in the wider hardware.
"""

from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from qornn_hw.design import Design, compile_schedule
from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.fixed import bits_for_range
from qornn_hw.network import SHIFT_MAX, Activation, IntegerNetwork
from qornn_hw.schedule import Schedule

__all__ = ["Plan", "Widths", "refit", "with_room", "with_shift"]

M_MAX = 65535
# Room of M: powers of two by which it may be finer, and larger, than the one that is built; and what a hard
# multiplier takes.
FINER_BITS, LARGER_BITS = 2, 2
FACTOR_BITS = 15
# More than any sum has: with it a sum on the way has the bits that it needs for itself.
UNLIMITED_BITS = 64


@dataclass(frozen=True)
class Widths:
    """Bits of everything whose width depends on the weights, and M where all units share it.

    Attributes are those of :class:`qornn_hw.schedule.Schedule`.
    """

    dot_bits: tuple[int, ...]
    partial_sum_bits: tuple[int, ...]
    waiting_sum_bits: int
    total_bits: int
    accumulator_bits: int
    logit_bits: int
    activated_bits: int
    constant_bits: int
    bias_bits: int
    multiplier_bits: int
    shared_multiplier: int | None
    answer_bits: int

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the widths of a schedule."""
        return cls(**{f.name: getattr(schedule, f.name) for f in fields(cls)})


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
# A hard multiplier has sums of its own width.
LUT_ALONE = ("dot_bits", "partial_sum_bits", "total_bits")
# Added modulo a power of two: as wide as the result, they hold any number.
MODULAR = ("partial_sum_bits", "waiting_sum_bits", "total_bits", "constant_bits")


def _given(name: str) -> Any:
    return property(lambda self: getattr(self.widths, name), doc=getattr(Schedule, name).__doc__)


class _GivenWidths:
    """Takes the place of what a schedule proves."""

    widths: Widths
    room: bool

    dot_bits = _given("dot_bits")
    partial_sum_bits = _given("partial_sum_bits")
    waiting_sum_bits = _given("waiting_sum_bits")
    total_bits = _given("total_bits")
    accumulator_bits = _given("accumulator_bits")
    logit_bits = _given("logit_bits")
    activated_bits = _given("activated_bits")
    constant_bits = _given("constant_bits")
    bias_bits = _given("bias_bits")
    multiplier_bits = _given("multiplier_bits")
    shared_multiplier = _given("shared_multiplier")
    answer_bits = _given("answer_bits")

    @property
    def keeps_columns(self) -> bool:
        """Whether other weights shall find every column of a memory."""
        return self.room

    @property
    def shares_multiplier(self) -> bool:
        """Whether M is a constant of the logic."""
        return self.widths.shared_multiplier is not None


@dataclass(frozen=True, kw_only=True)
class _FixedSchedule(_GivenWidths, Schedule):
    widths: Widths
    room: bool


@dataclass(frozen=True, kw_only=True)
class _FixedDspSchedule(_GivenWidths, DspSchedule):
    widths: Widths
    room: bool


# What a plan has of a schedule by the same name.
_CHAIN = tuple(f.name for f in fields(Schedule) if f.name != "network")


class _Unlimited:
    @property
    def sum_bits(self) -> int:
        return UNLIMITED_BITS


class _UnlimitedSchedule(_Unlimited, Schedule):
    pass


class _UnlimitedDspSchedule(_Unlimited, DspSchedule):
    pass


@dataclass(frozen=True)
class Plan:
    """The hardware that a design was compiled for: all of it but the contents of its memories.

    Attributes:
        engine, store, columns_per_element, elements, readout_lanes, input_lanes, memory_register,
            spram_elements, answer_registers: as in :func:`qornn_hw.design.compile_network`, and ``store``
            that of the schedule.
        shift: of the requantizer.
        widths: of everything.
        room: the widths are those of any weights (:func:`with_room`).
    """

    engine: Engine
    store: WeightStore
    columns_per_element: int
    elements: int
    readout_lanes: int
    input_lanes: int
    memory_register: bool
    shift: int
    widths: Widths
    room: bool
    # Behind the others: builds from before there was any such thing have none in their files.
    spram_elements: int = 0
    answer_registers: bool = False

    @classmethod
    def of(cls, design: Design) -> Self:
        """Return the plan of a design."""
        s = design.schedule
        return cls(
            engine=s.engine,
            store=s.store,
            shift=design.network.shift,
            widths=Widths.of(s),
            room=s.keeps_columns,
            **{name: getattr(s, name) for name in _CHAIN},
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the plan that :meth:`to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        widths: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in value["widths"].items()
        }
        rest = {k: v for k, v in value.items() if k not in ("engine", "store", "widths")}
        return cls(
            engine=Engine(value["engine"]),
            store=WeightStore(value["store"]),
            widths=Widths(**widths),
            **rest,
        )

    def _chain(self, network: IntegerNetwork) -> dict[str, Any]:
        """Return the arguments of a schedule but for what is given in place of the network's needs."""
        store = {"weight_store": self.store} if self.engine is Engine.DSP else {}
        return {"network": network} | {name: getattr(self, name) for name in _CHAIN} | store

    def schedule(self, network: IntegerNetwork) -> Schedule:
        """Return the schedule of a network on this hardware, whether it fits or not."""
        kind = _FixedDspSchedule if self.engine is Engine.DSP else _FixedSchedule
        return kind(**self._chain(network), widths=self.widths, room=self.room)

    def design(self, network: IntegerNetwork) -> Design:
        """Return the design of a network on this hardware, whether it fits or not."""
        return compile_schedule(self.schedule(network))

    def needs(self, network: IntegerNetwork) -> Widths:
        """Return the widths that a network needs on this chain."""
        kind = _UnlimitedDspSchedule if self.engine is Engine.DSP else _UnlimitedSchedule
        return Widths.of(kind(**self._chain(network)))


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


def refit(plan: Plan, built: IntegerNetwork, network: IntegerNetwork) -> Design:
    """Return the design of ``network`` on hardware that was built for the network ``built``.

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
            if plan.readout_lanes and np.any(network.output_bias != built.output_bias):
                problems.append("the readout's biases of the logits are logic, not memory, and must be equal")
    if problems:
        more = f", and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise FormatError("; ".join(problems[:4]) + more)
    return plan.design(network)


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
    if built.table is not None and network.table is not None:
        names["index_bits"] = "bits of the table's index"
    shapes = [(text, getattr(built, name), getattr(network, name)) for name, text in names.items()]
    bits = zip(astuple(built.weight_bits), astuple(network.weight_bits), "WUV", strict=True)
    return shapes + [(f"bits of {letter}", have, want) for have, want, letter in bits]


def _wider(plan: Plan, network: IntegerNetwork) -> list[str]:
    built, needed = plan.widths, plan.needs(network)
    problems = []
    sum_bits = plan.schedule(network).sum_bits
    for name, text in NAMES.items():
        if name == "bias_bits" and network.activation is not Activation.MODRELU:
            continue
        if name in LUT_ALONE and plan.engine is Engine.DSP:
            continue
        if name == "multiplier_bits" and built.shared_multiplier is not None:
            continue
        have, want = getattr(built, name), getattr(needed, name)
        several = isinstance(have, tuple)
        for at, (h, w) in enumerate(zip(have, want, strict=True) if several else ((have, want),)):
            if w > h and not (name in MODULAR and h == sum_bits):
                where = f"{text} {at}" if several else text
                problems.append(f"{where} must be at most {h}, not {w}")
    if built.shared_multiplier is not None and np.any(network.multiplier != built.shared_multiplier):
        units = sorted({int(m) for m in network.multiplier})
        shown = str(units[0]) if len(units) == 1 else f"{units[0]} to {units[-1]}"
        problems.append(f"M must be {built.shared_multiplier} in all units, not {shown}")
    return problems


def with_room(schedule: Schedule) -> Schedule:
    """Return the schedule with widths for any weights of its formats, and room in M.

    Biases of up to the largest sum of products fit, too. M is in a memory, whether units share it or not.
    """
    if schedule.readout_lanes or schedule.input_lanes:
        raise ValueError("multipliers beside the chain have constants or widths in logic")
    network = schedule.network
    for by in range(FINER_BITS, -1, -1):
        try:
            network = with_shift(schedule.network, min(schedule.network.shift + by, SHIFT_MAX))
            break
        except FormatError:
            continue
    widths = _widest(replace(schedule, network=network))
    room = Plan(
        schedule.engine, schedule.store, schedule.columns_per_element, schedule.elements, 0, 0,
        schedule.memory_register, network.shift, widths, True, schedule.spram_elements,
        schedule.answer_registers,
    )  # fmt: skip
    return room.schedule(network)


def _most(bits: int, values: int) -> int:
    """Return the largest magnitude of a weight of so many bits, times another number's."""
    return values if bits == 1 else values << (bits - 1)


def _widest(s: Schedule) -> Widths:
    net = s.network
    bits = net.weight_bits
    state = -net.state_format.min
    entry = max(-net.input_format.min, net.input_format.max)

    def two_sided(reach: int) -> int:
        return bits_for_range(-reach, reach)

    recurrent = net.hidden_size * _most(bits.recurrent, state)
    driven = net.input_size * _most(bits.input, entry) if net.vector_input else _most(bits.input, 1)
    # The bias may double both.
    unit = two_sided(2 * (recurrent + (driven << net.input_shift)))
    logit = two_sided(2 * net.hidden_size * _most(bits.output, state))
    accumulator = max(unit, logit)
    sums = accumulator + s.scale - 1

    dots, reaches, total = [], [], 0
    for word in range(s.passes * s.elements):
        e = word % s.elements
        columns = len(s.columns(word)) if word < s.words else 0
        held = s.element_columns[e]
        operand = entry << net.input_shift if word < s.input_words else state
        if isinstance(s, DspSchedule):
            reach = columns * _most(s.weight_bits[e], operand)
        else:
            k = s.weight_bits[e]
            digits = (1 << k) - 1 if k > 1 else 1
            dots.append((e, digits * (columns * operand + -(-held // 2))))
            reach = dots[-1][1] * (s.scale if k == 1 else 1)
        reaches.append(reach)
        total += columns * operand if e < s.total_elements else 0
    so_far = np.cumsum(reaches) + (1 << (sums - 1) if isinstance(s, DspSchedule) else 0)
    behind = [min(sums, two_sided(int(reach))) for reach in so_far]
    partial = tuple(max(behind[e :: s.elements]) for e in range(s.elements))
    last = behind[s.elements - 1 : -1 : s.elements]
    dot_bits = tuple(max((two_sided(r) for at, r in dots if at == e), default=1) for e in range(s.elements))
    index = bits_for_range(0, net.output_size - 1) if net.output_kind.has_argmax else 1
    waiting = max(last, default=1)
    return Widths(
        dot_bits=dot_bits,
        partial_sum_bits=partial,
        waiting_sum_bits=sums if isinstance(s, DspSchedule) else waiting,
        total_bits=min(sums, two_sided(total)) if s.total_elements else s.total_bits,
        accumulator_bits=accumulator,
        logit_bits=accumulator,
        activated_bits=unit,
        constant_bits=sums,
        bias_bits=unit,
        multiplier_bits=max(s.multiplier_bits, min(FACTOR_BITS, s.multiplier_bits + LARGER_BITS)),
        shared_multiplier=None,
        answer_bits=max(logit if net.output_kind.has_logits else 1, index),
    )
