"""Preproc of whatever holds pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import spextral
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, NDData, VarianceUncertainty
from astropy.utils.masked import Masked


def planes(preproc):
    return preproc.image, preproc.ivar


def test_ccddata_and_nddata_bring_mask_unit_and_header(preproc):
    image, ivar = planes(preproc)
    mask = np.zeros(image.shape, bool)
    mask[7] = True
    ccd = CCDData(image, unit="electron", uncertainty=InverseVariance(ivar), mask=mask, meta={"CAMERA": "r1", "EXPID": 7})
    made = spextral.Preproc(ccd)
    assert np.array_equal(made.image, image) and not made.ivar[7].any() and np.array_equal(made.ivar[8], ivar[8])
    assert made.header == {"CAMERA": "r1", "EXPID": 7}
    data = NDData(image / 1000, unit=1000 * u.electron, uncertainty=VarianceUncertainty(np.full(image.shape, 4e-6)))
    made = spextral.Preproc(data)
    assert np.allclose(made.image, image, rtol=1e-5) and np.allclose(made.ivar, 0.25)
    with pytest.raises(spextral.InputError, match="adu"):
        spextral.Preproc(CCDData(image, unit="adu", uncertainty=InverseVariance(ivar)))
    with pytest.raises(spextral.InputError, match="no uncertainty"):
        spextral.Preproc(CCDData(image, unit="electron"))


def test_an_hdulist_is_read_as_its_file(preproc, tmp_path):
    preproc.write(tmp_path / "preproc.fits")
    with fits.open(tmp_path / "preproc.fits") as hdus:
        made = spextral.Preproc(hdus)
        with pytest.raises(spextral.InputError, match="give it alone"):
            spextral.Preproc(hdus, header={})
    read = spextral.read_preproc(tmp_path / "preproc.fits")
    assert all(np.array_equal(a, b) for a, b in zip(planes(made), planes(read))) and made.header == read.header
    assert made.fibermap.keys() == read.fibermap.keys()


def test_masked_elements_get_no_weight(preproc):
    image, ivar = planes(preproc)
    mask = np.zeros(image.shape, bool)
    mask[5, 6] = mask[7, 8] = True
    in_image, in_ivar = np.ma.array(image, mask=mask), np.ma.array(ivar, mask=mask)
    with_unit = Masked(image * u.electron, mask)
    for given in ((in_image, ivar), (image, in_ivar), (in_image, in_ivar), (with_unit, ivar * u.electron**-2)):
        made = spextral.Preproc(*given)
        assert not made.ivar[mask].any() and np.array_equal(made.ivar[~mask], ivar[~mask])
        assert np.array_equal(made.image, image)
    assert not spextral.Preproc({"image": in_image, "ivar": ivar}).ivar[mask].any()
    with pytest.raises(spextral.InputError, match="has the unit"):
        spextral.Preproc(Masked(image * u.adu, mask), ivar)


def test_an_image_of_desispec_brings_its_mask_bits(preproc):
    image, ivar = planes(preproc)
    bits = np.zeros(image.shape, np.int32)
    bits[3] = 1
    made = spextral.Preproc(SimpleNamespace(pix=image, ivar=ivar, mask=bits, meta=fits.Header({"CAMERA": "z2"})))
    assert not made.ivar[3].any() and made.mask[3, 0] == 1 and made.header["CAMERA"] == "z2"


def test_a_header_is_taken_card_by_card(preproc):
    image, ivar = planes(preproc)
    header = fits.Header({"CAMERA": "b0", "EXPTIME": 900.5, "GOOD": True, "COUNT": 3, "SIMPLE": True, "CTYPE1": "RA---TAN"})
    header["HISTORY"] = "made by hand"
    made = spextral.Preproc(image, ivar, header=header)
    assert made.header == {"CAMERA": "b0", "EXPTIME": 900.5, "GOOD": True, "COUNT": 3, "HISTORY": ["made by hand"]}
    assert spextral.Preproc(image, ivar, header={"EXPTIME": np.float32(2), "LIST": [1]}).header == {"EXPTIME": 2.0}
    with pytest.raises(spextral.InputError, match="header is of type list"):
        spextral.Preproc(image, ivar, header=[1])


def test_what_is_no_image_is_told_so(preproc):
    for given in (None, 3, "preproc.fits", preproc.image):
        with pytest.raises(spextral.InputError, match="without ivar: give a Preproc"):
            spextral.Preproc(given)
    with pytest.raises(spextral.InputError, match="ivar has shape"):
        spextral.Preproc(np.ma.ones((4, 4)), np.ones((4, 5)))
