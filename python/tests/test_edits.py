"""Frames that a user cuts and edits, and pixels with marks of their own: all of it counts, or is refused."""

import copy

import numpy as np
import pytest
import spextral
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance

CUT = ("specflux", "specivar", "specmask", "Rdiags", "chi2pix", "pixmask_fraction")


@pytest.fixture(scope="module")
def small():
    psf = spextral.make_psf(10, wave=(6500, 6600), npix_y=220)
    preproc, truth = spextral.simulate(psf, seed=3)
    return psf, preproc, truth, spextral.extract_frame(preproc, psf, device="cpu")


def written(path, frame, **options):
    spextral.write_frame(path, frame, **options)
    with fits.open(path) as hdus:
        table = hdus["FIBERMAP"].data
        return hdus["FLUX"].header.copy(), {name: np.array(table[name]) for name in table.names}


def test_edits_of_header_and_fibermap_are_written(small, tmp_path):
    frame = copy.deepcopy(small[3])
    frame.header["OBSERVER"] = "me"
    del frame.header["CAMERA"]
    frame.fibermap["TARGETID"][:] = 7
    frame.fibermap["MORE"] = np.arange(10) % 2 == 0
    header, table = written(tmp_path / "edited.fits", frame)
    assert header["OBSERVER"] == "me" and "CAMERA" not in header
    assert set(table["TARGETID"]) == {7} and list(table["MORE"]) == [True, False] * 5
    spextral.write_frame(tmp_path / "whole.fits", small[3])
    with fits.open(tmp_path / "whole.fits") as before, fits.open(tmp_path / "edited.fits") as after:
        formats = [{column.name: column.format for column in hdus["FIBERMAP"].columns} for hdus in (before, after)]
        assert {**formats[0], "MORE": "1L"} == formats[1]
    read = spextral.read_frame(tmp_path / "edited.fits")
    # Truth values choose rows, they do not number them.
    assert read.flux[read.fibermap["MORE"]].shape == (5, len(read.wave))
    read.header["OBSERVER"] = "you"
    assert written(tmp_path / "again.fits", read)[0]["OBSERVER"] == "you"


def test_copies_keep_header_and_fibermap(small, tmp_path):
    frame = small[3]
    whole = written(tmp_path / "whole.fits", frame)
    for k, twin in enumerate([frame.copy(), spextral.Frame(frame), frame | {}, {**frame}]):
        header, table = written(tmp_path / f"{k}.fits", twin)
        assert header["CAMERA"] == whole[0]["CAMERA"] and list(table["TARGETID"]) == list(whole[1]["TARGETID"])
        if isinstance(twin, spextral.Frame):
            # With the types of columns and the comments of cards, which dictionaries do not show.
            assert (tmp_path / f"{k}.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()


@pytest.mark.parametrize("rows", [slice(3, 6), [3, 4, 5], np.arange(10) // 3 == 1])
def test_some_spectra_are_a_frame_of_their_own(small, tmp_path, rows):
    part = small[3].select(rows)
    assert list(part.fibres) == [3, 4, 5] and part.flux.shape[0] == part["Rdiags"].shape[0] == 3
    header, table = written(tmp_path / "part.fits", part)
    assert header["NSPEC"] == 3 and list(table["FIBER"]) == [3, 4, 5] and table["PETAL_LOC"].dtype.itemsize == 2
    read = spextral.read_frame(tmp_path / "part.fits")
    assert spextral.compare(read, small[3].select(rows), tolerance=1e-3)["within"]
    # Of a file, too, whose cards are corrected.
    header, table = written(tmp_path / "again.fits", read.select([2]))
    assert header["NSPEC"] == 1 and header["FIBERMIN"] == 5 and list(table["FIBER"]) == [5]
    read["wave"], read["Rdiags"] = read.wave[10:60], read["Rdiags"][:, :, 10:60]
    for name in ("specflux", "specivar", "specmask", "chi2pix"):
        read[name] = read[name][:, 10:60]
    header, _ = written(tmp_path / "cropped.fits", read)
    assert header["WAVEMIN"] == pytest.approx(read.wave[0]) and header["WAVEMAX"] == pytest.approx(read.wave[-1])


def test_spectra_without_a_fibermap_keep_their_numbers(small, tmp_path):
    frame = spextral.extract_frame({"image": small[1].image, "ivar": small[1].ivar}, small[0], device="cpu")
    assert frame.fibermap is None
    for k, rows in enumerate([[3, 5, 9], [5, 3]]):
        spextral.write_frame(tmp_path / f"{k}.fits", frame.select(rows))
        assert list(spextral.read_frame(tmp_path / f"{k}.fits").fibres) == rows
    spextral.write_frame(tmp_path / "part.fits", frame.select(slice(4, 9)))
    read = spextral.read_frame(tmp_path / "part.fits")
    assert list(read.select([3]).fibres) == [7]
    # Of an image's fibermap in another order.
    spextral.write_frame(tmp_path / "of.fits", small[3].select([5, 3]), small[1])
    assert list(spextral.read_frame(tmp_path / "of.fits").fibres) == [5, 3]


def test_cards_take_what_a_card_can_hold(small, tmp_path):
    frame = copy.deepcopy(small[3])
    frame.header.update(FLAG=np.bool_(True), COUNT=np.int64(3), NAMED=("me", "who it was"), SPXFLAG=1)
    header, _ = written(tmp_path / "cards.fits", frame)
    assert header["FLAG"] is True and header["COUNT"] == 3 and header["NAMED"] == "me"
    assert header.comments["NAMED"] == "who it was"
    read = spextral.read_frame(tmp_path / "cards.fits")
    read.header["COUNT"] = True
    assert written(tmp_path / "again.fits", read)[0]["COUNT"] is True
    read.header["COUNT"] = [1, 2]
    with pytest.raises(spextral.InputError, match="card COUNT is of type list"):
        spextral.write_frame(tmp_path / "x.fits", read)


def test_frames_cut_by_hand_that_do_not_fit_together_are_refused(small, tmp_path):
    frame = copy.deepcopy(small[3])
    for name in CUT:
        frame[name] = frame[name][3:6]
    with pytest.raises(spextral.InputError, match="fibermap has shape .*frame.select"):
        spextral.write_frame(tmp_path / "x.fits", frame)
    frame["fibermap"] = {name: column[3:6] for name, column in frame.fibermap.items()}
    with pytest.raises(spextral.InputError, match="summary is of 10 fibres"):
        spextral.report(frame)
    frame["summary"] = None
    assert list(written(tmp_path / "x.fits", frame)[1]["FIBER"]) == [3, 4, 5]
    frame["Rdiags"] = frame["Rdiags"].transpose(2, 1, 0)
    with pytest.raises(spextral.InputError, match="Rdiags has shape"):
        spextral.write_frame(tmp_path / "y.fits", frame)


def test_numbers_of_fibres_with_gaps_stay(small, tmp_path):
    psf = small[0]
    wave, rows = np.linspace(6500, 6600, 40), [3, 5, 9]
    x, y = (trace[rows].ravel() for trace in psf.traces(wave))
    fibre = np.repeat(rows, len(wave))
    ones, shape = np.ones(len(fibre)), small[1].shape
    gaps, _ = spextral.Psf.from_traces(fibre, np.tile(wave, 3), x, y, 1.1 * ones, 1.1 * ones, ccd_shape=shape)
    preproc, _ = spextral.simulate(gaps, seed=1)
    frame = spextral.extract_frame({"image": preproc.image, "ivar": preproc.ivar}, gaps, device="cpu")
    assert list(frame.fibres) == rows
    assert list(written(tmp_path / "gaps.fits", frame)[1]["FIBER"]) == rows
    assert list(spextral.read_frame(tmp_path / "gaps.fits").fibres) == rows


def test_spectra_in_another_unit_are_refused(small, tmp_path):
    spextral.write_frame(tmp_path / "frame.fits", small[3])
    # Frames of gpu_specter have the unit of their image.
    good = ["electron / Angstrom", "electron"]
    for unit in [*good, "10**-17 erg/(s cm2 Angstrom)", "photon/bin", "electron/s", "electron/bin"]:
        with fits.open(tmp_path / "frame.fits", "update") as hdus:
            hdus["FLUX"].header["BUNIT"] = unit
            for hdu in hdus:
                hdu.header.remove("CHECKSUM", ignore_missing=True)
                hdu.header.remove("DATASUM", ignore_missing=True)
        if unit in good:
            spextral.read_frame(tmp_path / "frame.fits")
        else:
            with pytest.raises(spextral.FileError, match="BUNIT is"):
                spextral.read_frame(tmp_path / "frame.fits")


def test_marks_of_pixels_count_however_they_are_given(small, tmp_path):
    image, ivar = np.array(small[1].image), np.array(small[1].ivar)
    bad = np.zeros(image.shape, "i4")
    bad[80:120] = 1
    bits = spextral.Preproc(image, ivar, bad)
    assert (bits.ivar[80:120] == 0).all() and (bits.ivar[:80] > 0).mean() > 0.9
    given = [{"image": image, "ivar": ivar, "mask": bad}, {"image": image, "ivar": ivar, "mask": bad != 0}]
    for made in [*map(spextral.Preproc, given), spextral.Preproc(image, ivar, bad != 0)]:
        assert np.array_equal(made.ivar, bits.ivar)
    assert spextral.Preproc({"image": image, "ivar": ivar, "header": {"CAMERA": "r1"}}).header["CAMERA"] == "r1"
    # Bits of a frame that is there already.
    high = spextral.Preproc(image, ivar, bad << 20)
    assert (high.ivar[80:120] > 0).any()
    assert (spextral.Preproc(high, mask_bits=1 << 20).ivar[80:120] == 0).all()
    with pytest.raises(spextral.InputError, match="without a mask"):
        spextral.Preproc(spextral.Preproc(image, ivar), mask_bits=1)


def test_hdus_that_are_edited_in_memory_need_no_sums(small, tmp_path):
    small[1].write(tmp_path / "p.fits")
    with fits.open(tmp_path / "p.fits") as hdus:
        hdus["IVAR"].data[50:60] = 0
        preproc = spextral.Preproc(hdus)
        assert (preproc.ivar[50:60] == 0).all() and (preproc.ivar[:50] > 0).any()
        hdus["IVAR"].data = hdus["IVAR"].data[:-1]
        with pytest.raises(spextral.FileError, match="^the HDUList, HDU 1 .IVAR.: shape is"):
            spextral.Preproc(hdus)


def test_a_header_in_another_unit_is_refused(small):
    image, ivar = small[1].image, small[1].ivar
    with pytest.raises(spextral.InputError, match="BUNIT is adu"):
        spextral.Preproc(image, ivar, header={"BUNIT": "adu"})
    # The unit of a CCDData is its own, whatever a card was before.
    meta = fits.Header([("BUNIT", "adu"), ("CAMERA", "r1", "where"), ("COMMENT", "one"), ("COMMENT", "two")])
    for cards in (meta, {"bunit": "adu", "CAMERA": "r1", "COMMENT": ["one", "two"]}):
        ccd = CCDData(np.array(image), unit=u.electron, uncertainty=InverseVariance(np.array(ivar)), meta=cards)
        made = spextral.Preproc(ccd)
        assert np.array_equal(made.image, image) and made.header == {"CAMERA": "r1", "COMMENT": ["one", "two"]}


def test_threads_and_devices_are_numbers_within_reason(small):
    psf, preproc = small[:2]
    for threads in (0, 10**6):
        with pytest.raises(spextral.InputError, match=f"threads is {threads}: give 1 to"):
            spextral.extract_frame(preproc, psf, device="cpu", threads=threads)
        with pytest.raises(spextral.InputError, match=f"threads is {threads}: give 1 to"):
            spextral.shift_psf(preproc, psf, threads=threads)
    with pytest.raises(spextral.DeviceError):
        spextral.extract_frame(preproc, psf, device=77)
    with pytest.raises(spextral.InputError, match="broken_fibres has 99"):
        spextral.fit_psf(preproc, psf, "builtin:Ne", broken_fibres=[99])


def test_paths_and_a_bar_serve_for_a_shift_as_for_an_extraction(small, tmp_path, capfd):
    psf, preproc = small[:2]
    psf.write(tmp_path / "psf.fits")
    preproc.write(tmp_path / "p.fits")
    shifted, _ = spextral.shift_psf(tmp_path / "p.fits", tmp_path / "psf.fits", progress=True)
    assert "bundle" in capfd.readouterr().err
    read = spextral.read_preproc(tmp_path / "p.fits"), spextral.read_psf(tmp_path / "psf.fits")
    assert shifted == spextral.shift_psf(*read, progress=False)[0]
    with pytest.raises(spextral.InputError, match="progress is 3: give True"):
        spextral.shift_psf(preproc, psf, progress=3)


def test_comments_of_a_header_stay(small):
    header = {"COMMENT": ["one", "two"], "HISTORY": "three", "CAMERA": "r1"}
    made = spextral.Preproc(small[1].image, small[1].ivar, header=header)
    assert made.header == {"COMMENT": ["one", "two"], "HISTORY": ["three"], "CAMERA": "r1"}


def test_pages_are_files_as_any_other(small, tmp_path):
    page = spextral.report(small[3])
    page.write(tmp_path / "page.html")
    other = tmp_path / "other"
    other.touch()
    assert (tmp_path / "page.html").stat().st_mode == other.stat().st_mode
    with pytest.raises(spextral.FileError, match="exists already"):
        page.write(tmp_path / "page.html")
    with pytest.raises(spextral.FileError, match="cannot write"):
        page.write(tmp_path / "none" / "page.html")
    with pytest.raises(spextral.InputError, match="ends with .html"):
        page.write(tmp_path / "page.pdf")
