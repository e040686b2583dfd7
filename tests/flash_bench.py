"""A serial flash in Python, clocked by whoever plays it: SPI mode 0, power-down, Read Data."""


class SerialFlash:
    """A Winbond W25Q128JV as far as a reader needs it; every misuse is an assertion.

    ``delay`` is how many cycles of the reader after a falling edge its bit is there; until then there is the
    inverse of it.
    """

    def __init__(self, content, *, delay=1, wakes_after=8):
        self.content = content
        self.delay = delay
        self.wakes_after = wakes_after
        self.asleep = True
        self.waking = 0
        self.selected = self.clock = self.copi = 0
        self.taken = []
        self.at = None
        self.bit = 0
        self.age = 0

    def step(self, cs, sck, copi):
        """Take the pins of a cycle; return the flash's own."""
        self.age += 1
        self.waking = max(0, self.waking - 1)
        if cs and not self.selected:
            assert not sck, "mode 0: the clock is low when the flash is selected"
            self.taken, self.at = [], None
        if not cs and self.selected and self.taken[:8] == [1, 0, 1, 0, 1, 0, 1, 1]:
            assert len(self.taken) == 8
            self.asleep, self.waking = False, self.wakes_after
        if cs and sck and not self.clock and self.at is None:
            assert copi == self.copi, "tDVCH: a bit is there before the edge that takes it"
            self.taken.append(copi)
            if len(self.taken) == 32 and not self.asleep:
                assert not self.waking, "tRES1: no command while it wakes"
                number = int("".join(map(str, self.taken)), 2)
                assert number >> 24 == 0x03, f"{number:08x} is no Read Data"
                self.at = 8 * (number & 0xFFFFFF)
        if cs and self.clock and not sck and self.at is not None:
            byte = self.content[self.at // 8] if self.at // 8 < len(self.content) else 0xFF
            self.bit = byte >> (7 - self.at % 8) & 1
            self.at += 1
            self.age = 0
        self.selected, self.clock, self.copi = cs, sck, copi
        return self.bit if self.age >= self.delay else 1 - self.bit
