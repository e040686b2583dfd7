"""Words on the streams of a core, which follow from the network alone."""

from qornn_hw.cells.any_network import AnyNetwork, operations_of, ranges_of

__all__ = ["answer_bits", "answer_words", "class_meaning", "input_words_per_step"]


def input_words_per_step(network: AnyNetwork) -> int:
    """Return the words on the input stream for a time step: one an input, or the index of the symbol."""
    source = operations_of(network).input
    return 1 if source.one_hot else source.size


def answer_words(network: AnyNetwork) -> int:
    """Return the words on the output stream for an answer: logits, then the argmax, as the kind says."""
    operations = operations_of(network)
    kind = operations.readout.answer.kind
    return operations.output_size * kind.has_logits + int(kind.has_argmax)


def answer_bits(network: AnyNetwork) -> int:
    """Return the bits of a signed word on the output stream: of the widest logit or the largest index."""
    answer, ranges = operations_of(network).readout.answer, ranges_of(network)
    return max(
        ranges.bits(answer.logits) if answer.kind.has_logits else 1,
        ranges.bits(answer.name) if answer.kind.has_argmax else 1,
    )


def class_meaning(network: AnyNetwork) -> str:
    """Return what the word of the class on the output stream means, for people."""
    threshold = operations_of(network).readout.answer.threshold
    if threshold is None:
        return "the index of the largest logit"
    return f"the class: 1 where the logit is above {threshold}, else 0"
