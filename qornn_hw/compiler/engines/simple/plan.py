"""The plan of a core of the simple engine: the shape of its program."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from qornn_hw.compiler.engines.simple.program import Program

__all__ = ["SimplePlan"]

# An upper limit for every number in a plan that is read from a file: no hardware has more of anything.
MOST = 1 << 20


@dataclass(frozen=True)
class SimplePlan:
    """A program without its instructions and coefficients.

    Attributes:
        engine: the name of the engine.
        layout: bits of each field of an instruction, in the order of :attr:`Program.layout`.
        saturations: (bits, signed) of each format to which a value is saturated; empty for none.
        instructions, coefficients: how many there are.

    The others are those of :class:`Program`.
    """

    engine: str
    layout: tuple[int, ...]
    saturations: tuple[tuple[int, ...], ...]
    instructions: int
    coefficients: int
    step_instruction: int
    step_coefficient: int
    digit_bits: int
    accumulator_bits: int
    value_bits: int
    value_depth: int
    one: int
    factor_digits: int
    input_size: int
    one_hot: bool
    every_step: bool
    answer_bits: int
    answer_words: int
    state_bits: int

    @classmethod
    def of(cls, engine: str, program: Program) -> Self:
        """Return the plan of a program."""
        own: dict[str, Any] = {
            "engine": engine,
            "layout": tuple(program.layout.values()),
            "saturations": tuple(
                () if form is None else (form.bits, int(form.signed)) for form in program.saturations
            ),
            "instructions": len(program.instructions),
            "coefficients": len(program.coefficients),
        }
        return cls(**own | {f.name: getattr(program, f.name) for f in fields(cls) if f.name not in own})

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        lists = {"layout": list(self.layout), "saturations": [list(form) for form in self.saturations]}
        return asdict(self) | lists

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the plan that :meth:`to_json` gave; the value may come from anybody.

        Raises:
            KeyError, TypeError, ValueError: the value is no plan.
        """
        kinds = {f.name: f.type for f in fields(cls)}
        for name in value:
            if name not in kinds:
                raise ValueError(f"a plan must have no entry {ascii(name)[:60]}")
        found = {name: _read(name, value[name], kind) for name, kind in kinds.items()}
        return cls(**found)


def _read(name: str, value: Any, kind: Any) -> Any:
    """Return an entry of a plan if it has its type."""
    if kind in (str, bool):
        if not isinstance(value, kind):
            raise ValueError(f"{name} of a plan must be {kind.__name__}, not {ascii(value)[:60]}")
        return value
    if kind is int:
        if type(value) is not int or not 0 <= value <= MOST:
            raise ValueError(f"{name} of a plan must be 0 to {MOST}, not {ascii(value)[:60]}")
        return value
    if not isinstance(value, list):
        raise ValueError(f"{name} of a plan must be a list, not {ascii(value)[:60]}")
    part = int if kind == tuple[int, ...] else tuple[int, ...]
    return tuple(_read(name, item, part) for item in value)
