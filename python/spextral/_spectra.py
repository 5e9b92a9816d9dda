"""The frame: a dictionary of arrays, with views for scipy, specutils and xarray."""

from __future__ import annotations

import html
import importlib
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._errors import Error, InputError
from ._spextral import head_of_rows
from ._types import Summary

_F8 = npt.NDArray[np.float64]
#: Mask bits of bins that are not usable: SOMEBADPIX, ALLBADPIX, BAD2DFIT, NODATA.
_UNUSABLE = 1 | 2 | 128 | 256


class Frame(Dict[str, Any]):
    """Extracted spectra: a dictionary, whose entries are attributes under short names, too.

    ====================  ====================  =========================================================================
    entry                 attribute
    ====================  ====================  =========================================================================
    ``specflux``          ``flux``              Electron/Angstrom, [nspec, nwave].
    ``specivar``          ``ivar``              Inverse variance of ``specflux``, [nspec, nwave].
    ``specmask``          ``mask``              Bits, [nspec, nwave]: 0 SOMEBADPIX, 1 ALLBADPIX, 7 BAD2DFIT, 8 NODATA.
    ``wave``              ``wave``              Angstrom, [nwave]; of fibres with their own [nspec, nwave].
    ``Rdiags``            ``resolution(i)``     Diagonals, [nspec, ndiag, nwave]: (k, j) is R[j - ndiag // 2 + k, j].
    ``pixmask_fraction``  ``pixmask_fraction``  Fraction of the PSF on masked pixels, [nspec, nwave]; None from a file.
    ``chi2pix``           ``chi2pix``           Goodness of the 2-D fit, [nspec, nwave].
    ``modelimage``        ``model``             Model of the CCD in electron, [ny, nx]; None where not asked for.
    ``summary``           ``summary``           How it was extracted; None from a file, whose header has it.
    ``header``            ``header``            Cards of the image, or of the file.
    ``fibermap``          ``fibermap``          Columns by name, a row per spectrum; None without a fibermap.
    ====================  ====================  =========================================================================

    It can be pickled. Changes of ``header`` and ``fibermap`` are written, too; ``frame.select(rows)`` takes some spectra.
    """

    #: Header and fibermap as they are written.
    _head: Optional[bytes] = None

    def __init__(self, *entries: Any, **more: Any) -> None:
        super().__init__(*entries, **more)
        if entries and isinstance(entries[0], Frame):
            self._head = entries[0]._head

    def copy(self) -> Frame:
        """Returns a shallow copy."""
        return Frame(self)

    def __or__(self, other: Any) -> Frame:  # type: ignore[override]
        frame = Frame(self)
        frame.update(other)
        return frame

    @classmethod
    def _of(cls, entries: Dict[str, Any]) -> Frame:
        frame = cls(entries)
        frame._head = frame.pop("_head")
        return frame

    @property
    def flux(self) -> _F8:
        """Flux in electron/Angstrom, [nspec, nwave]."""
        return self["specflux"]  # type: ignore[no-any-return]

    @property
    def ivar(self) -> _F8:
        """Inverse variance of the flux, [nspec, nwave]."""
        return self["specivar"]  # type: ignore[no-any-return]

    @property
    def mask(self) -> npt.NDArray[np.uint32]:
        """Mask bits, [nspec, nwave]."""
        return self["specmask"]  # type: ignore[no-any-return]

    @property
    def wave(self) -> _F8:
        """Wavelengths in Angstrom, [nwave]; [nspec, nwave] where fibres have their own."""
        return self["wave"]  # type: ignore[no-any-return]

    @property
    def chi2pix(self) -> Optional[_F8]:
        """Goodness of the 2-D fit, [nspec, nwave]; None where a file has none."""
        return self["chi2pix"]  # type: ignore[no-any-return]

    @property
    def pixmask_fraction(self) -> Optional[_F8]:
        """Fraction of the PSF on masked pixels, [nspec, nwave]; None from a file."""
        return self["pixmask_fraction"]  # type: ignore[no-any-return]

    @property
    def model(self) -> Optional[npt.NDArray[np.float32]]:
        """Model of the CCD in electron, [ny, nx], or None."""
        return self["modelimage"]  # type: ignore[no-any-return]

    @property
    def summary(self) -> Optional[Summary]:
        """Summary of the extraction; None from a file."""
        return self["summary"]  # type: ignore[no-any-return]

    @property
    def header(self) -> Dict[str, Any]:
        """Cards by keyword."""
        return self["header"]  # type: ignore[no-any-return]

    @property
    def fibermap(self) -> Optional[Dict[str, npt.NDArray[Any]]]:
        """Columns of the fibermap by name, or None."""
        return self["fibermap"]  # type: ignore[no-any-return]

    @property
    def fibres(self) -> npt.NDArray[np.int64]:
        """Numbers of the fibres, [nspec]."""
        if self.fibermap is not None and "FIBER" in self.fibermap:
            return np.asarray(self.fibermap["FIBER"], np.int64)
        if self.summary is not None:
            return np.asarray(self.summary["fibres"], np.int64)
        first = self.header.get("FIBERMIN", 0)
        return np.arange(first, first + len(self.flux), dtype=np.int64)

    def select(self, rows: Any) -> Frame:
        """Returns a frame of some spectra, with their rows of the fibermap; the model image stays whole.

        Parameters
        ----------
        rows : int, slice, list or array
            Rows of the frame, by number or as truth values.
        """
        chosen = np.atleast_1d(np.arange(len(self.flux))[rows])
        frame = Frame(self)
        names = ["specflux", "specivar", "specmask", "Rdiags", "chi2pix", "pixmask_fraction"]
        for name in names + (["wave"] if self.wave.ndim == 2 else []):
            if self[name] is not None:
                frame[name] = self[name][chosen]
        if self.summary is not None:
            fibres = self.fibres[chosen].tolist()
            frame["summary"] = {**self.summary, "fibres": fibres, "fibermin": min(fibres, default=0)}
        if self.fibermap is not None:
            frame["fibermap"] = {name: np.asarray(column)[chosen] for name, column in self.fibermap.items()}
        else:
            frame["fibermap"] = {"FIBER": self.fibres[chosen]}
        if self._head is not None:
            frame._head = head_of_rows(self._head, chosen.tolist())["_head"]
        return frame

    def resolution(self, i: int) -> Any:
        """Returns the resolution matrix of a spectrum, a ``scipy.sparse.dia_matrix`` as desispec's Resolution.

        ``frame.resolution(i) @ truth`` is a spectrum at the resolution of spectrum ``i``.

        Parameters
        ----------
        i : int
            Row of the frame.
        """
        sparse = _needed("scipy.sparse", "scipy")
        diagonals = self["Rdiags"][_row(i, len(self.flux))]
        half, nwave = diagonals.shape[0] // 2, diagonals.shape[1]
        return sparse.dia_matrix((diagonals, np.arange(half, half - diagonals.shape[0], -1)), shape=(nwave, nwave))

    def spectrum(self, i: Union[int, slice, None] = None) -> Any:
        """Returns spectra as a ``Spectrum`` of specutils, with uncertainty, mask, units and meta.

        Bins without information, and those that the mask names unusable, are masked. The meta has ``header``,
        ``fibre`` (its number) and ``fibermap`` (its row); of several spectra they are arrays.

        Parameters
        ----------
        i : int or slice
            Row of the frame; by default all. Of a frame whose fibres have wavelengths of their own it is the row of one.
        """
        specutils, units = _needed("specutils", "specutils"), _needed("astropy.units", "specutils")
        uncertainties = _needed("astropy.nddata", "specutils")
        chosen: Union[int, slice] = slice(None) if i is None else i if isinstance(i, slice) else _row(i, len(self.flux))
        if self.wave.ndim == 2 and not isinstance(chosen, int):
            raise InputError("each fibre has wavelengths of its own: give the row of one")
        flux, ivar = self.flux[chosen], self.ivar[chosen]
        unit = units.Unit("electron / Angstrom")
        rows = None if self.fibermap is None else {name: column[chosen] for name, column in self.fibermap.items()}
        fibre = self.fibres[chosen]
        # Of specutils 1 it is Spectrum1D.
        kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
        return kind(
            flux=flux * unit,
            spectral_axis=(self.wave[chosen] if self.wave.ndim == 2 else self.wave) * units.AA,
            uncertainty=uncertainties.InverseVariance(ivar, unit=unit**-2),
            mask=(ivar <= 0) | (self.mask[chosen] & _UNUSABLE != 0),
            meta={"header": dict(self.header), "fibre": int(fibre) if np.ndim(fibre) == 0 else fibre, "fibermap": rows},
        )

    def to_xarray(self) -> Any:
        """Returns a ``Dataset`` of xarray: arrays by fibre and wavelength with units, columns of the fibermap by fibre.

        Where fibres have wavelengths of their own, bins are the dimension ``wave``, and ``wavelength`` has those of fibre and bin.
        """
        xarray = _needed("xarray", "xarray")
        bins = ("fibre", "wave")
        unit = "electron / Angstrom"
        variables: Dict[str, Tuple[Tuple[str, ...], Any, Dict[str, str]]] = {
            "flux": (bins, self.flux, {"units": unit}),
            "ivar": (bins, self.ivar, {"units": "Angstrom2 / electron2"}),
            "mask": (bins, self.mask, {}),
            "Rdiags": (("fibre", "diagonal", "wave"), self["Rdiags"], {}),
        }
        for name in ("chi2pix", "pixmask_fraction"):
            if self[name] is not None:
                variables[name] = (bins, self[name], {})
        if self.model is not None:
            variables["model"] = (("y", "x"), self.model, {"units": "electron"})
        half = self["Rdiags"].shape[1] // 2
        of_waves, waves = (("wave",), "wave") if self.wave.ndim == 1 else (bins, "wavelength")
        coordinates: Dict[str, Any] = {
            "fibre": self.fibres,
            waves: (of_waves, self.wave, {"units": "Angstrom"}),
            "diagonal": np.arange(-half, self["Rdiags"].shape[1] - half),
        }
        for name, column in (self.fibermap or {}).items():
            if column.ndim == 1 and name not in coordinates and name not in variables:
                coordinates[name] = ("fibre", column)
        cards = {name: value for name, value in self.header.items() if isinstance(value, (int, float, str))}
        return xarray.Dataset(variables, coordinates, cards)

    def __repr__(self) -> str:
        return f"<spextral.Frame: {self._in_words()}>"

    def _in_words(self) -> str:
        nspec, nwave = self.flux.shape
        return f"{nspec} spectra of {nwave} bins, {self.wave.min():.1f} to {self.wave.max():.1f} Angstrom"

    def _repr_html_(self) -> str:
        """Returns a table of facts and the median spectrum, for notebooks."""
        good = (self.ivar > 0) & (self.mask & _UNUSABLE == 0)
        noise = self.flux[good] * np.sqrt(self.ivar[good])
        facts: List[Tuple[str, Any]] = [("spectra", self._in_words())]
        facts.append(("fibres", f"{self.fibres.min()} to {self.fibres.max()}"))
        facts += [(key.lower(), self.header[key]) for key in ("CAMERA", "NIGHT", "EXPID", "OBSTYPE") if key in self.header]
        facts.append(("usable bins", f"{100 * good.mean():.1f} %"))
        facts.append(("median S/N per bin", f"{np.median(noise):.2f}" if noise.size else "none"))
        device = self.header.get("SPXDEV") if self.summary is None else self.summary["device"]
        facts += [("extracted on", device)] if device else []
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in facts)
        return f"<table><caption>spextral.Frame</caption>{cells}</table>{self._curve(good)}"

    def _curve(self, good: npt.NDArray[np.bool_]) -> str:
        """Returns the median over the fibres as SVG of at most 400 points, each the largest of its bins."""
        by_bin = " bin by bin" if self.wave.ndim == 2 else ""
        lit = good.any(axis=0)
        if not lit.any():
            return ""
        flux = np.nanmedian(np.where(good, self.flux, np.nan)[:, lit], axis=0)
        points = [float(part.max()) for part in np.array_split(flux, min(400, flux.size))]
        low, high = min(0.0, min(points)), max(points) or 1.0
        line = " ".join(
            f"{600 * k / max(1, len(points) - 1):.1f},{120 * (high - p) / (high - low):.1f}" for k, p in enumerate(points)
        )
        return (
            '<svg width="600" height="140" role="img" aria-label="median spectrum">'
            f'<polyline points="{line}" fill="none" stroke="#1f77b4"/><text y="138" font-size="12" fill="currentColor">'
            f"median of the fibres{by_bin}, up to {high:.3g} electron/Angstrom</text></svg>"
        )


def _row(i: Any, nspec: int) -> int:
    row = int(i)
    if not -nspec <= row < nspec:
        raise IndexError(f"spectrum {row} of a frame of {nspec}")
    return row


def _needed(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Error(f"this needs {package}: pip install {package}") from error
