"""Units are converted or refused; none is stripped."""

import numpy as np
import pytest
import spextral
from astropy import units as u
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty
from astropy.table import Table
from conftest import WAVELENGTH

PER_ELECTRON2 = u.electron**-2


def extract(image, psf, **options):
    return spextral.extract_frame(image, psf, **{"wavelength": WAVELENGTH, "device": "cpu", "nspec": 1, **options})


def test_wavelengths_are_converted_to_angstrom(psf):
    plain = psf.traces([6550.0, 6600.0])
    table = Table({"wave": [655.0, 660.0] * u.nm})
    for wave in ([655.0, 660.0] * u.nm, [655.0 * u.nm, 6600.0 * u.AA], table["wave"], np.array([6550, 6600])):
        assert np.allclose(psf.traces(wave), plain, atol=1e-9, rtol=0)
        assert psf.spots(wave)[0].shape[:2] == (50, 2)


@pytest.mark.parametrize("wave", [[655.0], [5000.0], [8000.0], [np.nan], [655.0] * u.Hz, [655.0] * u.adu, [0.655] * u.nm])
def test_wavelengths_outside_the_psf_or_in_other_units_are_refused(psf, wave):
    for method in (psf.traces, psf.spots):
        with pytest.raises(spextral.InputError, match="Angstrom"):
            method(wave)


def test_a_few_percent_outside_the_psfs_range_are_served(psf):
    assert np.isfinite(psf.traces([psf.wave_min - 9, psf.wave_max + 9])).all()
    with pytest.raises(spextral.InputError, match="range is 6500 to 6700"):
        psf.traces([psf.wave_min - 11])


def test_pixels_are_converted_to_electron_or_refused(psf, preproc):
    image, ivar = preproc.image, preproc.ivar
    plain = extract(preproc, psf)
    given = extract({"image": image * u.electron, "ivar": ivar * PER_ELECTRON2}, psf, wavelength=WAVELENGTH * u.AA)
    assert np.array_equal(given["specflux"], plain["specflux"])
    kilo = u.def_unit("kiloelectron", 1000 * u.electron)
    assert np.allclose(spextral.Preproc(image / 1000 * kilo, ivar).image, image)
    for wrong in ({"image": image * u.adu, "ivar": ivar}, {"image": image, "ivar": ivar * u.adu**-2}):
        with pytest.raises(spextral.InputError, match="has the unit.*adu.*: give"):
            extract(wrong, psf)
        with pytest.raises(spextral.InputError, match="has the unit"):
            spextral.Preproc(wrong["image"], wrong["ivar"])
    with pytest.raises(spextral.InputError, match="mask has the unit"):
        spextral.Preproc(image, ivar, np.zeros(image.shape, "i4") * u.s)


def test_numbers_are_converted_or_refused(psf, preproc, tmp_path):
    plain = spextral.simulate(psf, nspec=1, exptime=900, readnoise=4)[0]
    given = spextral.simulate(psf, nspec=1, exptime=15 * u.min, readnoise=4 * u.electron)[0]
    assert np.array_equal(given.image, plain.image)
    for wrong in ({"readnoise": 3 * u.adu}, {"exptime": 900 * u.electron}, {"exptime": np.timedelta64(15, "m")}):
        with pytest.raises(spextral.InputError, match=next(iter(wrong))):
            spextral.simulate(psf, nspec=1, **wrong)
    preproc.write(tmp_path / "preproc.fits")
    for wrong in ({"readnoise": 3 * u.adu}, {"gain": 2 * u.electron}):
        with pytest.raises(spextral.InputError, match=next(iter(wrong))):
            spextral.read_preproc(tmp_path / "preproc.fits", **{"readnoise": 3, "gain": 2, **wrong})
    percent = extract(preproc, psf, psferr=1 * u.percent)["chi2pix"]
    assert np.array_equal(percent, extract(preproc, psf, psferr=0.01)["chi2pix"])
    for wrong in ({"psferr": 1 * u.AA}, {"tolerance": 1e-5 * u.electron}, {"nspec": 1 * u.AA}, {"regularize": 1 * u.s}):
        with pytest.raises(spextral.InputError, match=next(iter(wrong))):
            extract(preproc, psf, **wrong)
    with pytest.raises(spextral.InputError, match="wavelength"):
        extract(preproc, psf, wavelength=(655, 665, 0.08) * u.Hz)
    nm = extract(preproc, psf, wavelength=(655 * u.nm, 665 * u.nm, 0.8 * u.AA))
    assert np.allclose(nm["wave"], extract(preproc, psf)["wave"])
    with pytest.raises(spextral.InputError, match="matrices has the unit"):
        spextral.cholesky(np.eye(3) * u.s)


def test_a_ccddata_is_taken_whole(psf, preproc):
    image, ivar, plain = preproc.image, preproc.ivar, extract(preproc, psf)
    good = ivar > 0
    sigma = np.where(good, 1 / np.sqrt(np.where(good, ivar, 1)), 0)
    for uncertainty in (InverseVariance(ivar), StdDevUncertainty(sigma)):
        frame = extract(CCDData(image, unit="electron", uncertainty=uncertainty), psf)
        assert np.abs(frame["specflux"] - plain["specflux"]).max() < 1e-3
    ccd = CCDData(image, unit="electron", uncertainty=InverseVariance(ivar), mask=np.ones(image.shape, bool))
    with pytest.warns(spextral.ExtractionWarning, match="nothing is left"):
        masked = extract(ccd, psf)
    assert not masked["specivar"].any()
    for wrong, match in (
        (CCDData(image, unit="adu", uncertainty=InverseVariance(ivar)), "image has the unit adu: give electron"),
        (CCDData(image, unit="electron"), "no uncertainty"),
    ):
        with pytest.raises(spextral.InputError, match=match):
            extract(wrong, psf)
    with pytest.raises(spextral.InputError, match="CCDData"):
        spextral.Preproc(CCDData(image, unit="electron"), ivar)


def test_a_mapping_that_lacks_ivar_is_told_so(psf, preproc):
    with pytest.raises(spextral.InputError, match="has no ivar"):
        extract({"image": preproc.image}, psf)


def test_a_frame_of_which_nothing_is_left_is_a_warning(psf, preproc):
    with pytest.warns(spextral.ExtractionWarning, match="nothing is left to extract"):
        frame = extract({"image": preproc.image, "ivar": 0 * preproc.ivar}, psf)
    assert frame["summary"]["dark_fibres"] == [0]


def test_tails_that_the_psf_does_not_have_and_names_of_other_formats_are_refused(psf, tmp_path):
    assert psf.has_tails and psf.spots([6600.0], tails=True)[0].size
    with pytest.raises(spextral.FileError, match="promises another format"):
        psf.write(tmp_path / "psf.pdf")
