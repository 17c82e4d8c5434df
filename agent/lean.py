"""Imports without what nobody uses: a library's demand for a big module is met by an empty one.

Called by the two rooms that wrap a big library (traffic: pyroute2, operator: paho). On a board of 64 MB the HTTP client
that paho imports for proxies and the test framework that pyroute2 imports for its own tests cost more than the agent's
whole ledger. Must never stand in for a module that the library calls while it serves us: tests/daemon/test_imports.py
runs both against a kernel and a broker.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager


class Nothing(type):
    """A class that has every attribute, as another such class: enough for a module that is only imported."""

    def __getattr__(cls, name: str) -> Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(name, (), {})


class Absent(types.ModuleType):
    """An empty module, whose every name is a class that does nothing."""

    def __getattr__(self, name: str) -> Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(name, (), {})


@contextmanager
def without(*names: str) -> Iterator[None]:
    """What is imported inside sees an empty module in the place of each of `names` that is not there yet."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: Absent(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def leaf(name: str) -> types.ModuleType:
    """Import `package.module` without the package's `__init__`, unless something has already run that."""
    package = name.partition(".")[0]
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(f"{package} is not installed")
        bare = types.ModuleType(package)
        bare.__path__ = list(spec.submodule_search_locations)
        bare.__file__, bare.__spec__ = spec.origin, spec
        sys.modules[package] = bare
    return importlib.import_module(name)
