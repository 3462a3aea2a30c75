"""One signature and one text for the options that several importers share.

Options are the fields of a record, such as `crbm_lite.importers.arrays.ArrayOptions`. A function
that makes the record of its ``**options`` takes over the fields: `help`, completion and the API
pages show them with their defaults and descriptions.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

__all__ = ["takes_options_of"]

_PARAMETERS = re.compile(r"(?<=Parameters\n----------\n).*?(?=\n\n\S|\Z)", re.DOTALL)


def takes_options_of(record: type, without: tuple[str, ...] = ()) -> Callable:
    '''Decorate a function whose ``**options`` are the fields of a record.

    Parameters
    ----------
    record : type
        A dataclass with a numpydoc docstring.
    without : tuple of str
        Fields that the function does not take.

    Returns
    -------
    callable
        A decorator, which adds the fields to the signature and to the docstring of the function
        (or record) and returns the same function.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(kw_only=True)
    ... class Scaling:
    ...     """Scaling.
    ...
    ...     Parameters
    ...     ----------
    ...     by : float
    ...         The factor.
    ...     """
    ...     by: float = 1.0
    >>> @takes_options_of(Scaling)
    ... def scale(x, **options):
    ...     """Scale.
    ...
    ...     Parameters
    ...     ----------
    ...     x : float
    ...     """
    ...     return x * Scaling(**options).by
    >>> inspect.signature(scale), scale(2.0, by=3.0)
    (<Signature (x, *, by: 'float' = 1.0)>, 6.0)
    '''

    def decorate(function: Callable) -> Callable:
        own = inspect.signature(function)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        left = {*own.parameters, *without}
        fields = inspect.signature(record).parameters
        parameters += [p for name, p in fields.items() if name not in left]
        function.__signature__ = own.replace(parameters=parameters)
        function.__doc__ = _described(function, record, {p.name for p in parameters})
        return function

    return decorate


def _described(function: Callable, record: type, names: set[str]) -> str | None:
    """Add what the record says on `names` to what the function says on its own parameters."""
    doc, more = inspect.getdoc(function), inspect.getdoc(record)
    if not doc or not more:  # python -OO
        return doc
    section = _PARAMETERS.search(doc)
    own = {name for entry in _entries(section[0]) for name in _names(entry)}
    entries = _entries(_PARAMETERS.search(more)[0])
    added = [entry for entry in entries if names.intersection(_names(entry)) - own]
    return doc[: section.end()] + "".join(f"\n{e}" for e in added) + doc[section.end() :]


def _entries(section: str) -> list[str]:
    return re.split(r"\n(?=\S)", section)


def _names(entry: str) -> list[str]:
    return re.split(r",\s*", re.split(r" : |\n", entry)[0])
