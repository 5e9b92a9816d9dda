"""The frame as an object: attributes, files, and views for scipy, specutils, xarray and notebooks."""

import copy
import pickle

import numpy as np
import pytest
import spextral
from astropy import units as u
from astropy.io import fits
from conftest import WAVELENGTH

ARRAYS = ["specflux", "specivar", "specmask", "wave", "Rdiags"]


@pytest.fixture(scope="session")
def written(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frame.fits"
    spextral.write_frame(path, frame)
    return path


def test_a_frame_is_a_dictionary_with_attributes(frame, preproc):
    assert isinstance(frame, dict) and frame.flux is frame["specflux"] and frame.ivar is frame["specivar"]
    assert frame.mask is frame["specmask"] and frame.wave is frame["wave"] and frame.model is frame["modelimage"]
    assert frame.header["CAMERA"] == preproc.header["CAMERA"] and list(frame.fibres) == list(range(50))
    assert list(frame.fibermap["TARGETID"]) == list(preproc.fibermap["TARGETID"])
    assert set(frame) == {*ARRAYS, "pixmask_fraction", "chi2pix", "modelimage", "summary", "header", "fibermap"}


def test_a_selection_has_its_own_rows_of_the_fibermap(psf, preproc):
    part = spextral.extract_frame(preproc, psf, wavelength=WAVELENGTH, device="cpu", specmin=7, nspec=3)
    assert list(part.fibres) == [7, 8, 9] and list(part.fibermap["FIBER"]) == [7, 8, 9]


def test_a_file_gives_the_frame_back(frame, preproc, written, tmp_path):
    read = spextral.read_frame(written)
    for name in ("wave", "specmask"):
        assert np.array_equal(read[name], frame[name])
    assert np.allclose(read.flux, frame.flux, rtol=1e-6) and read.header["SPXDEV"].startswith("CPU")
    assert read.summary is None and list(read.fibres) == list(frame.fibres)
    spextral.write_frame(tmp_path / "with.fits", frame, preproc)
    assert (tmp_path / "with.fits").read_bytes() == written.read_bytes()
    # And once more: the header and the fibermap are those of the file.
    spextral.write_frame(tmp_path / "again.fits", read)
    with fits.open(written) as first, fits.open(tmp_path / "again.fits") as second:
        assert [hdu.name for hdu in first] == [hdu.name for hdu in second]
        for a, b in zip(first, second):
            # Scores are sums of what the file has in f4.
            assert a.name == "SCORES" or a.data.tobytes() == b.data.tobytes(), a.name
            assert set(a.header) == set(b.header), a.name


def test_all_can_be_pickled(frame, preproc, psf, written):
    for original in (frame, spextral.read_frame(written)):
        for twin in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            assert isinstance(twin, spextral.Frame) and twin._head == original._head
            assert all(np.array_equal(twin[name], original[name]) for name in ARRAYS)
    twin = pickle.loads(pickle.dumps(preproc))
    assert twin.bad_pixels == preproc.bad_pixels and twin.header == preproc.header and twin.notes == preproc.notes
    for name in ("image", "ivar", "mask"):
        assert np.array_equal(getattr(twin, name), getattr(preproc, name))
    assert twin.fibermap.keys() == preproc.fibermap.keys() and pickle.loads(pickle.dumps(psf)) == psf
    image, ivar = np.ones((20, 20)), np.ones((20, 20))
    image[3, 4] = np.nan
    assert copy.deepcopy(spextral.Preproc(image, ivar)).bad_pixels == 1


def test_resolution_is_a_matrix_of_scipy(frame):
    sparse = pytest.importorskip("scipy.sparse")
    matrix, diagonals = frame.resolution(12), frame["Rdiags"][12]
    assert sparse.isspmatrix_dia(matrix) and matrix.shape == (frame.wave.size,) * 2
    half = len(diagonals) // 2
    for j in (0, 5, 60):
        for k in range(len(diagonals)):
            row = j - half + k
            if 0 <= row < frame.wave.size:
                assert matrix.toarray()[row, j] == diagonals[k, j]
    assert np.array_equal(frame.resolution(-1).toarray(), frame.resolution(49).toarray())
    with pytest.raises(IndexError):
        frame.resolution(50)


def test_resolution_is_desispecs(frame):
    desispec = pytest.importorskip("desispec.resolution")
    theirs = desispec.Resolution(frame["Rdiags"][3])
    assert np.allclose(theirs.toarray(), frame.resolution(3).toarray(), atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_spectra_are_those_of_specutils(frame):
    pytest.importorskip("specutils")
    spectrum = frame.spectrum(3)
    assert spectrum.flux.unit == u.Unit("electron / Angstrom") and np.array_equal(spectrum.flux.value, frame.flux[3])
    assert np.allclose(spectrum.spectral_axis.to_value("nm"), frame.wave / 10)
    assert np.array_equal(spectrum.uncertainty.array, frame.ivar[3])
    assert np.array_equal(spectrum.mask, (frame.ivar[3] == 0) | (frame.mask[3] & 0x183 != 0)) and not spectrum.mask.all()
    assert spectrum.meta["fibre"] == 3 and spectrum.meta["fibermap"]["TARGETID"] == frame.fibermap["TARGETID"][3]
    assert frame.spectrum().flux.shape == frame.flux.shape and frame.spectrum(slice(2, 5)).flux.shape[0] == 3


def test_a_dataset_of_xarray_has_coordinates_and_units(frame):
    pytest.importorskip("xarray")
    data = frame.to_xarray()
    assert data.flux.dims == ("fibre", "wave") and data.wave.attrs["units"] == "Angstrom"
    assert np.array_equal(data.flux.sel(fibre=7), frame.flux[7]) and data.TARGETID.dims == ("fibre",)
    assert data.sizes["diagonal"] == frame["Rdiags"].shape[1] and data.attrs["CAMERA"] == frame.header["CAMERA"]


def test_a_notebook_shows_facts_and_a_curve(frame, written):
    for shown in (frame, spextral.read_frame(written)):
        text = shown._repr_html_()
        assert "50 spectra" in text and "<polyline" in text and "CPU" in text
        assert repr(shown).startswith("<spextral.Frame: 50 spectra of")


@pytest.mark.filterwarnings("ignore:.*datfix")
def test_the_wavelength_axis_is_in_the_header(frame, written):
    wcs = pytest.importorskip("astropy.wcs")
    with fits.open(written) as hdus:
        for hdu in (hdus["FLUX"], hdus["IVAR"]):
            axis = wcs.WCS(hdu.header).sub([1])
            wave = axis.pixel_to_world_values(np.arange(frame.wave.size))
            assert axis.wcs.ctype[0] == "WAVE" and np.allclose(np.ravel(wave) * 1e10, frame.wave, atol=1e-6)
            assert u.Unit(hdu.header["BUNIT"]).is_equivalent(u.Unit("electron / Angstrom") ** (1 if hdu.name == "FLUX" else -2))


@pytest.mark.filterwarnings("ignore")
def test_specutils_reads_the_file_by_its_axis(frame, written):
    specutils = pytest.importorskip("specutils")
    kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
    read = kind.read(written, format="wcs1d-fits")
    assert np.allclose(read.spectral_axis.to_value("Angstrom"), frame.wave) and read.flux.shape == frame.flux.shape


def test_a_missing_package_is_named(frame, monkeypatch):
    import importlib

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(spextral.Error, match="pip install xarray"):
        frame.to_xarray()


def test_fibres_may_have_wavelengths_of_their_own(frame):
    own = spextral.Frame(frame)
    own["wave"] = frame.wave + np.arange(len(frame.flux))[:, None]
    pytest.importorskip("xarray")
    pytest.importorskip("specutils")
    data = own.to_xarray()
    assert data.wavelength.dims == ("fibre", "wave") and float(data.wavelength[3, 0]) == frame.wave[0] + 3
    assert "6550.0 to 6699.0 Angstrom" in repr(own)
    with pytest.raises(spextral.InputError, match="give the row of one"):
        own.spectrum()
