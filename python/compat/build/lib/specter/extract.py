"""Extraction."""

from . import absent

ex2d = absent("specter.extract.ex2d")
