"""Set the public module of exported classes and functions."""

from collections.abc import Iterable, Mapping
from types import FunctionType


def set_public_module(package: str, names: Iterable[str], namespace: Mapping[str, object]) -> None:
    """Set `__module__` of the classes and functions that a package exports from private modules.

    Pickles, reprs and documentation then use the public path, and private modules can move.

    Args:
        package: The public package, `__name__` of the caller.
        names: The exported names, `__all__` of the caller.
        namespace: The namespace of the caller, `globals()`.
    """
    for name in names:
        exported = namespace[name]
        if isinstance(exported, type | FunctionType) and "._" in exported.__module__:
            exported.__module__ = package
            # Python 3.13 drops the line number itself, but not if the metaclass is written in
            # Python: inspect.getsource would then return unrelated lines of the package.
            if "__firstlineno__" in vars(exported):
                delattr(exported, "__firstlineno__")
