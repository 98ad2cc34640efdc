"""Makes public classes and functions report the package that exports them."""

from collections.abc import Iterable, Mapping
from types import FunctionType


def set_public_module(package: str, names: Iterable[str], namespace: Mapping[str, object]) -> None:
    """Set `__module__` of what a package exports from its private modules.

    Pickles, reprs and documentation then name the public path, and private modules can move.

    Args:
        package: The public package, `__name__` of the caller.
        names: What it exports, `__all__` of the caller.
        namespace: Where the names are bound, `globals()` of the caller.
    """
    for name in names:
        exported = namespace[name]
        if isinstance(exported, type | FunctionType) and "._" in exported.__module__:
            exported.__module__ = package
