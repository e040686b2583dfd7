"""A program of the simple engine as text, for people."""

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Instruction, Kind, Offset, Port, Stop
from qornn_hw.compiler.engines.simple.program import Program

__all__ = ["listing"]

_OFFSETS = {Offset.NONE: "", Offset.REPEAT: " + repeat", Offset.UNIT: " + unit", Offset.INDEX: " + index"}
_PORTS = {Port.NONE: "", Port.STATE: ", state", Port.ANSWER: ", answer", Port.ANSWER_END: ", end of answer"}
_STOPS = {Stop.NEVER: "", Stop.UNANSWERED: "end unless answered", Stop.ALWAYS: "end"}


def listing(program: Program) -> str:
    """Return the program as text, a line for each instruction, bodies by their units."""
    lines, at = [], 0
    for body in program.bodies:
        if at in (0, program.step_instruction):
            lines.append("initial states:" if at == 0 else "step:")
        units = body[-1].units
        lines.append(f"  {units} unit{'s' * (units > 1)}")
        for instruction in body:
            lines.append(f"    {at:4}  {_text(instruction, program)}")
            at += 1
        if body[-1].stop is not Stop.NEVER:
            lines.append(_STOPS[body[-1].stop])
    return "\n".join(lines) + "\n"


def _text(instruction: Instruction, program: Program) -> str:
    if instruction == Instruction(count=instruction.count, units=instruction.units, stop=instruction.stop):
        return f"wait {instruction.count} cycles"
    value = f"value[{instruction.address}{_OFFSETS[instruction.offset]}]"
    match instruction.kind:
        case Kind.MULTIPLY_ADD:
            moved = f"(acc << {program.digit_bits})" if instruction.scale else "acc"
            text = f"acc = {moved} + {value} * {_digit(instruction)}"
        case Kind.SHIFT:
            text = "acc = acc >> 1"
        case Kind.ROUND_UP | Kind.ROUND_EVEN:
            text = f"acc = acc rounded half {'up' if instruction.kind is Kind.ROUND_UP else 'even'}"
        case Kind.STORE:
            form = program.saturations[instruction.number]
            sign = "" if form is None else f" to {form.bits} bits {'signed' if form.signed else 'unsigned'}"
            text = f"{value} = acc{', saturated' * (form is not None)}{sign}{_PORTS[instruction.port]}"
        case Kind.CHOOSE:
            chosen = "unit" if instruction.offset is Offset.UNIT else str(instruction.number)
            text = f"index = {chosen} if acc >= 0"
        case Kind.INDEX:
            text = f"index = {'acc and unit' if instruction.offset is Offset.UNIT else 'acc'}"
        case Kind.FACTOR:
            text = "factor = acc"
    return text + (f"   {instruction.count} times" if instruction.count > 1 else "")


def _digit(instruction: Instruction) -> str:
    match instruction.coefficient:
        case Coefficient.NUMBER:
            return str(instruction.number)
        case Coefficient.STREAM:
            return "stream"
        case Coefficient.TABLE:
            return f"coefficient[{instruction.number} + index]"
        case Coefficient.FACTOR:
            return "factor digit"
