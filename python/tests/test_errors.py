"""Errors that programs tell apart: by class, by errno, and before memory ends the process."""

import errno
import subprocess
import sys

import numpy as np
import pytest
import spextral


def test_a_file_that_is_not_there_is_a_file_not_found_error(tmp_path):
    for read in (spextral.read_frame, spextral.read_psf, spextral.read_preproc):
        with pytest.raises(FileNotFoundError, match="none.fits.*check the path") as caught:
            read(tmp_path / "none.fits")
        assert caught.value.errno == errno.ENOENT
        assert isinstance(caught.value, spextral.FileError)
    (tmp_path / "bad.fits").write_bytes(b"no FITS file")
    with pytest.raises(spextral.FileError) as caught:
        spextral.read_psf(tmp_path / "bad.fits")
    assert caught.value.errno is None
    assert not isinstance(caught.value, FileNotFoundError)


def test_columns_with_more_axes_than_a_table_has_are_refused(tmp_path):
    psf = spextral.make_psf(5, wave=(6500, 6540), npix_y=120)
    preproc, _ = spextral.simulate(psf)
    frame = spextral.extract_frame(preproc, psf, device="cpu")
    for column, words in [(np.array([["a", "bb"]] * 5), "2 axes.*strings"), (np.zeros((5, 2, 3)), "3 axes.*numbers")]:
        edited = frame.copy()
        edited["fibermap"] = {**frame["fibermap"], "X": column}
        with pytest.raises(spextral.InputError, match=f"column X of the fibermap has {words}"):
            spextral.write_frame(tmp_path / "frame.fits", edited)


def test_numbers_beyond_their_type_are_refused_as_other_values():
    psf = spextral.make_psf(5, wave=(6500, 6540), npix_y=120)
    preproc, _ = spextral.simulate(psf)
    for call in (
        lambda: spextral.simulate(psf, seed=-1),
        lambda: spextral.simulate(psf, seed=2**70),
        lambda: spextral.simulate(psf, bad_columns=-3),
        lambda: spextral.make_psf(-5),
        lambda: psf.traces([6510.0], specmin=-1),
        lambda: spextral.extract_frame(preproc, psf, nspec=2**70),
    ):
        with pytest.raises(spextral.InputError, match="whole number"):
            call()
    with pytest.raises(TypeError, match="seed"):
        spextral.simulate(psf, seed="3")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_more_spots_than_memory_holds_are_a_memory_error():
    program = """
import resource
import numpy, spextral
psf = spextral.make_psf(10, wave=(6500, 6600), npix_y=220)
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
for call in (psf.spots, psf.traces):
    try:
        call(numpy.linspace(6500, 6600, 10**7))
    except MemoryError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("10 fibres at 10000000 wavelengths take") for line in lines)
