"""Files."""

from types import SimpleNamespace

import spextral
from astropy.io import fits


class PSF(dict):
    """A PSF: ``psf["PSF"].meta`` has the cards of its table, ``psf.engine`` is spextral's own."""


def read_psf(filename):
    """The PSF of a file; its WAVEMIN and WAVEMAX are those of spextral's default grid."""
    engine = spextral.read_psf(filename)
    with fits.open(filename) as hdus:
        header = next((hdu.header for hdu in hdus if "PSFTYPE" in hdu.header and "GHDEGX" in hdu.header), hdus[-1].header)
        meta = {**dict(header), "WAVEMIN": engine.wave_min, "WAVEMAX": engine.wave_max}
    psf = PSF(PSF=SimpleNamespace(meta=meta))
    psf.engine = engine
    return psf
