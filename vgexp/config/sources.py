"""Sources: what the entries of the registries are made of that are not vgexp's own.

An entry from outside has no number that its author raises at every change. Its source stands in the identity of the
runs that use it instead, so that an edited entry makes other runs.
"""

import functools
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

Seen = dict[int, tuple[int, Any]]
"""By id: the place where a value was described, and the value, so that no other takes its id meanwhile."""

LIBRARIES = frozenset({"numpy", "torch", "vgexp", *sys.stdlib_module_names}) - {"__main__"}
"""Packages whose functions are known by their names: provenance has the versions."""
INSTALLED = tuple(sysconfig.get_path(name) for name in ("purelib", "platlib"))
"""Where installed packages lie."""
_OWN: dict[int, Any] = {}
_DIGESTS: dict[int, tuple[Any, str]] = {}


def own(entries: Mapping[str, Any]) -> None:
    """Remembers the entries of a registry as vgexp's own: a change of theirs counts when their `version` is raised."""
    _OWN.update({id(entry): entry for entry in entries.values()})


def source(entry: Any) -> str:
    """12 hex digits of what an entry from outside is made of; empty for vgexp's own.

    That is its values (numbers, tensors, what functions enclose), the files of the modules that define its functions
    and classes, and the files that those import, unless they are installed packages of others. Of functions that lie
    in no file or in the program itself (a notebook, a script) it is their code and the globals that they use, not the
    whole program. Not covered are files that an entry reads, and what it imports while it runs: its author raises
    `version`. Files are read when an entry is first asked for, and once in a process.
    """
    if id(entry) in _OWN:
        return ""
    if id(entry) not in _DIGESTS:
        content = "\n".join(_described(entry, {}))
        _DIGESTS[id(entry)] = entry, hashlib.sha256(content.encode()).hexdigest()[:12]
    return _DIGESTS[id(entry)][1]


def _described(value: Any, seen: Seen) -> Iterator[str]:
    """Lines that are equal in every process that has the same source."""
    if value is None or isinstance(value, str | bytes | int | float | complex):
        yield repr(value)
        return
    if id(value) in seen:
        yield f"as {seen[id(value)][0]}"
        return
    seen[id(value)] = len(seen), value
    if isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, type):
        for kind in value.__mro__:
            yield f"{kind.__module__}.{kind.__qualname__}"
            yield from _defined(kind, kind.__module__, seen)
    elif isinstance(value, ModuleType):
        yield value.__name__
        yield from _files(value, seen)
    elif isinstance(value, CodeType):
        yield f"{value.co_code.hex()} {value.co_names}"
        yield from _described(value.co_consts, seen)
    elif isinstance(value, Mapping):
        for key in value:
            yield from _described([key, value[key]], seen)
    elif isinstance(value, frozenset | set):
        yield from sorted("\n".join(_described(item, seen)) for item in value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _described(item, seen)
    elif isinstance(value, functools.partial):
        yield from _described([value.func, value.args, value.keywords], seen)
    elif isinstance(value, MethodType):
        yield from _described([value.__func__, value.__self__], seen)
    elif isinstance(value, BuiltinFunctionType):
        yield f"{value.__module__}.{value.__qualname__}"
    elif hasattr(value, "__wrapped__"):
        yield from _described(value.__wrapped__, seen)
    elif hasattr(value, "detach") or hasattr(value, "tobytes"):
        array = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        yield f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    elif is_dataclass(value):
        held = {item.name: getattr(value, item.name) for item in fields(value)}
        yield from _described([type(value), held], seen)
    elif hasattr(value, "__dict__"):
        yield from _described([type(value), vars(value)], seen)
    else:
        yield f"{type(value)} {'' if ' at 0x' in repr(value) else repr(value)}"


def _function(function: FunctionType, seen: Seen) -> Iterator[str]:
    yield f"{function.__module__}.{function.__qualname__}"
    yield from _described([function.__defaults__, function.__kwdefaults__], seen)
    for cell in function.__closure__ or ():
        try:
            yield from _described(cell.cell_contents, seen)
        except ValueError:  # nothing has been put there yet
            continue
    yield from _defined(function, function.__module__, seen)


def _defined(thing: FunctionType | type, module: str, seen: Seen) -> Iterator[str]:
    """The module's files, or the code where it is the program itself."""
    named = "<" not in thing.__qualname__
    if _package(module) in LIBRARIES and named:
        return
    if _package(module) not in LIBRARIES and module != "__main__" and _file(sys.modules.get(module)):
        yield from _described(sys.modules[module], seen)
    elif isinstance(thing, FunctionType):
        yield from _described(thing.__code__, seen)
        used = {name: thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__}
        yield from _described(used, seen)
    else:
        yield from _described({name: item for name, item in vars(thing).items() if _is_content(name)}, seen)


def _files(module: ModuleType, seen: Seen) -> Iterator[str]:
    """The file of a module, and of those that it imports."""
    package, file = _package(module.__name__), _file(module)
    if package in LIBRARIES or file is None:
        return
    yield hashlib.sha256(file.read_bytes()).hexdigest()
    imported = {getattr(item, "__module__", None) for item in vars(module).values()}
    imported |= {item.__name__ for item in vars(module).values() if isinstance(item, ModuleType)}
    for name in sorted(name for name in imported if isinstance(name, str) and name != "__main__"):
        other = _file(sys.modules.get(name))
        if other is not None and (_package(name) == package or not str(other).startswith(INSTALLED)):
            yield from _described(sys.modules[name], seen)


def _file(module: ModuleType | None) -> Path | None:
    """The file of a module, where it has one that can be read."""
    name = getattr(module, "__file__", None)
    return Path(name) if name and Path(name).is_file() else None


def _names(code: CodeType) -> Iterator[str]:
    """The names that code and the functions in it use, in order."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_content(name: str) -> bool:
    return name not in {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__"}


def _package(module: str) -> str:
    return module.partition(".")[0]
