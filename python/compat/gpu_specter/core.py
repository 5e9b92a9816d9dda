"""Extraction. What the pipeline has no option for, environment variables set; the README has them."""

import os

import numpy as np
import spextral

# specmask's bit for bins whose PSF lies on masked pixels altogether.
ALLBADPIX = 1 << 1


def _from_environment():
    options = {"device": os.environ.get("SPEXTRAL_DEVICE") or "auto"}
    for name in ("solver", "precision", "decorrelate", "model_flux"):
        word = os.environ.get(f"SPEXTRAL_{name.upper()}")
        if word:
            options[name] = word
    tolerance = os.environ.get("SPEXTRAL_TOLERANCE")
    if tolerance:
        try:
            options["tolerance"] = float(tolerance)
        except ValueError as error:
            raise spextral.InputError(f"SPEXTRAL_TOLERANCE is {tolerance!r}: give a number, in sigma") from error
    tails = os.environ.get("SPEXTRAL_PSF_TAILS", "")
    if tails not in ("", "0", "1"):
        raise spextral.InputError(f"SPEXTRAL_PSF_TAILS is {tails!r}: give 1 or 0")
    return {**options, "psf_tails": tails == "1"}


def _on_host(pixels):
    # desispec hands cupy arrays over where it finds a GPU of its own.
    return pixels.get() if hasattr(pixels, "get") else pixels


def extract_frame(
    img,
    psf,
    bundlesize,
    specmin,
    nspec,
    wavelength=None,
    nwavestep=50,
    nsubbundles=1,
    model=None,
    regularize=0,
    psferr=None,
    comm=None,
    gpu=None,
    loglevel=None,
    timing=None,
    wavepad=10,
    pixpad_frac=0.8,
    wavepad_frac=0.2,
    batch_subbundle=True,
    ranks_per_bundle=None,
):
    """One frame as a dictionary, see ``spextral.extract_frame``. With ``comm`` its ranks share the frame's bundles: inputs
    are those of rank 0, which gets the frame; the others get None."""
    image = img if img is None else {name: _on_host(img[name]) for name in ("image", "ivar")}
    frame = spextral.extract_frame(
        image,
        getattr(psf, "engine", psf),
        bundlesize,
        specmin,
        nspec,
        wavelength,
        nwavestep,
        nsubbundles,
        model,
        regularize,
        psferr,
        comm,
        timing=timing,
        wavepad=wavepad,
        pixpad_frac=pixpad_frac,
        wavepad_frac=wavepad_frac,
        **_from_environment(),
    )
    if frame is not None:
        # desispec finds such bins by pixmask_fraction == 1, which rounding may miss.
        frame["pixmask_fraction"] = np.where(frame["specmask"] & ALLBADPIX, 1.0, frame["pixmask_fraction"])
    return frame
