"""The tails of the tile engine: what is computed behind the accumulators, from the graph of each stage.

A unit enters every G cycles, in phase 0. The register of a node takes its result in one phase, and shows it
for G cycles. Where it is read later there are copies behind it. So several units are in the pipeline, G
cycles apart.
"""

from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.layout import TileLayout
from qornn_hw.compiler.engines.tile.memories import memory_name
from qornn_hw.compiler.engines.tile.nodes import (
    Accumulator,
    Constant,
    Load,
    Lookup,
    MultiplyAdd,
    Negate,
    Node,
    Pick,
    Positive,
    Round,
    SignedSize,
    Slice,
    Store,
    Sum,
    Symbol,
    Transformed,
)
from qornn_hw.compiler.engines.tile.tail_schedule import TailSchedule
from qornn_hw.compiler.memory import Memory
from qornn_hw.ir.formats import Rounding
from qornn_hw.rtl_gen.engines.tile.transform import StateTransform
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom

__all__ = ["Tail"]


class Tail(wiring.Component):
    """All tails of a network.

    Parameters:
        layout: the network on the engine.
        memories: by name.

    Members:
        begin: In; pulse, in a stage's first cycle.
        stage: In; whose tail is used.
        phase: In; 0 where a unit enters.
        constants_<n>: In; the word of constants of stage n, of the phase and the unit of the cycle before.
        valid: In; a unit is in phase 0 to G - 1.
        unit: In; its number.
        starting: In; the step begins a sequence.
        symbol: In; the step's, where its input is an index.
        sum_<f>_<j>: In(signed); its accumulators.
        store_<k>: Out; an entry of vector k of :attr:`TileLayout.vectors` comes.
        store_next: Out; in the next cycle an entry of some vector comes.
        stored_unit: Out; its number.
        stored: Out(signed); the entry.
        state_valid, state_data: Out; an entry of a state comes.
        retire: Out; the last unit of the stage has been stored.
    """

    def __init__(self, layout: TileLayout, memories: dict[str, Memory]) -> None:
        self._layout, self._memories = layout, memories
        self.table_bits = [memories[f"table_{t}_0"].width for t in range(len(layout.tables))]
        p = layout
        units = max(stage.slots for stage in p.stages)
        members: dict[str, Any] = {
            "stage": In(range(len(p.stages))),
            "phase": In(range(p.shape.interval)),
            "valid": In(1),
            "unit": In(range(units)),
            "starting": In(1),
            "symbol": In(p.network.input.format.bits),
            "begin": In(1),
            "store_next": Out(1),
            "stored_unit": Out(range(units)),
            "stored": Out(signed(p.operand_bits)),
            "state_valid": Out(1),
            "state_data": Out(signed(max(s.format.signed_bits for s in p.network.states.values()))),
            "retire": Out(1),
        }
        members |= {
            f"sum_{f}_{j}": In(signed(bits))
            for f, bits in enumerate(p.phase_bits)
            for j in range(p.unit_lanes)
        }
        members |= {
            f"constants_{n}": In(p.constant_shape(p.constant_memory(n))[1]) for n in range(len(p.tails))
        }
        members |= {f"store_{k}": Out(1) for k in range(len(p.vectors))}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._layout
        shared = _Shared(m, p, self)
        graphs = [_Graph(m, p, self, number, tail, shared) for number, tail in enumerate(p.tails)]
        for graph in graphs:
            graph.build()
        shared.connect_multipliers()
        shared.connect_tables(self._memories)
        shared.connect_states(self._memories)
        shared.connect_symbols(self._memories)
        shared.connect_transforms()
        shared.connect_stores()
        return m


@dataclass
class _Use:
    """A use of a shared unit: in one phase of one stage."""

    stage: int
    phase: int
    inputs: tuple[Value, ...]


@dataclass
class _StoreUse:
    strobe: Signal
    coming: Value
    unit: Signal
    node: Store
    value: Value


@dataclass
class _Shared:
    """What the tails of all stages share: multipliers, tables, memories, and the pipeline of units."""

    m: Module
    p: TileLayout
    tail: Tail
    products: dict[int, Signal] = field(default_factory=dict)
    multiplier_uses: dict[int, list[_Use]] = field(default_factory=dict)
    entries: dict[tuple[int, int], Signal] = field(default_factory=dict)
    table_uses: dict[tuple[int, int], list[_Use]] = field(default_factory=dict)
    state_words: dict[str, Signal] = field(default_factory=dict)
    state_uses: dict[str, list[_Use]] = field(default_factory=dict)
    symbol_words: dict[str, tuple[Signal, Signal]] = field(default_factory=dict)
    transformed: dict[str, tuple[Signal, Value, Signal]] = field(default_factory=dict)
    stores: list[_StoreUse] = field(default_factory=list)
    unit_copies: list[Signal] = field(default_factory=list)
    valid_copies: list[Signal] = field(default_factory=list)

    def __post_init__(self) -> None:
        tail, p = self.tail, self.p
        self.unit_copies, self.valid_copies = [tail.unit], [tail.valid]
        for unit, (a, b) in enumerate(p.factor_bits):
            self.products[unit] = Signal(signed(a + b), name=f"product_{unit}", reset_less=True)
            self.multiplier_uses[unit] = []

    def in_phase(self, phase: int) -> Any:
        """Return whether the cycle is of a phase."""
        return Const(1) if self.p.shape.interval == 1 else self.tail.phase == phase

    def unit_at(self, time: int) -> tuple[Signal, Signal]:
        """Return the unit, and whether there is one, that entered ``time`` cycles before."""
        copy = time // self.p.shape.interval
        while len(self.unit_copies) <= copy:
            number = len(self.unit_copies)
            unit = Signal.like(self.tail.unit, name=f"unit_{number}", reset_less=True)
            valid = Signal(name=f"valid_{number}")
            with self.m.If(self.in_phase(self.p.shape.interval - 1)):
                self.m.d.sync += [unit.eq(self.unit_copies[-1]), valid.eq(self.valid_copies[-1])]
            with self.m.If(self.tail.begin):
                self.m.d.sync += valid.eq(0)
            self.unit_copies.append(unit)
            self.valid_copies.append(valid)
        return self.unit_copies[copy], self.valid_copies[copy]

    def _chosen(self, uses: list[_Use], number: int, target: Signal) -> None:
        """Drive a signal with one of the inputs of the uses, by stage and phase."""
        m, by_stage = self.m, {use.stage for use in uses}
        with m.Switch(self.tail.stage):
            for stage in sorted(by_stage):
                own = [use for use in uses if use.stage == stage]
                with m.Default() if stage == max(by_stage) else m.Case(stage):
                    with m.Switch(self.tail.phase):
                        for use in own:
                            with m.Default() if use is own[-1] else m.Case(use.phase):
                                m.d.comb += target.eq(use.inputs[number])

    def connect_multipliers(self) -> None:
        """Each multiplier has registers in front and behind, which synthesis takes into the hard one."""
        for unit, (a_bits, b_bits) in enumerate(self.p.factor_bits):
            chosen = [
                Signal(signed(bits), name=f"factor_{unit}_{k}") for k, bits in enumerate((a_bits, b_bits))
            ]
            held = [Signal.like(c, name=f"{c.name}_held", reset_less=True) for c in chosen]
            for number, target in enumerate(chosen):
                self._chosen(self.multiplier_uses[unit], number, target)
            self.m.d.sync += [register.eq(c) for register, c in zip(held, chosen, strict=True)]
            self.m.d.sync += self.products[unit].eq(held[0] * held[1])

    def connect_tables(self, memories: dict[str, Memory]) -> None:
        """Each port of a table is a memory of its own."""
        for (table, port), uses in self.table_uses.items():
            memory = memories[f"table_{table}_{port}"]
            self.m.submodules[memory.name] = rom = Rom(memory)
            address = Signal.like(rom.addr, name=f"{memory.name}_address")
            self._chosen(uses, 0, address)
            self.m.d.comb += [rom.addr.eq(address), self.entries[table, port].eq(rom.data)]

    def connect_states(self, memories: dict[str, Memory]) -> None:
        """Each value that a tail loads has a memory, which the stores write."""
        for value, word in self.state_words.items():
            name = memory_name("state", value)
            memory = memories[name]
            ram = Ram(width=memory.width, depth=memory.depth, init=memory.words)
            self.m.submodules[name] = ram
            address = Signal.like(ram.r_addr, name=f"{name}_address")
            self._chosen(self.state_uses[value], 0, address)
            self.m.d.comb += [ram.r_addr.eq(address), word.eq(ram.r_data)]
            for use in self.stores:
                if use.node.target == value:
                    with self.m.If(use.strobe):
                        self.m.d.comb += [ram.w_en.eq(1), ram.w_addr.eq(use.unit), ram.w_data.eq(use.value)]

    def connect_symbols(self, memories: dict[str, Memory]) -> None:
        """Each row that an index selects weights of has a memory."""
        for row, (unit, word) in self.symbol_words.items():
            name = memory_name("symbols", row)
            self.m.submodules[name] = rom = Rom(memories[name])
            bits = len(self.tail.symbol)
            self.m.d.comb += [
                rom.addr[:bits].eq(self.tail.symbol),
                rom.addr[bits:].eq(unit),
                word.eq(rom.data),
            ]

    def connect_transforms(self) -> None:
        """Each transform begins with its stage, and takes the stores of its state."""
        tail = self.tail
        for number, stage in enumerate(self.p.stages):
            if (transform := stage.transform) is None:
                continue
            unit, valid, word = self.transformed[transform.vector]
            name = memory_name("transform", transform.vector)
            self.m.submodules[name] = found = StateTransform(transform)
            self.m.d.comb += [
                found.go.eq(tail.begin & (tail.stage == number)),
                found.valid.eq(valid),
                found.unit.eq(unit),
                found.zero.eq(tail.starting),
                word.eq(found.entry),
            ]
            for use in self.stores:
                if use.node.target == transform.vector:
                    with self.m.If(use.strobe):
                        self.m.d.comb += [
                            found.store.eq(1),
                            found.stored_unit.eq(use.unit),
                            found.stored.eq(use.value),
                        ]

    def connect_stores(self) -> None:
        """At most one store a cycle goes to the operands, and at most one to the port of the states."""
        m, tail = self.m, self.tail
        m.d.comb += tail.store_next.eq(Cat(use.coming for use in self.stores if use.node.is_operand).any())
        for use in self.stores:
            with m.If(use.strobe):
                if use.node.is_operand:
                    number = self.p.vectors.index(use.node.target)
                    m.d.comb += [
                        getattr(tail, f"store_{number}").eq(1),
                        tail.stored_unit.eq(use.unit),
                        tail.stored.eq(use.value),
                    ]
                if use.node.is_state:
                    m.d.comb += [tail.state_valid.eq(1), tail.state_data.eq(use.value)]


@dataclass
class _Graph:
    """The tail of one stage."""

    m: Module
    p: TileLayout
    tail: Tail
    number: int
    schedule: TailSchedule
    shared: _Shared
    copies: dict[str, list[Value]] = field(default_factory=dict)

    def build(self) -> None:
        """Add the hardware of all nodes, and the pulse that ends the stage."""
        for node in self.schedule.nodes:
            _BUILT[type(node)](self, node)
        last = self.p.stages[self.number].slots - 1
        end = self.p.tail_end(self.number)
        retired, _ = self.strobe(end, f"s{self.number}_retired", self.shared.unit_at(end - 1)[0] == last)
        with self.m.If(retired):
            self.m.d.comb += self.tail.retire.eq(1)

    def strobe(self, time: int, name: str, condition: Any = 1) -> tuple[Signal, Signal]:
        """Return whether a unit of the stage entered ``time`` cycles before, 1 or more, from a register.

        ``condition`` is looked at a cycle before. The second result is the same a cycle earlier.
        """
        _, valid = self.shared.unit_at(time - 1)
        here = self.shared.in_phase((time - 1) % self.interval) & (self.tail.stage == self.number)
        coming = Signal(name=f"{name}_coming")
        found = Signal(name=name)
        self.m.d.comb += coming.eq(valid & here & condition & ~self.tail.begin)
        self.m.d.sync += found.eq(coming)
        return found, coming

    @property
    def interval(self) -> int:
        """Cycles from unit to unit."""
        return self.schedule.interval

    # -- values ---------------------------------------------------------------------------------------

    def named(self, node: Node, part: str = "") -> str:
        """Return the name of a node's signal."""
        return f"s{self.number}_{node.name.replace('.', '_')}{part}"

    def show(self, node: Node, value: Any) -> None:
        """Give a node's register its result in the cycle before it shows it."""
        register = Signal(signed(node.bits), name=self.named(node), reset_less=True)
        with self.m.If(self.shared.in_phase((self.schedule.shown(node) - 1) % self.interval)):
            self.m.d.sync += register.eq(value)
        self.copies[node.name] = [register]

    def read(self, node: Node, number: int) -> Value:
        """Return an operand of a node in the cycle in which the node reads it."""
        operand, at = node.reads[number]
        time = self.schedule.starts[node.name] + at
        if isinstance(operand, Constant):
            return self._constant(node, number, operand)
        if isinstance(operand, Slice):
            bits = self._value(operand.node, time)[operand.low : operand.low + operand.width]
            return bits.as_signed() if operand.signed else bits
        return self._value(operand, time)

    def _value(self, name: str, time: int) -> Value:
        node = self.schedule.node(name)
        copies, wanted = self.copies[name], self.schedule.copy(node, time)
        assert wanted >= 0, f"{name} is read before it is there"
        while len(copies) <= wanted:
            copy = Signal(signed(node.bits), name=self.named(node, f"_{len(copies)}"), reset_less=True)
            with self.m.If(self.shared.in_phase((self.schedule.shown(node) - 1) % self.interval)):
                self.m.d.sync += copy.eq(copies[-1])
            copies.append(copy)
        return copies[wanted]

    def _constant(self, node: Node, number: int, operand: Constant) -> Value:
        if operand.is_shared:
            return Const(operand.values[0], signed(operand.bits))
        place = self.schedule.places[node.name, number]
        word = getattr(self.tail, f"constants_{self.number}")
        copies: list[Value] = [word[place.low : place.low + place.bits].as_signed()]
        for k in range(place.copies):
            copy = Signal(
                signed(operand.bits), name=self.named(node, f"_constant{number}_{k}"), reset_less=True
            )
            # The word is there in the cycle behind its phase.
            with self.m.If(self.shared.in_phase((place.phase + 1) % self.interval)):
                self.m.d.sync += copy.eq(copies[-1])
            copies.append(copy)
        return copies[-1]

    # -- nodes ----------------------------------------------------------------------------------------

    def accumulator(self, node: Accumulator) -> None:
        """The shift registers show a unit's accumulators for G cycles."""
        stage = self.p.stages[self.number]
        chain = len(self.p.phase_bits) - len(stage.phases) + node.phase
        found = getattr(self.tail, f"sum_{chain}_{node.position}")
        self.copies[node.name] = [found[: node.bits].as_signed()]

    def load(self, node: Load) -> None:
        """The memory is read in all cycles of the unit."""
        shared = self.shared
        if node.value not in shared.state_words:
            shared.state_words[node.value] = Signal(
                signed(node.bits), name=f"word_{node.value.replace('.', '_')}"
            )
            shared.state_uses[node.value] = []
        unit, _ = shared.unit_at(self.schedule.starts[node.name])
        size = self.p.network.sizes[node.value]
        bits = max(1, (size - 1).bit_length())
        address = Signal(bits + 1, name=self.named(node, "_address"))
        initial = self.tail.starting & (not node.fresh)
        self.m.d.comb += [address[:bits].eq(unit), address[bits].eq(initial)]
        shared.state_uses[node.value].append(_Use(self.number, 0, (address,)))
        self.copies[node.name] = [shared.state_words[node.value]]

    def transformed(self, node: Transformed) -> None:
        """The transform shows the result of the unit of three cycles before."""
        unit, valid = self.shared.unit_at(self.schedule.starts[node.name])
        word = Signal(signed(node.bits), name=self.named(node))
        self.shared.transformed[node.value] = unit, valid, word
        self.copies[node.name] = [word]

    def symbol(self, node: Symbol) -> None:
        """The memory is read in all cycles of the unit."""
        unit, _ = self.shared.unit_at(self.schedule.starts[node.name])
        word = Signal(signed(node.bits), name=self.named(node))
        self.shared.symbol_words[node.row] = unit, word
        self.copies[node.name] = [word]

    def negate(self, node: Negate) -> None:
        """The complement and one more, where the sign is negative."""
        value, negative = self.read(node, 0), self.read(node, 1)[-1]
        self.show(node, Mux(negative, ~value, value) + negative)

    def sum(self, node: Sum) -> None:
        """One adder behind the other."""
        total: Any = None
        for number, summand in enumerate(node.summands):
            part = self.read(node, number) << summand.shift
            if total is None:
                total = -part if summand.negative else part
            else:
                total = total - part if summand.negative else total + part
        self.show(node, total)

    def multiply_add(self, node: MultiplyAdd) -> None:
        """The product is there two cycles behind the factors, for one cycle."""
        unit, start = self.schedule.multipliers[node.name], self.schedule.starts[node.name]
        factors = (self.read(node, 0), self.read(node, 1))
        self.shared.multiplier_uses[unit].append(_Use(self.number, start % self.interval, factors))
        self.show(node, (self.shared.products[unit] << node.shift) + self.read(node, 2))

    def round(self, node: Round) -> None:
        """Saturation looks at whether the bits above the result are all alike."""
        value, form, shift = self.read(node, 0), node.form, node.shift
        bits = form.bits
        shifted = Signal(signed(max(len(value) - shift, bits + 2)), name=self.named(node, "_shifted"))
        rounded = Signal.like(shifted, name=self.named(node, "_rounded"))
        self.m.d.comb += [shifted.eq(value >> shift), rounded.eq(shifted)]
        if node.rounding is Rounding.HALF_EVEN and shift:
            # The constant is in: a tie has left only zeros below the point. Its neighbour below is even.
            self.m.d.comb += rounded[0].eq(shifted[0] & (value[:shift] != 0))
        above = shifted[bits - 1 :] if form.signed else shifted[bits:]
        negative = shifted[-1]
        too_large = ~negative & above.any()
        too_small = negative & (~above.all() if form.signed else 1)
        self.show(node, Mux(too_large, form.max, Mux(too_small, form.min, rounded)))

    def lookup(self, node: Lookup) -> None:
        """The entry is there a cycle behind the index, for one cycle."""
        shared, key = self.shared, (node.table, self.schedule.ports[node.name])
        if key not in shared.entries:
            width = self.tail.table_bits[node.table]
            shared.entries[key] = Signal(signed(width), name=f"entry_{key[0]}_{key[1]}")
            shared.table_uses[key] = []
        start = self.schedule.starts[node.name]
        shared.table_uses[key].append(_Use(self.number, start % self.interval, (self.read(node, 0),)))
        self.show(node, shared.entries[key] + node.offset)

    def positive(self, node: Positive) -> None:
        """Zero in place of a negative value."""
        value = self.read(node, 0)
        self.show(node, Mux(value[-1], 0, value))

    def pick(self, node: Pick) -> None:
        """The last knot that the value has reached chooses."""
        value = self.read(node, 0)
        entry = Signal(signed(node.bits), name=self.named(node, "_entry"))
        self.m.d.comb += entry.eq(node.entries[0])
        for knot, number in zip(node.knots, node.entries[1:], strict=True):
            with self.m.If(value >= knot):
                self.m.d.comb += entry.eq(number)
        self.show(node, entry)

    def signed_size(self, node: SignedSize) -> None:
        """The absolute value first; then the bias, and the sign of a cycle before."""
        value, sign = self.read(node, 0), self.read(node, 1)
        size = Signal(len(value) + 1, name=self.named(node, "_size"), reset_less=True)
        with self.m.If(self.shared.in_phase(self.schedule.starts[node.name] % self.interval)):
            self.m.d.sync += size.eq(Mux(value[-1], -value, value))
        total = size + self.read(node, 2)
        reached = Mux((total < 0) | (sign == 0), 0, total)
        self.show(node, Mux(sign[-1], -reached, reached))

    def store(self, node: Store) -> None:
        """A strobe in the node's phase."""
        time = self.schedule.starts[node.name]
        unit, _ = self.shared.unit_at(time)
        strobe, coming = self.strobe(time, self.named(node, "_strobe"))
        self.shared.stores.append(_StoreUse(strobe, coming, unit, node, self.read(node, 0)))


_BUILT: dict[type[Node], Any] = {
    Accumulator: _Graph.accumulator,
    Load: _Graph.load,
    Negate: _Graph.negate,
    Sum: _Graph.sum,
    Symbol: _Graph.symbol,
    Transformed: _Graph.transformed,
    MultiplyAdd: _Graph.multiply_add,
    Round: _Graph.round,
    Lookup: _Graph.lookup,
    Positive: _Graph.positive,
    Pick: _Graph.pick,
    SignedSize: _Graph.signed_size,
    Store: _Graph.store,
}
