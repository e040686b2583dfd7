"""The loader against its model: good images are written, every kind of bad one is told apart."""

import zlib

import pytest
from amaranth.sim import Simulator

from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import HEADER_BYTES, LoadStatus, WeightFormat, check_image, encode_image
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.weight_loader import BYTE_CYCLES_MIN, WeightLoader
from qornn_hw.sim.stimuli import random_network


def design_of(elements):
    """Return a small design with its weights in SPRAM."""
    network = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    return compile_network(network, elements=elements, engine="dsp")


def load(form, images):
    """Load images one after the other; return statuses, whether each is loaded, and all that was written."""
    loader = WeightLoader(form)
    statuses, written, loaded = [], {}, []

    async def bench(ctx):
        for image in images:
            ctx.set(loader.start, 1)
            await ctx.tick()
            ctx.set(loader.start, 0)
            done = False
            for byte in image:
                assert not done
                ctx.set(loader.valid, 1)
                ctx.set(loader.data, byte)
                for cycle in range(BYTE_CYCLES_MIN):
                    await ctx.tick()
                    if cycle == 0:
                        ctx.set(loader.valid, 0)
                        ctx.set(loader.data, 0)
                    done |= bool(ctx.get(loader.done))
                    en = ctx.get(loader.write.en)
                    if en:
                        place = (ctx.get(loader.write.addr), en.bit_length() - 1, ctx.get(loader.write.high))
                        assert en == 1 << place[1]
                        written[place] = ctx.get(loader.write.data)
            for _ in range(BYTE_CYCLES_MIN):
                await ctx.tick()
                done |= bool(ctx.get(loader.done))
            assert done
            statuses.append(LoadStatus(ctx.get(loader.status)))
            loaded.append(bool(ctx.get(loader.loaded)))

    simulator = Simulator(loader)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return statuses, loaded, written


def changed(image, at, bit=0, mend=False):
    """Return an image with one bit inverted; with ``mend`` its checksum is right again."""
    spoilt = bytearray(image)
    spoilt[at] ^= 1 << bit
    if mend:
        spoilt[-4:] = zlib.crc32(spoilt[:-4]).to_bytes(4, "little")
    return bytes(spoilt)


@pytest.mark.parametrize(
    ("bits", "columns", "spram"), [(4, 4, 2), (4, 3, 3), (8, 2, 1), (1, 8, 4), (2, 8, 3), (8, 1, 2)]
)
def test_weights_of_a_chain_are_written_a_memory_an_element(bits, columns, spram):
    """Every word of the first elements is in its memory, and nothing of the others is."""
    network = random_network(seed=1, hidden_size=4 * columns, input_size=1, output_size=2, weight_bits=bits)
    design = compile_network(network, columns_per_element=columns, elements=5, spram_elements=spram)
    statuses, loaded, written = load(WeightFormat.of(design), [encode_image(design)])
    assert (statuses, loaded) == ([LoadStatus.LOADED], [True])
    assert {bank for _, bank, _ in written} == set(range(spram))
    for bank, image in enumerate(design.weight_banks):
        words = [written[at, bank, 1] << 8 | written[at, bank, 0] for at in range(image.depth)]
        assert words == list(image.words)


@pytest.mark.parametrize("elements", [1, 2, 3, 6, 7])
def test_a_good_image_is_written_word_for_word(elements):
    """Every weight of every element is in its byte of its word."""
    design = design_of(elements)
    form = LinkFormat.of(design).weights
    statuses, loaded, written = load(form, [encode_image(design)])
    assert (statuses, loaded) == ([LoadStatus.LOADED], [True])
    for bank, image in enumerate(design.weight_banks):
        for address in range(image.depth):
            for half, field in enumerate(image.fields):
                weight = image.value(address, field.name)
                assert written[address, bank, half] == weight & 0xFF
    # Nothing of the header and of the checksum.
    assert {address for address, _, _ in written} == set(range(form.weight_bytes >> 1 + form.bank_bits))


BAD = [
    (0, LoadStatus.BAD_MAGIC),
    (3, LoadStatus.BAD_MAGIC),
    (4, LoadStatus.BAD_VERSION),
    (5, LoadStatus.BAD_LENGTH),
    (8, LoadStatus.BAD_DESIGN),
    (15, LoadStatus.BAD_DESIGN),
]


def test_what_is_wrong_with_an_image_is_told_apart():
    """The first thing that is wrong is named, and nothing wrong counts as loaded."""
    design = design_of(3)
    form, good = WeightFormat.of(design), encode_image(design)
    images = [changed(good, at, mend=True) for at, _ in BAD]
    images += [changed(good, HEADER_BYTES + 7, 7), changed(good, -1), changed(good, -4, 3), good]
    statuses, loaded, _ = load(form, images)
    assert statuses == [status for _, status in BAD] + 3 * [LoadStatus.BAD_CHECKSUM] + [LoadStatus.LOADED]
    assert statuses == [check_image(form, image) for image in images]
    assert loaded == [False] * (len(images) - 1) + [True]


def test_a_bad_image_after_a_good_one_takes_the_weights_away():
    """What was loaded is overwritten, so it does not count any more."""
    design = design_of(2)
    good = encode_image(design)
    _, loaded, _ = load(WeightFormat.of(design), [good, changed(good, HEADER_BYTES)])
    assert loaded == [True, False]


def test_an_image_begins_with_what_it_is_for():
    """Magic, version, length and the design's digest, then the weights and the CRC-32 of zlib."""
    design = design_of(3)
    image = encode_image(design)
    length = 4 * design.schedule.placement.weight_depth
    assert image[:8] == b"QHWW\x01" + length.to_bytes(3, "little")
    assert image[8:16] == bytes.fromhex(design.digest)[:8]
    assert len(image) == HEADER_BYTES + length + 4
    assert int.from_bytes(image[-4:], "little") == zlib.crc32(image[:-4])
