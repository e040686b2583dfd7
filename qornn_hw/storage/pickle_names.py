"""Names in a pickle: the globals that it imports, its strings, its tensors. Nothing is executed."""

import io
import pickletools
from dataclasses import dataclass, field

__all__ = ["PickleNames", "pickle_names"]

_MOST_INSTRUCTIONS = 300_000
_REBUILD = "torch._utils._rebuild_"
_STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


@dataclass
class PickleNames:
    """The names in a pickle.

    Attributes:
        globals: classes and functions that loading would import, as "module.name", each once, in order.
        strings: all strings.
        tensors: dictionary keys whose value is a torch tensor, in order.
    """

    globals: list[str] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)
    tensors: list[str] = field(default_factory=list)


def pickle_names(data: bytes) -> PickleNames:
    """Return the names in a pickle, up to its end or to the first invalid instruction.

    Args:
        data: the pickle; it may be truncated.
    """
    names = PickleNames()
    # The strings and globals on top of the stack, and the memo, as (kind, text).
    top: list[tuple[str, str]] = []
    memo: dict[int, tuple[str, str]] = {}
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if code.name == "STOP" or count == _MOST_INSTRUCTIONS:
                break
            if code.name in _PUTS or code.name == "MEMOIZE":
                if top:
                    memo[len(memo) if code.name == "MEMOIZE" else int(str(argument))] = top[-1]
                elif code.name == "MEMOIZE":
                    memo[len(memo)] = ("other", "")
                continue
            found = _value(code.name, argument, top, memo)
            if found is None:
                top = []
                continue
            if found[0] == "string":
                names.strings.add(found[1])
            elif found[0] == "global":
                if found[1] not in names.globals:
                    names.globals.append(found[1])
                if found[1].startswith(_REBUILD) and top and top[-1][0] == "string":
                    names.tensors.append(top[-1][1])
            top.append(found)
    # ``genops`` raises exceptions of many classes for invalid or truncated data.
    except Exception:
        return names
    return names


def _value(
    code: str, argument: object, top: list[tuple[str, str]], memo: dict[int, tuple[str, str]]
) -> tuple[str, str] | None:
    """Return (kind, text) of the string or global that an instruction pushes; None if it pushes neither."""
    if code in _STRINGS:
        return "string", str(argument)
    if code == "GLOBAL":
        return "global", str(argument).replace(" ", ".", 1)
    if code == "STACK_GLOBAL" and len(top) >= 2 and top[-1][0] == top[-2][0] == "string":
        name, module = top.pop(), top.pop()
        return "global", f"{module[1]}.{name[1]}"
    if code in _GETS:
        return memo.get(int(str(argument)))
    return None
