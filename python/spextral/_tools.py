"""Pages, pictures, comparisons and whole nights, as the command line makes them."""

from __future__ import annotations

import contextlib
import html
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union, cast

from . import _spextral
from ._errors import Error, FileError, InputError
from ._frame import Path_, as_preproc, as_psf
from ._spectra import Frame
from ._types import Truth


def read_frame(path: Path_) -> Frame:
    """Reads a frame file, of spextral or of desispec.

    Its ``summary``, ``pixmask_fraction`` and ``modelimage`` are None: a file does not have them. The cards of its
    extraction are in ``header``.

    Parameters
    ----------
    path : str or path
        ``.fits`` or ``.fits.gz``.
    """
    return Frame._of(_spextral.read_frame(path))


class _Shown:
    """Something made for the eye, which can be written."""

    #: Endings of its files.
    _suffixes: Tuple[str, ...]

    def __init__(self, content: bytes) -> None:
        self._content = content

    def write(self, path: Path_, *, overwrite: bool = False) -> None:
        """Writes the file atomically."""
        path = Path(path)
        if path.suffix.lower() not in self._suffixes:
            kind, endings = self._suffixes[0][1:].upper(), " or ".join(self._suffixes)
            raise InputError(f"{path}: this is {kind}; give a name that ends with {endings}")
        if path.exists() and not overwrite:
            raise FileError(f"{path} exists already: choose another name, or replace it with overwrite=True")
        new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            try:
                # Unlike a temporary file's its mode is that of any other.
                with open(new, "xb") as file:
                    file.write(self._content)
                os.replace(new, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    new.unlink()
                raise
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from error


class Report(_Shown):
    """A page about a frame, which a notebook shows."""

    _suffixes = (".html", ".htm")

    #: Warnings about the frame, a sentence each, the most serious first.
    warnings: List[str]

    def __init__(self, content: bytes, warnings: Sequence[Tuple[bool, str]]) -> None:
        super().__init__(content)
        self.warnings = [f"{'warning' if is_bad else 'note'}: {sentence}" for is_bad, sentence in warnings]

    @property
    def html(self) -> str:
        """The page."""
        return self._content.decode()

    def __repr__(self) -> str:
        return f"<spextral.Report: {len(self._content) / 1e6:.1f} MB, {len(self.warnings)} warnings>"

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="900" style="border:0"></iframe>'


class Picture(_Shown):
    """A picture, which a notebook shows."""

    _suffixes = (".png",)

    @property
    def png(self) -> bytes:
        """The picture as PNG."""
        return self._content

    def __repr__(self) -> str:
        return f"<spextral.Picture: {len(self._content) / 1e3:.0f} kB>"

    def _repr_png_(self) -> bytes:
        return self._content


def report(
    frame: Union[Frame, Path_], image: Any = None, *, model: Any = None, truth: Union[Truth, Path_, None] = None
) -> Report:
    """Makes a page about a frame: spectra, errors, goodness, residual, resolution, warnings.

    Parameters
    ----------
    frame : Frame or path
    image : Preproc, path, or what :class:`Preproc` is made of
        The CCD, for the residual: with a model.
    model : array [ny, nx] or path
        By default that of the frame.
    truth : dict or path
        What :func:`simulate` returned, or its file, for chi.
    """
    model = frame.model if model is None and isinstance(frame, Frame) else model
    if image is not None and model is None:
        raise InputError("the residual needs a model: extract with model=True, or give model")
    with tempfile.TemporaryDirectory(prefix="spextral-") as name:
        folder = Path(name)

        def file(given: Any, name: str, write: Any) -> str:
            if isinstance(given, (str, os.PathLike)):
                return os.fspath(given)
            write(folder / name)
            return str(folder / name)

        source = file(frame, "frame.fits", lambda path: _spextral.write_frame(path, frame))
        ccd = None
        if image is not None:
            pixels = file(image, "preproc.fits", lambda path: as_preproc(image).write(path))
            ccd = [pixels, file(model, "model.fits", lambda path: _spextral.write_model(path, model))]
        true = None if truth is None else file(truth, "truth.fits", lambda path: _spextral.write_truth(path, truth))
        page, warnings = _spextral.page(source, ccd, true)
    return Report(page.encode(), warnings)


def compare(
    a: Union[Frame, Path_],
    b: Union[Frame, Path_, None] = None,
    *,
    truth: Union[Truth, Path_, None] = None,
    tolerance: Optional[float] = None,
) -> Dict[str, Any]:
    """Compares two extractions bin by bin, or one with the truth behind it.

    Parameters
    ----------
    a : Frame or path
    b : Frame or path
        Its sigma is the unit of differences.
    truth : dict or path
        In place of ``b``: what :func:`simulate` returned, or its file.
    tolerance : float
        Limit of the entry ``within``, in sigma.

    Returns
    -------
    dict
        The fields of ``spextral compare --json``: of two frames with ``within`` (None without a tolerance), and ``text``,
        the table for reading.
    """
    if (b is None) == (truth is None):
        raise InputError("give a second frame, or a truth")
    if truth is not None:
        fields, text = _spextral.compare_with_truth(a, truth)
        return {**json.loads(fields), "text": text}
    fields, text, within = _spextral.compare_frames(a, b, tolerance=tolerance)
    return {**json.loads(fields), "tolerance": tolerance, "within": within, "text": text}


def plot_psf(psf: Any, image: Any = None) -> Picture:
    """Draws a PSF: spots at several fibres and wavelengths, traces on the CCD, widths against wavelength.

    Parameters
    ----------
    psf : Psf or path
    image : Preproc, path, or what :class:`Preproc` is made of
        Drawn below the traces.
    """
    title = Path(psf).name if isinstance(psf, (str, os.PathLike)) else "PSF"
    return Picture(_spextral.psf_picture(as_psf(psf), title, None if image is None else as_preproc(image)))


def exposure(
    manifest: Union[Path_, Sequence[Dict[str, Any]], None] = None, *, progress: bool = False, **options: Any
) -> Dict[str, Any]:
    """Extracts many frames, reading, computing and writing at the same time: ``spextral exposure`` in a process of its own.

    Parameters
    ----------
    manifest : path or list of dict
        A table of frames, a row each: ``input``, ``psf``, ``output``, and options by name.
    progress : bool
        Whether the log of the run appears on the standard error.
    **options
        Options of the command line by their names, with ``_`` for ``-``: ``reduxdir``, ``night``, ``expid``, ``cameras``,
        ``resume=True``, ``device``, ... Lists are joined by commas.

    Returns
    -------
    dict
        The report of the run; ``frames`` has the outcome of each frame. A frame that failed is no error.
    """
    with tempfile.TemporaryDirectory(prefix="spextral-") as folder:
        if manifest is not None and not isinstance(manifest, (str, os.PathLike)):
            manifest = _written(manifest, Path(folder) / "manifest.csv")
        given = {**({} if manifest is None else {"manifest": manifest}), **options}
        words = [sys.executable, "-m", "spextral", "exposure", "--json", *_words(given)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=None if progress else subprocess.PIPE, text=True)
    try:
        fields = cast(Dict[str, Any], json.loads(done.stdout))
    except json.JSONDecodeError:
        said = (done.stderr or "").strip() or f"spextral exposure ended with exit code {done.returncode}"
        raise InputError(said) from None
    if "error" in fields:
        raise Error(fields["error"])
    return fields


def _words(options: Dict[str, Any]) -> List[str]:
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, _word(value)]
    return words


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_word, value)) if isinstance(value, (list, tuple)) else str(value)


def _written(rows: Sequence[Dict[str, Any]], path: Path) -> Path:
    import csv

    # Files of rows are relative to the folder of the manifest.
    files = ("input", "psf", "output", "fibermap", "model")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        for row in rows:
            whole = {name: os.path.abspath(value) if name in files and value else value for name, value in row.items()}
            table.writerow({name: "" if value is None else _word(value) for name, value in whole.items()})
    return path
