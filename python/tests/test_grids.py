"""Fibres with wavelengths of their own: ranges of the PSF, as those of echelle orders, and tables."""

import pickle

import numpy as np
import pytest
import spextral

ORDERS, CCD = 6, (300, 118)
WAVELENGTH = (6550.0, 6650.0, 0.8)


def chi(frame, truth, margin=15):
    """Residuals of the flux from the truth at the frame's resolution, in units of its errors, [nspec, nwave]."""
    wide = np.broadcast_to(truth["wave"], truth["flux"].shape)
    density = (truth["flux"] / np.gradient(wide, axis=1))[:, margin:-margin]
    model = np.array([frame.resolution(i) @ density[i] for i in range(len(density))])
    return (frame.flux - model) * np.sqrt(frame.ivar)


@pytest.fixture(scope="module")
def orders():
    """An echelle: each order has a range of its own, none of which overlap."""
    order, k = (part.ravel() for part in np.mgrid[:ORDERS, :10])
    u = k / 4.5 - 1.0
    centre = 570000.0 / (80 + order)
    wave = centre * (1.0 + 0.00075 * u)
    x, y = 18.0 + 16.0 * order + 3.0 * u + 2.0 * u**2, 149.5 + 148.0 * u + 2.0 * u**2
    return spextral.Psf.from_traces(order, wave, x, y, 0 * x + 1.4, 0 * x + 1.27, ccd_shape=CCD)[0]


@pytest.fixture(scope="module")
def extracted(orders):
    # The grid is on the scale of the middle order.
    grid = (orders.wave_min + 1.0, orders.wave_max - 1.0, 0.06)
    preproc, truth = spextral.simulate(orders, seed=3, exptime=20000, wavelength=grid, cosmics=0, bad_columns=0, dead_patches=0)
    return spextral.extract_frame(preproc, orders, wavelength=grid, device="cpu"), truth, preproc


@pytest.fixture(scope="module")
def table():
    """Steps of equal velocity, each fibre a part of a bin further on."""
    return WAVELENGTH[0] * (1.0 + 1.2e-4) ** (np.arange(120) + 0.37 * np.arange(25)[:, None])


def test_each_order_has_its_own_wavelengths_resolution_and_spectrum(orders, extracted):
    frame, truth, _ = extracted
    nspec, nwave = frame.flux.shape
    assert nspec == ORDERS and frame.wave.shape == (nspec, nwave) and (np.diff(frame.wave) > 0).all()
    # No order reaches the next one.
    assert (frame.wave[1:].max(axis=1) < frame.wave[:-1].min(axis=1)).all()
    residuals = chi(frame, truth)[frame.ivar > 0]
    assert residuals.size > 300 and abs(residuals.mean()) < 0.2 and abs(residuals.std() - 1) < 0.15
    assert f"{frame.wave.min():.1f} to {frame.wave.max():.1f} Angstrom" in repr(frame)
    assert "median of the fibres bin by bin" in frame._repr_html_()


def test_a_selection_of_orders_and_a_file_have_their_wavelengths(orders, extracted, tmp_path):
    frame, _, preproc = extracted
    some = spextral.extract_frame(preproc, orders, specmin=2, nspec=2, device="cpu")
    assert some.wave.shape[0] == 2 and np.abs(some.wave[:, [0, -1]] - frame.wave[2:4, [0, -1]]).max() < 2.0
    spextral.write_frame(tmp_path / "orders.fits", frame, preproc)
    again = spextral.read_frame(tmp_path / "orders.fits")
    assert again.wave.shape == frame.wave.shape and np.allclose(again.wave, frame.wave, rtol=1e-12)
    assert np.allclose((again.resolution(4) - frame.resolution(4)).toarray(), 0, atol=1e-6)
    assert np.array_equal(pickle.loads(pickle.dumps(frame)).wave, frame.wave)


def test_orders_are_spectra_of_specutils_one_by_one(extracted):
    pytest.importorskip("specutils")
    frame = extracted[0]
    spectrum = frame.spectrum(4)
    assert np.array_equal(spectrum.spectral_axis.value, frame.wave[4]) and np.array_equal(spectrum.flux.value, frame.flux[4])
    with pytest.raises(spextral.InputError, match="give the row of one"):
        frame.spectrum()


def test_a_dataset_of_xarray_has_wavelengths_by_fibre_and_bin(extracted):
    pytest.importorskip("xarray")
    frame = extracted[0]
    data = frame.to_xarray()
    assert data.wavelength.dims == data.flux.dims == ("fibre", "wave") and "wave" not in data.coords
    assert np.array_equal(data.wavelength.sel(fibre=frame.fibres[3]), frame.wave[3])


def test_bins_may_be_those_of_a_table(psf, table, tmp_path):
    clean = dict(seed=4, nspec=25, cosmics=0, bad_columns=0, dead_patches=0)
    preproc, truth = spextral.simulate(psf, wavelength=table, **clean)
    frame = spextral.extract_frame(preproc, psf, nspec=25, wavelength=table, device="cpu")
    assert np.array_equal(frame.wave, table) and np.allclose(truth["wave"][:, 15:-15], table, rtol=1e-9)
    residuals = chi(frame, truth)[frame.ivar > 0]
    assert residuals.size > 2500 and abs(residuals.mean()) < 0.1 and abs(residuals.std() - 1) < 0.07
    some = spextral.extract_frame(preproc, psf, specmin=3, nspec=2, wavelength=table[3:5], device="cpu")
    assert np.array_equal(some.wave, table[3:5])
    one = spextral.extract_frame(preproc, psf, nspec=25, wavelength=table[:1], device="cpu")
    assert np.array_equal(one.wave, table[0])
    spextral.write_frame(tmp_path / "table.fits", frame, preproc)
    assert np.array_equal(spextral.read_frame(tmp_path / "table.fits").wave, table)


def test_a_barycentric_factor_leaves_the_wavelengths_of_a_table(psf, preproc, table):
    factor = 1.00008
    frame = spextral.extract_frame(preproc, psf, nspec=25, wavelength=table, barycentric=factor, device="cpu")
    seen = spextral.extract_frame(preproc, psf, nspec=25, wavelength=table / factor, device="cpu")
    assert np.allclose(frame.wave, table, rtol=1e-14) and frame.summary["barycentric"] == factor
    # Flux is per Angstrom of the corrected wavelengths, or of those seen.
    good = (seen.ivar > 0) & (frame.ivar > 0)
    assert np.abs((frame.flux - seen.flux) * np.sqrt(seen.ivar))[good].max() < 0.01


def test_tables_that_do_not_suit_are_refused(psf, preproc, table):
    def refused(wavelength, match):
        with pytest.raises(spextral.InputError, match=match):
            spextral.extract_frame(preproc, psf, nspec=25, wavelength=wavelength, device="cpu")

    refused(table[:7], "wavelength: there are rows of 7 fibres")
    refused(table[:, ::-1], "row 0, bin 1")
    refused(table + 400.0, "but its fibre has a PSF from")
    refused(table * (1 + 5e-5 * (np.arange(120) % 2)), "bins off a smooth function")
    refused(np.full((25, 120), np.nan), "ascend in every row")
