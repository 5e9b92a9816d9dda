"""Arguments without their units: quantities of astropy, unyt, pint and their like are converted to plain numbers, or refused.

None of these packages is imported: what has a unit shows it by its attributes.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from ._errors import InputError


def unit_of(value: Any) -> Any:
    """Returns the unit of a value, None if it has none."""
    unit = getattr(value, "unit", None)
    return getattr(value, "units", None) if unit is None else unit


def plain(name: str, value: Any, unit: str) -> Any:
    """Returns a value as plain numbers in ``unit`` ("" for none), and what has no unit as it is.

    Raises
    ------
    InputError
        The unit is another one, or the numbers can't be had without loss.
    """
    if isinstance(value, (list, tuple)):
        return [plain(f"{name}[{k}]", one, unit) for k, one in enumerate(value)] if _has_unit(value) else value
    if is_nddata(value):
        raise InputError(f"{name} is of type {type(value).__name__}: give Preproc the whole, or here its numbers")
    if hasattr(value, "unmasked"):
        raise InputError(f"{name} is masked: fill it, and give masked pixels ivar = 0")
    found = unit_of(value)
    if found is None:
        return value
    try:
        if hasattr(value, "to_value"):
            return value.to_value(unit)
        if hasattr(value, "m_as"):
            return value.m_as(unit or "dimensionless")
        if hasattr(value, "quantity"):
            # A column of an astropy table.
            return value.quantity.to_value(unit)
    except Exception as error:
        raise _refused(name, found, unit) from error
    if str(found).strip().lower() == unit.lower():
        return value
    raise _refused(name, found, unit)


def number(name: str, value: Any, unit: str) -> float:
    """Returns one number in ``unit``, converted where it has a unit."""
    value = plain(name, value, unit)
    try:
        if isinstance(value, (str, bytes)) or np.asarray(value).dtype.kind in "mM":
            raise TypeError
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {value!r}: give a number{f' in {unit}' if unit else ''}") from error


def wavelengths(name: str, value: Any, names: str) -> Tuple[float, ...]:
    """Returns a range of wavelengths in Angstrom: as many numbers as there are ``names``."""
    words: Any = value.split(",") if isinstance(value, str) else plain(name, value, "Angstrom")
    try:
        if not isinstance(value, str) and np.asarray(words).dtype.kind not in "fiu":
            raise TypeError
        numbers = tuple(float(word) for word in words)
        if len(numbers) != len(names.split(",")):
            raise ValueError
        return numbers
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {value!r}: give ({names}) in Angstrom") from error


def is_table(value: Any) -> bool:
    """Whether wavelengths have two axes: those of the bins of every fibre, in place of a range."""
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and getattr(value[0], "ndim", 0 if not isinstance(value[0], (list, tuple)) else 1) == 1
    return getattr(value, "ndim", 0) == 2


def is_nddata(value: Any) -> bool:
    """Whether a value is an NDData or CCDData of astropy, or alike."""
    return all(hasattr(value, attribute) for attribute in ("data", "uncertainty", "mask", "unit"))


def _has_unit(values: Any) -> bool:
    return any(_has_unit(v) if isinstance(v, (list, tuple)) else unit_of(v) is not None for v in values)


def _refused(name: str, found: Any, unit: str) -> InputError:
    gain = " (adu times the gain)" if unit == "electron" else ""
    return InputError(f"{name} has the unit {str(found) or 'one'}: give {f'{unit}{gain}' if unit else 'plain numbers'}")
