"""The dictionaries that functions return."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, TypedDict

import numpy as np
import numpy.typing as npt


class Summary(TypedDict):
    """Summary of an extraction."""

    specmin: int
    """First fibre, a row of the PSF."""
    fibermin: int
    """Its number."""
    wavestep: float
    """Step of the grid in Angstrom."""
    dispaxis: int
    """Axis of the dispersion on the CCD: 1 along rows, 2 along columns."""
    barycentric: Optional[float]
    """The barycentric factor, where one was given."""
    device: str
    """Description of the device."""
    retried: Optional[str]
    """Reason of a retry in smaller parts or a fallback to the CPU; None without one."""
    solver: str
    """Which solver served."""
    banded: int
    """Bundles solved in bands."""
    bundles: List[int]
    """Fibres of the groups that are solved together, over the whole PSF."""
    forced_cut: Optional[str]
    """The worst cut of a given bundle size through overlapping fibres; None without one."""
    resolution_cut_rows: List[Tuple[int, int, float]]
    """Fibres with rows of R that sum to less than 0.99, the number of these rows and their smallest sum."""
    patches: int
    """Patches solved."""
    in_patches: List[int]
    """First fibres of the bundles solved in patches."""
    redone: int
    """Bundles and patches solved in f64 on the CPU because the precision of the device did not suffice."""
    flux_error: Optional[float]
    """The largest estimated error of flux of bundles in bands, sigma; None without such bundles."""
    above_tolerance: List[Tuple[int, float, float, int, float]]
    """Where it is above the tolerance: fibre, first and last bin in Angstrom, number of bins, largest error."""
    information: Optional[float]
    """The smallest part of the information on a fibre that its neighbours leave; None if not measured."""
    noise_gain: Optional[float]
    """Noise of a deconvolved bin over that of a bin alone where the step is too fine; else None."""
    failed: int
    """Patches without a result: their bins have ivar 0."""
    no_information: int
    """Bins without information."""
    no_result: int
    """Those among them with good pixels: not solved, or with numbers beyond what a file holds."""
    chi2pix: Optional[float]
    """Median over the fibres of their median chi2pix; None without information."""
    chi2pix_is_odd: bool
    """Whether no frame with the right weights and PSF has such a value."""
    misfit: Optional[str]
    """The message about it; None where there is none."""
    dark_fibres: List[int]
    """Fibres without any good pixel, rows of the PSF."""
    dark: Optional[str]
    """A sentence about them; None where there is none."""
    fibres: List[int]
    """Numbers of the extracted fibres."""
    stage_seconds: Dict[str, float]
    """Time spent in each stage."""


class Truth(TypedDict):
    """The spectra behind a simulated frame."""

    fibres: npt.NDArray[np.int64]
    """Fibre numbers, [nspec]."""
    wave: npt.NDArray[np.float64]
    """Wavelengths in Angstrom, [nwave]; 15 bins beyond either end of the grid."""
    flux: npt.NDArray[np.float64]
    """Flux in electron per bin, [nspec, nwave]."""


class Device(TypedDict):
    """A device that this machine has."""

    index: Optional[int]
    """To choose it by; None for the CPU."""
    name: str
    kind: str
    backend: str
    driver: str
    pci: Optional[str]
    """PCI bus id; None if the driver does not report it."""
    refused: Optional[str]
    """None where it is usable, else why not."""
