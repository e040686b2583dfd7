"""Phases as numbers: rows, passes and addresses of the weights, against the placement."""

import pytest
from random_designs import draw

from qornn_hw.cells.elman_network import OutputMode

DRAWS = {seed: draw(seed) for seed in range(24)}


@pytest.mark.parametrize("design", DRAWS.values(), ids=DRAWS)
def test_rows_of_the_phases_are_the_rows_of_the_step(design):
    """The update has the hidden units, the answer the logits, one behind the other."""
    update, answer = design.schedule.phases
    net, p = design.network, design.schedule.placement
    assert (update.first_row, update.rows, answer.first_row) == (0, net.hidden_size, update.last_row + 1)
    assert answer.last_row == net.hidden_size + net.output_size - 1
    assert sum(phase.rows for phase in (update, answer) if phase.passes) == p.rows
    assert update.passes == p.passes and answer.passes in (0, p.passes)


@pytest.mark.parametrize("design", DRAWS.values(), ids=DRAWS)
def test_addresses_of_the_phases_are_those_of_the_weights(design):
    """Each row of each pass has an address of its own in element 0, where the placement has its weights."""
    p, found = design.schedule.placement, []
    for phase in design.schedule.phases:
        for q in range(phase.passes):
            for i in range(phase.rows):
                address = phase.weight_bases[q] + i
                assert p.weight_address(q * p.chain.elements, phase.first_row + i) == (0, address)
                found.append(address)
    assert len(set(found)) == len(found) == p.passes * p.rows
    assert max(found) < p.weight_depth


@pytest.mark.parametrize("design", DRAWS.values(), ids=DRAWS)
def test_periods_of_the_phases_add_up_to_a_step(design):
    """A step of one pass a phase takes its period, or the gap where that is longer."""
    s = design.schedule
    update, answer = s.phases
    assert update.period == s.timing.update_period and answer.period == s.timing.answer_period
    if s.network.output_mode is OutputMode.LAST_STEP:
        assert s.timing.row_cycles == (update.passes - 1) * update.period + max(
            update.period, s.timing.step_gap
        )
