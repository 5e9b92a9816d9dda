"""Simulate a frame, extract it, and draw what came out: python extract_and_plot.py FIGURE.png [--device DEVICE]

Above: the CCD, its model, and the residual in units of the noise. Below: one spectrum with its errors and the truth at
the same resolution; the residual of all fibres' flux in units of its errors."""

import argparse

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import spextral

FIBRE = 12

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("figure")
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()

psf = spextral.make_psf(25, wave=(6200, 6500), npix_y=560)
wavelength = (6210, 6490, 0.8)
preproc, truth = spextral.simulate(psf, wavelength=wavelength, seed=4, cosmics=2, bad_columns=1, dead_patches=1)
frame = spextral.extract_frame(preproc, psf, wavelength=wavelength, model=True, device=arguments.device)
wave, flux, ivar = frame["wave"], frame["specflux"], frame["specivar"]
good = ivar > 0
sigma = 1 / np.sqrt(np.where(good, ivar, np.inf))


def at_the_resolution(Rdiags, spectrum):
    """R times a spectrum: diagonal k holds R[j - ndiag // 2 + k, j]."""
    ndiag, nwave = Rdiags.shape
    out = np.zeros(nwave)
    for k in range(ndiag):
        rows = np.arange(nwave) - ndiag // 2 + k
        inside = (rows >= 0) & (rows < nwave)
        out[rows[inside]] += (Rdiags[k] * spectrum)[inside]
    return out


# The truth is in electron per bin, on the same grid and some bins beyond its ends.
first = np.searchsorted(truth["wave"], wave[0] - wavelength[2] / 2)
on_grid = truth["flux"][:, first : first + wave.size] / wavelength[2]
expected = np.array([at_the_resolution(*pair) for pair in zip(frame["Rdiags"], on_grid)])
chi = (flux - expected)[good] / sigma[good]

figure = plt.figure(figsize=(11, 10), layout="constrained")
grid = figure.add_gridspec(3, 3, height_ratios=[1.3, 1, 0.8])
image, weight, model = preproc.image.T, preproc.ivar.T, frame["modelimage"].T
residual = np.where(weight > 0, (image - model) * np.sqrt(weight), np.nan)
top = np.percentile(model, 99.5)
panels = [("CCD [electron]", image, 0, top, "viridis"), ("model [electron]", model, 0, top, "viridis")]
panels.append(("residual [σ], masked pixels grey", residual, -5, 5, "RdBu_r"))
for k, (title, pixels, low, high, colours) in enumerate(panels):
    axes = figure.add_subplot(grid[0, k])
    axes.set_facecolor("0.6")
    shown = axes.imshow(pixels, origin="lower", aspect="auto", vmin=low, vmax=high, cmap=colours, interpolation="nearest")
    axes.set(title=title, xlabel="row", ylabel="column" if k == 0 else "")
    figure.colorbar(shown, ax=axes, location="bottom")

axes = figure.add_subplot(grid[1, :])
axes.fill_between(wave, (flux - sigma)[FIBRE], (flux + sigma)[FIBRE], color="C0", alpha=0.3, step="mid", label="±σ")
axes.step(wave, np.where(good, flux, np.nan)[FIBRE], where="mid", color="C0", lw=1, label="extracted")
axes.plot(wave, expected[FIBRE], "k", lw=0.7, label="truth at its resolution")
axes.set(title=f"fibre {FIBRE}", xlabel="wavelength [Å]", ylabel="flux [electron/Å]", xlim=(wave[0], wave[-1]))
axes.legend()

axes = figure.add_subplot(grid[2, :2])
bins = np.linspace(-5, 5, 81)
axes.hist(chi, bins, density=True, color="C0", alpha=0.6, label=f"all fibres: mean {chi.mean():.3f}, scatter {chi.std():.3f}")
axes.plot(bins, np.exp(-(bins**2) / 2) / np.sqrt(2 * np.pi), "k", lw=1, label="unit Gaussian")
axes.set(xlabel="(flux − truth)/σ", ylabel="density")
axes.legend(loc="upper left", fontsize="small")

axes = figure.add_subplot(grid[2, 2])
middle = frame["Rdiags"][FIBRE, :, wave.size // 2]
axes.bar(np.arange(middle.size) - middle.size // 2, middle, color="C0")
axes.set(title=f"resolution at {wave[wave.size // 2]:.0f} Å", xlabel="bin")

if not 0.9 < chi.std() < 1.1:
    raise SystemExit(f"flux is off by {chi.std():.3f} of its errors")
figure.savefig(arguments.figure, dpi=110)
print(f"{arguments.figure}: {flux.shape[0]} spectra on {frame['summary']['device']}, scatter {chi.std():.3f} σ")
