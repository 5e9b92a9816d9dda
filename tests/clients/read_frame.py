"""Frames made by the binary, in the hands of those who use them: desispec's reader and sky model.

usage: read_frame.py BINARY FOLDER

Makes a PSF, simulates an exposure, extracts it, and reads the frame. Warnings, of Python or of desispec's log, are
errors. The caller gets exit code 1 and the first thing that is not as it should be."""
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

warnings.simplefilter("error")
os.environ["DESI_LOGLEVEL"] = "WARNING"

import numpy as np
from desispec.heliocentric import barycentric_velocity_multiplicative_corr
from desispec.io import read_frame
from desispec.sky import compute_sky
from desiutil.depend import getdep
from desiutil.log import get_logger


class NoWarnings(logging.Handler):
    """desispec speaks of odd input in its log."""

    def emit(self, record):
        if record.levelno >= logging.WARNING:
            raise AssertionError(f"desispec says: {record.getMessage()}")


binary, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
get_logger().addHandler(NoWarnings())


def spextral(*arguments):
    subprocess.run([binary, *arguments], cwd=folder, check=True)


def check(what, holds):
    if not holds:
        sys.exit(f"read_frame.py: not so: {what}")
    print(f"  {what}")


# Two bundles over a whole r camera: desispec's sky model wants its sky lines.
nspec, wmin, wmax, dw = 50, 5760.0, 7620.0, 0.8
spextral("make-psf", "-o", "psf.fits", "--nfibre", str(nspec))
spextral("simulate", "-p", "psf.fits", "-o", "preproc.fits.gz", "--truth", "truth.fits")
extract = ("extract", "-i", "preproc.fits.gz", "-p", "psf.fits", "-w", f"{wmin},{wmax},{dw}", "--device", "cpu")
spextral(*extract, "-o", "frame-r0-00000001.fits", "-m", "model.fits")
spextral(*extract, "-o", "frame-r0-00000002.fits", "-n", "1", "--barycentric-correction")

frame = read_frame(str(folder / "frame-r0-00000001.fits"))
nwave = frame.wave.size
check("desispec reads flux, ivar, mask, resolution and chi2pix of one shape", all(
    a.shape == (nspec, nwave) for a in (frame.flux, frame.ivar, frame.mask, frame.chi2pix)
) and frame.resolution_data.shape[0] == nspec and frame.resolution_data.shape[2] == nwave)
check("the grid is the one asked for", np.allclose(frame.wave, wmin + dw * np.arange(nwave), rtol=0, atol=1e-9))
check("the fibermap has its fibres", frame.fibermap is not None and list(frame.fibermap["FIBER"]) == list(frame.fibers))
check("there are scores", frame.scores is not None and "SUM_RAW_COUNT_R" in frame.scores.dtype.names)
check("the header names the program as those of desispec do", getdep(frame.meta, "spextral") and frame.meta["SPECTER"].startswith("spextral "))
good = frame.ivar > 0
check("bins without information are masked", np.all(frame.mask[~good] != 0))
check("most bins have information", good.mean() > 0.9)

sky_fibres = np.where(frame.fibermap["OBJTYPE"] == "SKY")[0]
sky = compute_sky(frame)
flux, ivar, model = frame.flux[sky_fibres], frame.ivar[sky_fibres] * (frame.mask[sky_fibres] == 0), sky.flux[sky_fibres]
# Fibres differ in throughput; what is left of one sky, scaled, must be noise of the size that ivar says.
scale = np.sum(ivar * flux * model, axis=1) / np.sum(ivar * model**2, axis=1)
chi = ((flux - scale[:, None] * model) * np.sqrt(ivar))[ivar > 0]
check(f"desispec's sky model fits {sky_fibres.size} sky fibres to their noise: chi {chi.std():.3f}", 0.5 < chi.std() < 1.1)

moved = read_frame(str(folder / "frame-r0-00000002.fits"))
meta = moved.meta
ra, dec = (next(meta[a + b] for a in ("TARGT", "SKY", "TEL", "") if a + b in meta) for b in ("RA", "DEC"))
expected = barycentric_velocity_multiplicative_corr(ra, dec, meta["MJD-OBS"] + meta["EXPTIME"] / 2 / 86400)
check("HELIOCOR is desispec's factor", abs(meta["HELIOCOR"] - expected) < 1e-9)
