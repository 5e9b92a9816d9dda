"""PSFs."""

from . import absent

load_psf = absent("specter.psf.load_psf")
