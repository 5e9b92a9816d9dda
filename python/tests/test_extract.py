"""extract_frame: the numbers of the command line, whatever way the pixels come, and good manners meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import spextral
from astropy.io import fits
from conftest import WAVELENGTH

SPECTRA = ["specflux", "specivar", "specmask", "wave", "Rdiags", "pixmask_fraction", "chi2pix"]


def same(a, b, names=SPECTRA):
    return all(np.array_equal(a[name], b[name]) for name in names)


def extract(preproc, psf, **options):
    return spextral.extract_frame(preproc, psf, **{"wavelength": WAVELENGTH, "device": "cpu", **options})


def test_a_written_frame_is_the_command_lines(psf, preproc, frame, binary, tmp_path):
    psf.write(tmp_path / "psf.fits")
    preproc.write(tmp_path / "preproc.fits.gz")
    words = ["extract", "-i", "preproc.fits.gz", "-p", "psf.fits", "-o", "frame.fits", "-m", "model.fits"]
    grid = ",".join(map(str, WAVELENGTH))
    subprocess.run([binary, *words, "-w", grid, "--device", "cpu"], cwd=tmp_path, check=True)

    # From the files as well as from memory.
    read = spextral.read_preproc(tmp_path / "preproc.fits.gz")
    again = extract(read, str(tmp_path / "psf.fits"), model=True)
    assert same(again, frame, [*SPECTRA, "modelimage"])
    spextral.write_frame(tmp_path / "ours.fits", again, read)
    with fits.open(tmp_path / "frame.fits") as theirs, fits.open(tmp_path / "ours.fits") as ours:
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
        for a, b in zip(ours, theirs):
            assert a.data.tobytes() == b.data.tobytes(), a.name
        # What Python can't know: names of files and the command's words.
        assert set(theirs[0].header) - set(ours[0].header) == {"IN_PSF", "IN_IMG", "SPXB3PSF", "SPXB3IMG", "SPXOPT"}
        assert all(theirs[0].header[key] == ours[0].header[key] for key in ours[0].header if "SUM" not in key)
    assert np.array_equal(fits.getdata(tmp_path / "model.fits"), again["modelimage"])


def test_pixels_may_be_of_any_real_type_byte_order_and_strides(psf, preproc, frame):
    image, ivar = preproc.image, preproc.ivar
    wide = np.zeros((image.shape[0], 2 * image.shape[1]))
    wide[:, ::2] = image
    for pixels in (image.astype(">f4"), image.astype("<f8"), image.astype(">f8"), np.asfortranarray(image), wide[:, ::2]):
        assert same(extract({"image": pixels, "ivar": ivar}, psf), frame)


def test_any_number_of_threads_gives_the_same_bits(psf, preproc, frame):
    assert same(extract(preproc, psf, threads=1), frame) and same(extract(preproc, psf, threads=3), frame)


def test_a_selection_of_fibres_is_that_of_the_whole(psf, preproc, frame):
    part = extract(preproc, psf, specmin=7, nspec=30)
    assert part["specflux"].shape[0] == 30 and np.array_equal(part["specflux"], frame["specflux"][7:37])
    assert part["modelimage"] is None and part["summary"]["specmin"] == 7


def test_groups_follow_from_the_psf_and_a_size_that_cuts_fibres_apart_is_a_warning(psf, preproc, frame):
    assert frame["summary"]["bundles"] == [25, 25] and frame["summary"]["forced_cut"] is None
    assert same(extract(preproc, psf, bundlesize=25), frame) and same(extract(preproc, psf, bundlesize="auto"), frame)
    with pytest.warns(spextral.ExtractionWarning, match="cut between fibres .* bundlesize 25 fits, or bundlesize='auto'"):
        forced = extract(preproc, psf, bundlesize=20, nsubbundles=3, nspec=5)
    assert forced["summary"]["bundles"] == [20, 20, 10] and "fibres" in forced["summary"]["forced_cut"]
    with pytest.raises(spextral.InputError, match='give a whole number, or "auto"'):
        extract(preproc, psf, bundlesize="all")


def test_a_step_that_does_not_suit_the_psf_is_a_warning(psf, preproc):
    with pytest.warns(spextral.ExtractionWarning, match="0.8 Angstrom suits this PSF"):
        extract(preproc, psf, wavelength=(6580.0, 6620.0, 2.0), nspec=2)


def test_mask_bits_take_the_weight_of_pixels(psf, preproc):
    mask = np.zeros(preproc.shape, np.uint16)
    mask[100] = 1 << 8
    mask[200] = 1 << 4
    masked = spextral.Preproc(preproc.image, preproc.ivar, mask)
    assert np.array_equal(masked.ivar[100], preproc.ivar[100]) and not masked.ivar[200].any()


def test_pixels_that_no_arithmetic_should_meet_are_masked_with_a_warning(psf, preproc):
    image = preproc.image.copy()
    image[150, 100:104] = [np.nan, np.inf, -np.inf, 1e39] if image.dtype == "f8" else [np.nan, np.inf, -np.inf, np.inf]
    with pytest.warns(spextral.ExtractionWarning, match="4 pixels are not finite"):
        frame = extract({"image": image, "ivar": preproc.ivar}, psf)
    assert all(np.isfinite(frame[name]).all() for name in SPECTRA)


def test_a_barycentric_factor_moves_the_grid(psf, preproc):
    factor = preproc.barycentric_factor()
    wmin, wmax, dw = WAVELENGTH
    moved = extract(preproc, psf, barycentric=factor)
    by_hand = extract(preproc, psf, wavelength=(wmin / factor, wmax / factor, dw / factor))
    assert np.array_equal(moved["wave"], extract(preproc, psf, nspec=1)["wave"])
    chi = (moved["specflux"] - by_hand["specflux"]) * np.sqrt(by_hand["specivar"])
    assert abs(factor - 1) > 1e-6 and np.abs(chi).max() < 1e-4


def test_progress_is_told_to_the_calling_thread(psf, preproc):
    told = []
    extract(preproc, psf, progress=lambda done, total: told.append((done, total, threading.get_ident())))
    assert told[-1][:2] == (2, 2) and {thread for _, _, thread in told} == {threading.get_ident()}


def test_progress_may_be_true(psf, preproc, capfd):
    extract(preproc, psf, progress=True)
    assert "2" in capfd.readouterr().err
    with pytest.raises(spextral.InputError, match="progress is 3"):
        extract(preproc, psf, progress=3)


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error(psf, preproc):
    if any(device["index"] is not None and "software" not in device["kind"] for device in spextral.devices()):
        pytest.skip("there is a GPU")
    with pytest.raises(spextral.DeviceError, match="there is no GPU"):
        spextral.extract_frame(preproc, psf, wavelength=WAVELENGTH, gpu=True)


def test_an_exception_of_progress_ends_the_work(psf, preproc):
    told = []

    def progress(done, total):
        told.append(done)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        extract(preproc, psf, solver="patches", progress=progress)
    assert len(told) == 1


def test_ctrl_c_ends_the_work(psf, preproc):
    # A shell's background jobs begin with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun, last = threading.Event(), []

    def interrupt():
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    def progress(done, total):
        last.append(done)
        begun.set()

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        # Long patches, so that the work lasts seconds.
        options = {"solver": "patches", "nwavestep": 200}
        spextral.extract_frame(preproc, psf, device="cpu", threads=1, progress=progress, **options)
    thread.join()
    assert last[-1] < 2


def test_other_python_threads_run_meanwhile(psf, preproc):
    done, ticks = threading.Event(), []

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(1e-3)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.monotonic()
    extract(preproc, psf, solver="patches")
    end = time.monotonic()
    done.set()
    thread.join()
    assert sum(start < at < end for at in ticks) > 10


def in_child(psf, image, ivar, queue):
    queue.put(spextral.extract_frame({"image": image, "ivar": ivar}, psf, wavelength=WAVELENGTH, device="cpu"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_child_of_a_fork_extracts_too(psf, preproc, frame):
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=in_child, args=(psf, preproc.image, preproc.ivar, queue))
    child.start()
    theirs = queue.get(timeout=120)
    child.join()
    assert same(theirs, frame)


def test_errors_are_the_sentences_of_the_command_line(psf, preproc, tmp_path):
    def sentence(kind, work):
        with pytest.raises(kind) as error:
            work()
        assert isinstance(error.value, spextral.Error)
        return str(error.value)

    assert "no device matches" in sentence(RuntimeError, lambda: extract(preproc, psf, device="nosuch"))
    assert "tolerance is 2e0 sigma" in sentence(ValueError, lambda: extract(preproc, psf, tolerance=2.0))
    assert "give nspec at most 50" in sentence(ValueError, lambda: extract(preproc, psf, nspec=51))
    assert "specmin is -1" in sentence(ValueError, lambda: extract(preproc, psf, specmin=-1))
    assert "reaches outside the PSF's" in sentence(ValueError, lambda: extract(preproc, psf, wavelength="5000,6000,1"))
    assert "solver is 'x'" in sentence(ValueError, lambda: extract(preproc, psf, solver="x")).replace('"', "'")
    assert "precision is" in sentence(ValueError, lambda: extract(preproc, psf, precision="f16"))
    assert "max_device_memory is -1" in sentence(ValueError, lambda: extract(preproc, psf, max_device_memory=-1))
    assert "cannot read" in sentence(OSError, lambda: spextral.read_psf(tmp_path / "none.fits"))
    (tmp_path / "text.fits").write_text("no FITS")
    assert "is not a FITS file" in sentence(OSError, lambda: spextral.read_preproc(tmp_path / "text.fits"))
    small = {"image": np.ones((40, 40)), "ivar": np.ones((40, 40))}
    assert "the PSF is for a CCD of 420 x 400" in sentence(ValueError, lambda: extract(small, psf))
    other = {"image": np.ones((40, 40)), "ivar": np.ones((40, 41))}
    assert "ivar has shape [40, 41], [40, 40] is needed" in sentence(ValueError, lambda: extract(other, psf))
    complex_ = {"image": np.ones((4, 4), complex), "ivar": np.ones((4, 4))}
    assert "complex128: give real numbers" in sentence(ValueError, lambda: extract(complex_, psf))
    assert "wave is a masked array" in sentence(ValueError, lambda: psf.traces(np.ma.ones(4)))
    assert "image is of type NoneType" in sentence(ValueError, lambda: extract(None, psf))


def test_a_frame_that_exists_is_replaced_only_when_asked(frame, preproc, tmp_path):
    path = tmp_path / "frame.fits"
    spextral.write_frame(path, frame, preproc)
    with pytest.raises(spextral.FileError, match="exists already.*with overwrite=True"):
        spextral.write_frame(path, frame)
    spextral.write_frame(path, dict(frame), scores=False, overwrite=True)
    with fits.open(path) as hdus:
        assert "SCORES" not in hdus and list(hdus["FIBERMAP"].data["FIBER"]) == list(frame.fibres)
    with pytest.raises(spextral.InputError, match=r"chi2pix has shape \[3\]"):
        spextral.write_frame(path, {**frame, "chi2pix": np.ones(3)}, overwrite=True)


def test_seconds_are_told(psf, preproc):
    timing = {}
    extract(preproc, psf, timing=timing)
    assert timing["extract"] > 0 and timing["extract-goodness"] > 0
