"""Operations are taken for an Elman network if, and only if, they are one."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hand_cells import CELLS
from hand_networks import make_stack
from networks import make_network
from test_cells_elman import random_network

from qornn_hw.cells.elman import ACCUMULATOR, LOGITS, STATE, lower
from qornn_hw.cells.elman_network import Activation, IntegerNetwork
from qornn_hw.cells.elman_recognition import recognized
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Group, Layer
from qornn_hw.ir.ops import Answer, Factor, Requantize, Term


@pytest.mark.parametrize("seed", range(60))
def test_there_and_back(seed):
    """A lowered network is recognized, with every field that it had."""
    network = random_network(seed)
    found = recognized(lower(network))
    for f in fields(IntegerNetwork):
        if f.name == "activation":
            same = {Activation.IDENTITY, Activation.HARDTANH}
            assert {found.activation, network.activation} <= same or found.activation is network.activation
        else:
            np.testing.assert_array_equal(getattr(found, f.name), getattr(network, f.name))


def test_hardtanh_by_its_scale():
    """A full scale of 1 makes an identity a hard tanh."""
    for activation in (Activation.IDENTITY, Activation.HARDTANH):
        assert recognized(lower(make_network(activation=activation))).activation is activation


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_other_cells(cell):
    """No other cell is taken for one."""
    assert recognized(make_stack(0, [cell]).network) is None


def changed(network, row=None, tail=None, states=None, **changes):
    """Return a network with parts of its only group changed."""
    (layer,) = network.layers
    (group,) = layer.groups
    new = Group((row or group.rows[0],), group.tail if tail is None else tail)
    return replace(network, layers=(Layer(states or layer.states, (new,)),), **changes)


def spoiled():
    """Yield Elman networks with one thing changed that no Elman network may have."""
    for activation in Activation:
        net = lower(make_network(activation=activation, **activation.function.parts(4, 0.5, 8)))
        row, tail, readout = net.layers[0].groups[0].rows[0], net.layers[0].groups[0].tail, net.readout
        own, driven = row.terms
        yield changed(net, replace(row, terms=(replace(own, shift=1), driven)))
        yield changed(net, replace(row, terms=(own, driven, own)))
        yield changed(net, replace(row, terms=(own,)))
        at = next(k for k, op in enumerate(tail) if isinstance(op, Requantize))
        op = tail[at]
        for wrong in (
            replace(op, bias=np.array([1, 0, 0])),
            replace(op, factors=(*op.factors, Factor(ACCUMULATOR, np.array([1, 1, 1])))),
            replace(op, factors=(Factor(ACCUMULATOR, np.array([1, 0, 3])),)),
            replace(op, format=IntFormat(op.format.bits - 1, signed=True)),
        ):
            yield changed(net, tail=(*tail[:at], wrong, *tail[at + 1 :]))
        yield replace(net, scales={LOGITS: 1.0})
        yield replace(net, readout=replace(readout, logits=replace(readout.logits, terms=(
            replace(readout.logits.terms[0], shift=1),))))  # fmt: skip
        wide = replace(net.layers[0].states[0], format=IntFormat(17, signed=True))
        yield changed(net, states=(wide,))
    net = lower(make_network(activation=Activation.MODRELU))
    yield changed(net, replace(net.layers[0].groups[0].rows[0], bias=np.array([0, 0, 1])))
    net = lower(make_network(p=1))
    yield replace(net, readout=replace(net.readout, answer=Answer("c", LOGITS, net.readout.answer.kind, 0)))


def test_spoiled_networks():
    """Every change that leaves the form is seen."""
    count = 0
    for network in spoiled():
        count += 1
        assert recognized(network) is None, count
    assert count == 10 * len(Activation) + 2


def test_scale_of_the_accumulator_follows():
    """It may be left out but for tanh."""
    network = make_network()
    operations = lower(network)
    some = {name: scale for name, scale in operations.scales.items() if name != ACCUMULATOR}
    found = recognized(replace(operations, scales=some))
    assert found.scales.accumulator == pytest.approx(network.scales.accumulator, rel=1e-12)
    tanh = lower(make_network(activation=Activation.TANH, table=np.arange(-8, 8)))
    assert recognized(replace(tanh, scales={STATE: 1 / 128, LOGITS: 1.0})) is None


def test_other_order_and_names():
    """Neither the order of the terms nor the names matter."""
    net = lower(make_network())
    row = net.layers[0].groups[0].rows[0]
    found = recognized(changed(net, replace(row, terms=row.terms[::-1])))
    np.testing.assert_array_equal(found.recurrent_weight, make_network().recurrent_weight)
    assert isinstance(row.terms[0], Term)
