"""Faults planted in the source of a component, which its bench must see."""

import inspect
import sys

import pytest


def planted(component, old, new):
    """Return the class of a component whose module has ``new`` in place of ``old``, which it has once."""
    module = sys.modules[component.__module__]
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} must be once in {module.__name__}, not {source.count(old)} times"
    names = {"__name__": f"{module.__name__}_planted"}
    exec(compile(source.replace(old, new), module.__file__, "exec"), names)
    return names[component.__name__]


def must_fail(check, component, old, new):
    """Run ``check`` on the component, which must pass, and on the one with the fault, which must not."""
    check(component)
    with pytest.raises(AssertionError):
        check(planted(component, old, new))
