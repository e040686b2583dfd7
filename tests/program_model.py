"""What each instruction of the simple engine does, in plain Python, without cycles or pipeline."""

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind, Offset, Port, Stop


def signed(value, bits):
    """Return the lowest bits of a value in two's complement."""
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


class ProgramModel:
    """Executes a program step by step."""

    def __init__(self, program):
        self.program = program
        self.values = [0] * program.value_depth
        self.values[program.one] = 1
        self.accumulator = self.index = self.factor = self.factor_digits = 0
        self.guard = self.sticky = 0

    def step(self, inputs, first, answered):
        """Return the words of the state port and of the answer, and the cycles."""
        p = self.program
        self.values[: len(inputs)] = inputs
        at, stream = (0, 0) if first else (p.step_instruction, p.step_coefficient)
        states, answer, cycles = [], [], 0
        while True:
            body = [p.instructions[at]]
            while not body[-1].units:
                at += 1
                body.append(p.instructions[at])
            at += 1
            for unit in range(body[-1].units):
                for instruction in body:
                    cycles += instruction.count
                    for repeat in range(instruction.count):
                        stream += instruction.coefficient is Coefficient.STREAM
                        word = self.execute(instruction, unit, repeat, stream - 1)
                        if instruction.port is Port.STATE:
                            states.append(word)
                        elif instruction.port is not Port.NONE:
                            answer.append(word)
            stop = body[-1].stop
            if stop is Stop.ALWAYS or (stop is Stop.UNANSWERED and not answered):
                return states, answer, cycles

    def execute(self, instruction, unit, repeat, stream):
        """Execute one repetition of an instruction; return the word that it stores, if it does."""
        p, kind = self.program, instruction.kind
        offset = (0, repeat, unit, self.index)[instruction.offset]
        if kind is Kind.MULTIPLY_ADD:
            digit = self.digit(instruction, stream)
            product = self.values[instruction.address + offset] * digit
            left = p.digit_bits if instruction.scale and repeat == 0 else 0
            self.set((self.accumulator << left) + product)
        elif kind is Kind.SHIFT:
            self.sticky |= self.guard
            self.guard = self.accumulator & 1
            self.accumulator >>= 1
        elif kind in (Kind.ROUND_UP, Kind.ROUND_EVEN):
            odd = self.sticky or self.accumulator & 1
            self.accumulator += self.guard and (kind is Kind.ROUND_UP or odd)
        elif kind is Kind.STORE:
            form = p.saturations[instruction.number]
            word = self.accumulator if form is None else min(max(self.accumulator, form.min), form.max)
            assert word == signed(word, p.value_bits)
            self.values[instruction.address + offset] = word
            self.clear()
            self.index = 0
            return word
        elif kind is Kind.CHOOSE:
            if self.accumulator >= 0:
                self.index = unit if instruction.offset is Offset.UNIT else instruction.number
            self.clear()
        elif kind is Kind.INDEX:
            self.index = self.accumulator
            if instruction.offset is Offset.UNIT:
                self.index += unit << p.input_format.bits
            self.clear()
        else:
            self.factor, self.factor_digits = self.accumulator, p.factor_digits
            self.clear()
        return None

    def digit(self, instruction, stream):
        """Return the digit of a MULTIPLY_ADD."""
        p = self.program
        match instruction.coefficient:
            case Coefficient.NUMBER:
                return instruction.number
            case Coefficient.STREAM:
                return p.coefficients[stream]
            case Coefficient.TABLE:
                return p.coefficients[instruction.number + self.index]
        self.factor_digits -= 1
        digit = self.factor >> self.factor_digits * p.digit_bits
        first = self.factor_digits == p.factor_digits - 1
        return digit if first else digit % (1 << p.digit_bits)

    def set(self, total):
        """Set the accumulator, which may wrap on the way to a sum that fits."""
        self.accumulator = signed(total, self.program.accumulator_bits)

    def clear(self):
        """Clear the accumulator and what the rounding looks at."""
        self.accumulator = self.guard = self.sticky = 0
