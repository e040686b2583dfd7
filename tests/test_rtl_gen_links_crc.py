"""The CRC of a frame against ``binascii``."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.link.protocol import crc16
from qornn_hw.rtl_gen.links.crc import FrameCrc


def crc_of(sequences):
    """Return the CRC of each sequence of bytes, the bytes 9 cycles apart."""
    dut, found = FrameCrc(), []

    async def bench(ctx):
        for data in sequences:
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for byte in data:
                ctx.set(dut.valid, 1)
                await ctx.tick()
                ctx.set(dut.valid, 0)
                for _ in range(8):
                    assert ctx.get(dut.busy)
                    ctx.set(dut.bit, byte >> ctx.get(dut.at) & 1)
                    await ctx.tick()
                assert not ctx.get(dut.busy)
            found.append(ctx.get(dut.crc))

    run_bench(dut, bench)
    return found


def sequences(seed=1):
    """Return every single byte, the check string of CRC catalogues, and random bytes."""
    rng = random.Random(seed)
    return [*(bytes([b]) for b in range(256)), b"123456789", b"", rng.randbytes(40)]


def test_equals_binascii():
    """Every single byte and longer sequences give the CRC of the protocol, one after the other."""
    assert crc_of(sequences()) == [crc16(data) for data in sequences()]


def test_a_frame_with_its_crc_gives_zero():
    """Behind data and their own CRC the register is zero, and is not if one bit is wrong."""
    data = random.Random(2).randbytes(12)
    frame = data + crc16(data).to_bytes(2, "big")
    spoilt = [bytes([*frame[:i], frame[i] ^ 1 << i % 8, *frame[i + 1 :]]) for i in range(len(frame))]
    zero, *others = crc_of([frame, *spoilt])
    assert zero == 0 and all(others)


@pytest.mark.parametrize("polynomial", [0x8005, 0x1020, 0x9021])
def test_another_polynomial_is_noticed(monkeypatch, polynomial):
    """Planted fault: hardware with another polynomial fails the comparison."""
    monkeypatch.setattr("qornn_hw.rtl_gen.links.crc.CRC_POLYNOMIAL", polynomial)
    assert crc_of(sequences()) != [crc16(data) for data in sequences()]
