"""A small simulated frame that all tests share."""

import os
from pathlib import Path

import pytest
import spextral

NFIBRE, BUNDLESIZE = 50, 25
WAVELENGTH = (6550.0, 6650.0, 0.8)


@pytest.fixture(scope="session")
def psf():
    return spextral.make_psf(NFIBRE, wave=(6500, 6700), npix_y=400, npix_x=420)


@pytest.fixture(scope="session")
def preproc(psf):
    return spextral.simulate(psf, seed=3, cosmics=5, bad_columns=2)[0]


@pytest.fixture(scope="session")
def frame(psf, preproc):
    return spextral.extract_frame(preproc, psf, wavelength=WAVELENGTH, device="cpu", model=True)


@pytest.fixture(scope="session")
def binary():
    """The command line of the same build."""
    path = os.environ.get("SPEXTRAL_BINARY")
    if path is None:
        pytest.skip("SPEXTRAL_BINARY does not say where the spextral command is; `cargo xtask python` sets it")
    return Path(path)
