"""Latencies of components that several engines use, in clock cycles."""

__all__ = ["HARD_OPERAND_BITS", "MODRELU_LATENCY", "PIECES_LATENCY", "requantizer_latency"]

# An input of the pipelined requantizer that is wider than this is cut in two halves, a hard multiplier each.
HARD_OPERAND_BITS = 16
# Zeroing and the bias of modrelu. The other activations are in the requantizer's saturation or its table.
MODRELU_LATENCY = 2
# Straight pieces behind the requantizer: piece, product, sum, result.
PIECES_LATENCY = 4


def requantizer_latency(value_bits: int, multiplier: int | None) -> int:
    """Return the cycles of :class:`qornn_hw.rtl_gen.requantizer.Requantizer`.

    It has registers in and behind the multiplier, and one behind the saturation. A value that is cut in two
    halves takes a cycle more to join them. A shared factor that is a power of two needs no multiplier.

    Args:
        value_bits: bits of the value.
        multiplier: the factor where all units share it, else None.

    >>> requantizer_latency(16, None), requantizer_latency(17, None), requantizer_latency(17, 64)
    (4, 5, 3)
    """
    if multiplier is not None and multiplier.bit_count() == 1:
        return 3
    return 5 if value_bits > HARD_OPERAND_BITS else 4
