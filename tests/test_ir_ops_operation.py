"""The checks that all operations share, and the judge of the operations' tests."""

import numpy as np
import pytest
from operations import judge, rounded

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops import OPERATIONS, Add, Assign, Multiply, Summand
from qornn_hw.ir.ops.operation import check_name, check_number, check_scale, integers, round_and_saturate


@pytest.mark.parametrize("name", ["h", "layer0.h", "layer_0.z1.new", "a" * 64])
def test_names(name):
    """Small letters, digits, underscores, joined by points."""
    check_name("name", name)


@pytest.mark.parametrize(
    "name", ["", "H", "0h", "a.", ".a", "a..b", "a-b", "a/b", "a b", "ä", "a" * 65, 3, None]
)
def test_other_names(name):
    """Everything else is no name, paths and capitals among it."""
    with pytest.raises(
        FormatError, match=r"^name must be small letters, digits and _ in parts joined by '\.'"
    ):
        check_name("name", name)


@pytest.mark.parametrize("value", [0, 5, True, 2.0, "2", None, np.int64(2)])
def test_numbers(value):
    """An integer from 1 to 4 is neither smaller, larger, a boolean, nor of another type."""
    with pytest.raises(FormatError, match=r"^n must be an integer from 1 to 4, not "):
        check_number("n", value, 1, 4)
    check_number("n", 4, 1, 4)


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "1"])
def test_scales(value):
    """A scale is positive and finite."""
    with pytest.raises(FormatError, match=r"^s must be positive and finite, not "):
        check_scale("s", value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5], "m must hold integers, not float64"),
        ([[1]], "m must have shape (1 or more,), not (1, 1)"),
        ([], "m must hold integers, not float64"),
        (np.zeros(0, int), "m must have shape (1 or more,), not (0,)"),
        ([1, 9], "m must lie in -8 to 7, not 9 at [1]"),
        (np.array([1, 2**63 + 1], dtype=np.uint64), "m must lie in -8 to 7, not 9223372036854775809 at [1]"),
    ],
)
def test_arrays(values, message):
    """An array of another type, shape or range is refused, and the first wrong entry named."""
    with pytest.raises(FormatError) as error:
        integers("m", values, (None,), -8, 7)
    assert str(error.value) == message


def test_arrays_are_kept_as_copies():
    """A good array becomes int64, read-only, and no view of the caller's."""
    mine = np.array([1, 2], dtype=np.int64)
    kept = integers("m", mine, (2,), 0, 9)
    mine[0] = 5
    assert kept.tolist() == [1, 2] and kept.dtype == np.int64 and not kept.flags.writeable


@pytest.mark.parametrize("rounding", list(Rounding))
def test_rounding_is_that_of_fractions(rounding):
    """The rule by addition and shift is rounding to the nearest, ties as said, for all small values."""
    form = IntFormat(6, signed=True)
    values = np.arange(-300, 301)
    for shift in range(5):
        wanted = [rounded(int(v), shift, rounding) for v in values]
        assert [round_shift(int(v), shift, rounding) for v in values] == wanted
        saturated = round_and_saturate(values.copy(), shift, rounding, form)
        assert saturated.tolist() == [min(max(v, -32), 31) for v in wanted]


def test_operands_of_other_sizes():
    """Operands of different sizes are refused by name."""
    op = Multiply("p", "a", "b", 0, IntFormat(8, signed=True))
    with pytest.raises(FormatError, match=r"^p: b must have 3 entries, not 4$"):
        op.size(3, 4)


def test_registry():
    """Ten operations, each under its own name."""
    assert len(OPERATIONS) == 10
    assert all(kind.op == name for name, kind in OPERATIONS.items())


def test_assign():
    """An assignment gives its operand as it is."""
    op = Assign("h", "new")
    value = np.array([[1, -2]])
    assert op.operands == ("new",) and op.size(2) == 2
    assert op.evaluate(value) is value and op.interval(Interval.of(-2, 1)).least == -2
    with pytest.raises(FormatError, match=r"^h: value must be small letters"):
        Assign("h", "New")


class Wrong(Add):
    """An addition one of whose methods is wrong."""

    fault: str = ""

    def evaluate(self, *operands):
        """Truncate instead of rounding, or write to an operand."""
        if self.fault == "writes":
            operands[0][:] += 0
            operands[0][0, 0] += 1
        return super().evaluate(*operands) - (self.fault == "formula")

    def prepare(self, *operands):
        """Be another function."""
        return lambda *values: super(Wrong, self).evaluate(*values) + (self.fault == "prepared")

    def interval(self, *operands):
        """Be too narrow by one."""
        found = super().interval(*operands)
        narrow = int(self.fault == "narrow")
        return Interval(found.low, found.high - narrow)


@pytest.mark.parametrize("fault", ["", "formula", "writes", "prepared", "narrow"])
def test_the_judge_sees_faults(fault):
    """A wrong formula, a wrong fast path, a changed operand and a narrow interval fail."""
    op = Wrong("s", (Summand("a"), Summand("b", 1)), IntFormat(12, signed=True), shift=1)
    object.__setattr__(op, "fault", fault)
    arguments = (op, lambda i, a, b: rounded(a + 2 * b, 1), [(-8, 7), (0, 5)], 2)
    if not fault:
        judge(*arguments, exact=True)
        return
    with pytest.raises(AssertionError):
        judge(*arguments)
