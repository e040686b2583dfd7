"""Words on the streams of a core, which follow from the network alone."""

from qornn_hw.cells.elman_network import IntegerNetwork

__all__ = ["answer_words", "input_words_per_step"]


def input_words_per_step(network: IntegerNetwork) -> int:
    """Return the words on the input stream for a time step: one an input, or the index of the symbol."""
    return network.input_size if network.vector_input else 1


def answer_words(network: IntegerNetwork) -> int:
    """Return the words on the output stream for an answer: logits, then the argmax, as the kind says."""
    kind = network.output_kind
    return (network.output_size if kind.has_logits else 0) + int(kind.has_argmax)
