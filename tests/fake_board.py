"""A board in a few lines of Python behind a host's transport, which answers with the integer model."""

import numpy as np

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.compiler.weight_image import CRC_BYTES as IMAGE_CRC_BYTES
from qornn_hw.compiler.weight_image import HEADER_BYTES, check_image
from qornn_hw.link.protocol import (
    CRC_BYTES,
    SYNC,
    BoardFlag,
    Command,
    FaultCode,
    Identity,
    LinkFormat,
    Status,
    StepFlag,
    crc16,
    encode_acknowledge,
    encode_answer,
    encode_fault,
    encode_identity,
    encode_loaded,
    encode_reset_done,
    encode_status,
)


class FakeBoard:
    """A transport with a board behind it.

    ``mend`` changes the replies: it takes the bytes of one reply and returns what the host gets.
    """

    name = "fake"

    def __init__(self, design, *, mend=lambda reply: reply, loaded=True, identity=None):
        self.design = design
        self.form = LinkFormat.of(design)
        self.mend = mend
        self.identity = identity or self.form.identity
        self.loaded = loaded
        self.closed = False
        self.resets = 0
        self.most_unanswered = 0
        self._received = bytearray()
        self._replies = bytearray()
        self._unanswered = 0
        self._model = IntegerModel(design.network)
        self._reset()

    def _reset(self):
        self._steps = self._answers = 0
        self._state = self._model.initial_state(1)
        self._faulty = False
        self._fresh = True
        self._unanswered = 0

    def power_up(self):
        """Lose everything, as without power for a moment: as after a RESET, but nobody is told."""
        self._received.clear()
        self._replies.clear()
        self._reset()

    def close(self):
        """Close."""
        self.closed = True

    def read(self, seconds):
        """Return every reply so far."""
        data, self._replies = bytes(self._replies), bytearray()
        self._unanswered = 0
        return data

    def write(self, data):
        """Take requests."""
        self._received += data
        while self._received:
            if self._received[0] != SYNC:
                del self._received[0]
                continue
            if len(self._received) < 2:
                return
            step = self._received[1] & 0xF8 == Command.STEP
            size = self.form.step_frame_bytes if step else 3 + CRC_BYTES
            if len(self._received) < size:
                return
            frame = bytes(self._received[:size])
            if frame[1] == Command.LOAD:
                size += HEADER_BYTES + self.form.weights.weight_bytes + IMAGE_CRC_BYTES
                if len(self._received) < size:
                    return
            rest = bytes(self._received[len(frame) : size])
            del self._received[:size]
            self._obey(frame, rest)

    def _reply(self, frame):
        self._replies += self.mend(frame)

    def _fault(self, code):
        self._faulty = True
        self._reply(encode_fault(code, self._answers % 256))

    def _obey(self, frame, rest):
        command, number = frame[1], frame[2]
        if crc16(frame[1:-CRC_BYTES]) != int.from_bytes(frame[-CRC_BYTES:], "big"):
            self._fault(FaultCode.BAD_CRC)
        elif command in (Command.RESET, Command.LOAD):
            self._reset()
            self.resets += 1
            self._reply(encode_reset_done(number))
            if command == Command.LOAD:
                status = check_image(self.form.weights, rest)
                self.loaded = status == 0
                self._reply(encode_loaded(status))
        elif command in (Command.IDENTIFY, Command.STATUS):
            flags = BoardFlag.LOADED * self.loaded | BoardFlag.FAULTY * self._faulty
            if command == Command.IDENTIFY:
                facts = {k: v for k, v in vars(self.identity).items() if k not in ("flags", "number")}
                self._reply(
                    encode_identity(Identity(**facts, flags=BoardFlag(flags), number=self._answers % 256))
                )
            else:
                self._reply(
                    encode_status(Status(self._steps % 256, {}, BoardFlag(flags), self._answers % 256))
                )
        elif not self.loaded:
            self._fault(FaultCode.NOT_LOADED)
        elif self._faulty or number != self._steps % 256 or (self._fresh and not command & StepFlag.FIRST):
            self._fault(FaultCode.OUT_OF_SEQUENCE)
        else:
            self._step(StepFlag(command & 7), frame[3:-CRC_BYTES])

    def _step(self, flags, payload):
        self._fresh = False
        self._steps += 1
        self._unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self._unanswered)
        size, word = self.form.word_bytes, self.form.word_format
        words = [
            int.from_bytes(payload[i : i + size], "little", signed=word.signed)
            for i in range(0, len(payload), size)
        ]
        if flags & StepFlag.FIRST:
            self._state = self._model.initial_state(1)
        x = np.array([words] if self.design.network.vector_input else words)
        self._state = self._model.step(self._state, x).state
        if flags & StepFlag.ACKNOWLEDGE:
            self._reply(encode_acknowledge(self._answers % 256))
            self._unanswered = 0
        last = bool(flags & StepFlag.LAST)
        if last or self.form.every_step:
            logits = self._model.logits(self._state)[0].tolist()
            kind = self.design.network.output_kind
            answers = (logits if kind.has_logits else []) + [int(np.argmax(logits))] * kind.has_argmax
            self._reply(encode_answer(self.form, answers, self._answers % 256, last=last))
            self._answers += 1
