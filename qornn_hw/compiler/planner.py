"""Chooses the engine and its schedule for a network and a device."""

from dataclasses import replace

from qornn_hw.compiler.design import Design, compile_schedule
from qornn_hw.compiler.engine import Engine
from qornn_hw.compiler.engines import engine_named, engines
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.errors import CapacityError, FormatError

__all__ = ["considered", "estimate_design", "plan"]


def plan(request: Request) -> Design:
    """Return the design with the fewest cycles a step that fits.

    With ``request.engine`` the best of that engine. Without, the best of the first engine in the list of
    engines that can compute the network, if its weights are part of the bitstream. Where it has none, or one
    whose weights are loaded after start-up, the next engine is looked at, and the one with fewer cycles is
    taken; of equals the later. Engines that are not chosen unasked are looked at only where no other engine
    can compute the network.

    Raises:
        CapacityError: nothing fits, or the device lacks what the engine needs; says what would fit. Without
            ``request.engine`` the error is that of the first engine.
        FormatError: the engine cannot compute the network.
    """
    if request.lanes is not None and request.lanes < 1:
        raise FormatError(f"lanes must be at least 1, not {request.lanes!r}")
    if request.engine is not None:
        engine = engine_named(request.engine)
        if (reason := engine.refuses(request.network, request.family)) is not None:
            raise CapacityError(reason)
        return _best_of(engine, request) or _refuse(engine, request)
    considered = _able(request)
    best: Design | None = None
    wrong: FormatError | None = None
    for engine in considered:
        try:
            found = _best_of(engine, request)
        except FormatError as error:
            wrong = wrong or error
            continue
        if found is not None and (best is None or _cycles(found, request) <= _cycles(best, request)):
            best = found
        if best is not None and not best.weight_banks:
            break
    if best is None and wrong is not None and not considered[0].chosen_unasked:
        raise wrong
    return best or _refuse(considered[0], request)


def _best_of(engine: Engine, request: Request) -> Design | None:
    """Return the best design of an engine that fits, None where none does.

    Raises:
        FormatError: what fits cannot be compiled, or the engine has no schedule.
    """
    limit = request.limit(engine.fill_limit(request.family))
    wrong: FormatError | None = None
    for schedule in engine.plans(request):
        if engine.cost(schedule, request.family).excess(limit):
            continue
        try:
            return compile_schedule(schedule)
        except FormatError as error:
            wrong = error
    if wrong is not None:
        raise wrong
    return None


def _able(request: Request) -> list[Engine]:
    """Return the engines that can compute the network: those that are chosen unasked, else the others.

    Raises:
        CapacityError: none can; says why the last one cannot.
    """
    reasons = [(engine, engine.refuses(request.network, request.family)) for engine in engines()]
    able = [engine for engine, reason in reasons if reason is None]
    if not able:
        raise CapacityError(str(reasons[-1][1]))
    return [engine for engine in able if engine.chosen_unasked] or able


def _refuse(engine: Engine, request: Request) -> Design:
    raise CapacityError(engine.too_large(request))


def _cycles(design: Design, request: Request) -> int:
    return max(design.schedule.cycles_per_step, request.cycles)


def estimate_design(design: Design, family: Family) -> Resources:
    """Return what the core of a design takes; ``bram`` counts what synthesis leaves of each memory."""
    blocks = design.engine.memory_blocks(design, family)
    return replace(design.engine.cost(design.schedule, family), bram=sum(blocks.values()))


def considered(request: Request, design: Design) -> list[Considered]:
    """Return the schedules that stood beside a design when it was chosen, engine by engine."""
    found: list[Considered] = []
    for engine in engines():
        chosen = engine is design.engine
        able = engine.refuses(request.network, request.family) is None
        if able and (chosen or engine.chosen_unasked):
            found += engine.considered(request, chosen=chosen)
    return found
