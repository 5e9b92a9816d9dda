"""Extract 1-D spectra from 2-D fibre-spectrograph frames by spectro-perfectionism, on any GPU or CPU.

    import spextral
    psf = spextral.read_psf("psf-r0-00051060.fits")
    preproc = spextral.read_preproc("preproc-r0-00051060.fits.gz")
    frame = spextral.extract_frame(preproc, psf, nspec=25, wavelength=(5760, 7620, 0.8))
    spextral.write_frame("frame-r0-00051060.fits", frame)
    spectrum = frame.spectrum(0)        # of specutils

Arrays go in as f4 or f8 of any byte order and strides. Errors are :class:`Error`, which say what is wrong and what to do.
"""

from ._errors import DeviceError, Error, ExtractionWarning, FileError, InputError, LinAlgError
from ._frame import extract_frame
from ._spectra import Frame
from ._spextral import (
    Preproc,
    Psf,
    __version__,
    cholesky,
    cholesky_solve,
    devices,
    find_traces,
    fit_psf,
    jacobi,
    make_psf,
    read_preproc,
    read_psf,
    shift_psf,
    simulate,
    write_frame,
)
from ._tools import Picture, Report, compare, exposure, plot_psf, read_frame, report
from ._types import Device, Summary, Truth

__all__ = [
    "Device",
    "DeviceError",
    "Error",
    "ExtractionWarning",
    "FileError",
    "Frame",
    "InputError",
    "LinAlgError",
    "Picture",
    "Preproc",
    "Psf",
    "Report",
    "Summary",
    "Truth",
    "__version__",
    "cholesky",
    "cholesky_solve",
    "compare",
    "devices",
    "exposure",
    "extract_frame",
    "find_traces",
    "fit_psf",
    "jacobi",
    "make_psf",
    "plot_psf",
    "read_frame",
    "read_preproc",
    "read_psf",
    "report",
    "shift_psf",
    "simulate",
    "write_frame",
]
