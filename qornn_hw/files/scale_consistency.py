"""Check that the scales of an Elman network follow from its integers.

With M the largest multiplier and s the shift, the requantizer converts the accumulator's unit:

    M / 2**s = s_acc / s_h          without table or pieces
    M / 2**s = s_acc / d_index      with them; entry q of a table of tanh is tanh(q d_index) / s_h

Bounded activations have a full scale of 1, so ``s_h = 2**(1-a)`` with a state bits.
"""

from qornn_hw.cells.elman_network import Activation, IntegerNetwork, Scales
from qornn_hw.errors import FormatError

__all__ = ["check_scales", "scales_for"]

# Scales may be rounded to a few digits; M is rounded to an integer.
_TOLERANCE = 0.01
_HALF_A_UNIT = 0.5
_SEE = "see docs/checkpoint.md, section 2"


def scales_for(
    activation: Activation,
    state_bits: int,
    multiplier: int,
    shift: int,
    *,
    index_step: float = 1.0,
    input_scale: float = 1.0,
    weight_step: float = 1.0,
) -> Scales:
    """Return scales that are consistent with a requantizer whose integers were chosen by hand.

    Args:
        activation: activation of the network.
        state_bits: width a of the state.
        multiplier: the largest M.
        shift: shift s.
        index_step: for tanh only: the distance d_index between neighbouring entries of the table.
        input_scale: scale s_x of the input.
        weight_step: quantization step d_V of the output weights.
    """
    state = 2.0 ** (1 - state_bits) if activation.function.bounded else 1.0
    unit = index_step if activation.shape.indexed else state
    return Scales(
        input=input_scale,
        state=state,
        accumulator=multiplier / 2.0**shift * unit,
        output=weight_step * state,
    )


def check_scales(network: IntegerNetwork) -> None:
    """Check the scales of a network against its integers.

    Raises:
        FormatError: the state's scale does not give a full scale of 1, the accumulator's scale does not
            follow from the multipliers, or the table is not tanh at the spacing that the scales give.
    """
    scales, bits = network.scales, network.state_bits
    full = 2.0 ** (bits - 1)
    # Both usual full scales are accepted, 2**(a-1) and 2**(a-1) - 1.
    if network.activation.function.bounded and abs(scales.state * full - 1) > 2 / full:
        raise FormatError(
            f"scales.state of {network.activation} must be 2**(1 - state_bits) = {1 / full:.6g}, "
            f"not {scales.state:.6g}; {_SEE}"
        )
    largest = int(network.multiplier.max())
    factor = largest / 2.0**network.shift
    if network.activation.shape.indexed:
        network.activation.function.check_parts(network, scales.accumulator / factor)
        return
    wanted = factor * scales.state
    if abs(scales.accumulator / wanted - 1) > max(_TOLERANCE, _HALF_A_UNIT / largest):
        raise FormatError(
            f"scales.accumulator must be scales.state * max(multiplier) / 2**shift = {wanted:.6g}, "
            f"not {scales.accumulator:.6g}; {_SEE}"
        )
