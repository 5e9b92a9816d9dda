"""Progress for those who only ask to see it: tqdm's bar where that is installed, else a line on the standard error."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Union

from ._errors import InputError

Told = Optional[Callable[[int, int], Any]]


@contextmanager
def teller(progress: Union[Callable[[int, int], Any], bool, None]) -> Iterator[Told]:
    """Yields what is called with (done, total), None for nothing."""
    if progress is None or progress is False or callable(progress):
        yield None if progress is False else progress
    elif progress is not True:
        raise InputError(f"progress is {progress!r}: give True, or a callable of (done, total)")
    else:
        try:
            tqdm = importlib.import_module("tqdm.auto").tqdm
        except ImportError:
            yield _line
            return
        with tqdm(unit="bundle") as bar:

            def update(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield update


def _line(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} bundles" + ("\n" if done == total else ""))
    sys.stderr.flush()
