"""The unmodified desi_extract_spectra of desispec, on spextral by the package in python/compat, against our command line."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from test_mpi import mpirun

GRID = "6550.0,6650.0,0.8"
NAMES = ["FLUX", "IVAR", "RESOLUTION", "CHI2PIX"]

pytest.importorskip("gpu_specter", reason="python/compat is not installed; `cargo xtask python` installs it")
pytest.importorskip("desispec", reason="no desispec here")


@pytest.fixture(scope="module")
def folder(psf, preproc, binary, tmp_path_factory):
    """A frame, and what the command line makes of it."""
    folder = tmp_path_factory.mktemp("desi")
    psf.write(folder / "psf.fits")
    # The mask is desispec's to apply.
    subprocess.run([binary, *"simulate -p psf.fits -o preproc.fits --seed 3 --cosmics 5 --bad-columns 2".split()], cwd=folder, check=True)
    extract = [binary, *"extract -i preproc.fits -p psf.fits --device cpu -w".split(), GRID]
    subprocess.run([*extract, "-o", "frame.fits", "-m", "model.fits"], cwd=folder, check=True)
    subprocess.run([*extract, "-o", "barycentric.fits", "--barycentric-correction"], cwd=folder, check=True)
    return folder


@pytest.fixture(autouse=True)
def device(monkeypatch):
    monkeypatch.setenv("SPEXTRAL_DEVICE", "cpu")
    monkeypatch.setenv("DESI_LOGLEVEL", "WARNING")


def script():
    path = shutil.which("desi_extract_spectra", path=str(Path(sys.executable).parent))
    assert path is not None, "desispec has brought no desi_extract_spectra"
    return path


def words(output, *more):
    return [script(), *f"-i preproc.fits -p psf.fits -n 50 -w {GRID} -o {output}".split(), *more]


def desi(folder, output, *more, **run):
    return subprocess.run([sys.executable, *words(output, *more)], cwd=folder, **{"check": True, **run})


def same(folder, output, model=None):
    with fits.open(folder / output) as theirs, fits.open(folder / "frame.fits") as ours:
        for name in NAMES:
            assert theirs[name].data.dtype == ours[name].data.dtype
            assert np.array_equal(theirs[name].data, ours[name].data), name
        np.testing.assert_allclose(theirs["WAVELENGTH"].data, ours["WAVELENGTH"].data, rtol=0, atol=1e-9)
        # SOMEBADPIX and ALLBADPIX; the rule for BAD2DFIT is desispec's own.
        assert np.array_equal(theirs["MASK"].data & 3, ours["MASK"].data & 3) and (ours["MASK"].data & 1).any()
        assert theirs[0].header["SPECTER"].endswith("spextral")
        assert list(theirs["FIBERMAP"].data["FIBER"]) == list(range(50))
    if model is not None:
        assert np.array_equal(fits.getdata(folder / model), fits.getdata(folder / "model.fits"))


def test_one_process_makes_the_command_lines_frame_and_model(folder):
    desi(folder, "one.fits", "-m", "one-model.fits")
    same(folder, "one.fits", "one-model.fits")


def test_ranks_of_mpi_make_the_same(folder):
    # More ranks than bundles.
    mpirun(3, *words("mpi.fits", "--mpi", "-m", "mpi-model.fits"), cwd=folder)
    same(folder, "mpi.fits", "mpi-model.fits")


def test_a_parallel_coordinator_makes_the_same(folder):
    # As desi_proc does on GPU nodes: two of the ranks read and write.
    program = "import sys; from mpi4py import MPI; from desispec.scripts import extract; from gpu_specter import mpi; "
    program += "coordinator = mpi.ParallelIOCoordinator(MPI.COMM_WORLD); "
    program += "[extract.main_gpu_specter(extract.parse(sys.argv[1:] + ['-o', o]), coordinator=coordinator) for o in ('a.fits', 'b.fits')]"
    mpirun(4, "-c", program, *words("a.fits")[1:], cwd=folder)
    same(folder, "a.fits")
    same(folder, "b.fits")


def test_a_barycentric_frame_is_the_command_lines(folder):
    desi(folder, "theirs.fits", "--barycentric-correction", "-m", "theirs-model.fits")
    with fits.open(folder / "theirs.fits") as theirs, fits.open(folder / "barycentric.fits") as ours:
        # Their factor is astropy's.
        assert abs(theirs[0].header["HELIOCOR"] - ours[0].header["HELIOCOR"]) < 1e-9
        assert abs(ours[0].header["HELIOCOR"] - 1) > 1e-6
        off = np.abs(theirs["FLUX"].data - ours["FLUX"].data) * np.sqrt(ours["IVAR"].data)
        assert off.max() < 1e-3
        np.testing.assert_allclose(theirs["IVAR"].data, ours["IVAR"].data, rtol=1e-5)
        np.testing.assert_allclose(theirs["RESOLUTION"].data, ours["RESOLUTION"].data, atol=1e-5)


def test_what_is_not_here_is_refused_when_it_is_called(folder):
    run = desi(folder, "no.fits", "--use-specter", check=False, capture_output=True, text=True)
    assert run.returncode != 0 and "leave out --use-specter" in run.stderr and not (folder / "no.fits").exists()
    environment = {**os.environ, "SPEXTRAL_TOLERANCE": "much"}
    run = desi(folder, "no.fits", check=False, capture_output=True, text=True, env=environment)
    assert run.returncode != 0 and "SPEXTRAL_TOLERANCE is 'much'" in run.stderr


def test_an_input_that_is_missing_ends_all_ranks(folder):
    with pytest.raises(subprocess.CalledProcessError):
        mpirun(2, *[w.replace("preproc.fits", "none.fits") for w in words("no.fits", "--mpi")], cwd=folder)
    assert not (folder / "no.fits").exists()


@pytest.mark.parametrize("obstype", ["SCIENCE", "SKY", "ARC", "FLAT"])
def test_a_night_is_extracted_by_the_options_of_desi_proc(tmp_path, obstype):
    source = Path(pytest.importorskip("desispec.scripts").__path__[0], "proc.py").read_text()
    waves = {camera: wave for camera, wave in re.findall(r"startswith\('(\w)'\):\n\s+cmd \+= ' -w ([\d.,]+)'", source)}
    blue, others = re.findall(r"cmd \+= ' --psferr ([\d.]+)'", source)
    [condition] = re.findall(r"if (args.obstype == .+):\n\s+if not args.no_barycentric_correction", source)
    suffix = re.search(r'framefile = finalframefile.replace\("\.fits","(.+)\.fits"\)', source).group(1)

    folder = tmp_path / "preproc/20200314/00051060"
    folder.mkdir(parents=True)
    for camera in waves:
        image = fits.PrimaryHDU(np.ones((4, 4), "f4"), fits.Header({"OBSTYPE": obstype}))
        image.writeto(folder / f"preproc-{camera}0-00051060.fits.gz")
    words = ["exposure", "--reduxdir", str(tmp_path), "--night", "20200314", "--expid", "51060", "--dry-run"]
    run = subprocess.run([sys.executable, "-m", "spextral", *words], check=True, capture_output=True, text=True)
    rows = list(csv.DictReader(run.stdout.splitlines()))
    assert len(rows) == len(waves) == 3
    for row in rows:
        camera = Path(row["input"]).name.split("-")[1]
        assert [float(w) for w in row["wavelength"].split(",")] == [float(w) for w in waves[camera[0]].split(",")]
        assert float(row["psferr"]) == float(blue if camera[0] == "b" else others)
        assert row["output"].endswith(f"frame-{camera}-00051060{suffix}.fits")
        of_sky = eval(condition.replace("args.obstype", repr(obstype)))
        assert (row.get("barycentric-correction") == "true") == of_sky
