"""Pages, pictures, comparisons, whole nights and the command line from Python."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import spextral
from conftest import WAVELENGTH


def test_a_report_shows_its_frame_and_can_be_written(frame, preproc, tmp_path):
    page = spextral.report(frame, preproc)
    assert "<html" in page.html and "srcdoc=" in page._repr_html_()
    assert len(spextral.report(frame).html) < len(page.html)
    page.write(tmp_path / "page.html")
    with pytest.raises(spextral.FileError, match="overwrite=True"):
        page.write(tmp_path / "page.html")
    page.write(tmp_path / "page.html", overwrite=True)
    assert (tmp_path / "page.html").read_text() == page.html and len(list(tmp_path.iterdir())) == 1
    assert pickle.loads(pickle.dumps(page)).warnings == page.warnings
    spextral.write_frame(tmp_path / "frame.fits", frame)
    with pytest.raises(spextral.InputError, match="needs a model"):
        spextral.report(tmp_path / "frame.fits", preproc)


def test_frames_compare_in_memory_and_on_disk(psf, preproc, frame, tmp_path):
    spextral.write_frame(tmp_path / "frame.fits", frame)
    assert spextral.compare(frame, frame, tolerance=0.0)["within"] is True
    assert spextral.compare(tmp_path / "frame.fits", frame, tolerance=1e-4)["within"] is True
    other = spextral.Frame(frame)
    other["specflux"] = frame.flux + 1
    found = spextral.compare(other, frame, tolerance=1e-4)
    assert found["within"] is False and found["fibres"] == 50 and "sigma" in found["text"]
    with pytest.raises(spextral.InputError, match="a second frame, or a truth"):
        spextral.compare(frame)


def test_a_frame_is_compared_with_its_truth(psf):
    preproc, truth = spextral.simulate(psf, seed=5, wavelength=WAVELENGTH)
    frame = spextral.extract_frame(preproc, psf, wavelength=WAVELENGTH, device="cpu")
    assert abs(spextral.compare(frame, truth=truth)["std"] - 1) < 0.1
    assert "chi" in spextral.report(frame, truth=truth).html


def test_a_psf_is_drawn(psf, preproc, tmp_path):
    psf.write(tmp_path / "psf.fits")
    for picture in (spextral.plot_psf(psf, preproc), spextral.plot_psf(tmp_path / "psf.fits")):
        assert picture.png.startswith(b"\x89PNG") and picture._repr_png_() == picture.png


def test_many_frames_are_extracted_from_rows(psf, preproc, frame, tmp_path):
    psf.write(tmp_path / "psf.fits")
    preproc.write(tmp_path / "preproc.fits")
    row = {"input": tmp_path / "preproc.fits", "psf": tmp_path / "psf.fits"}
    rows = [{**row, "output": tmp_path / "a.fits"}, {**row, "output": tmp_path / "b.fits", "nspec": 3}]
    done = spextral.exposure(rows, wavelength=WAVELENGTH, device="cpu")
    assert [one["status"] for one in done["frames"]] == ["done", "done"]
    assert np.allclose(spextral.read_frame(tmp_path / "a.fits").flux, frame.flux, rtol=1e-6)
    assert len(spextral.read_frame(tmp_path / "b.fits").flux) == 3
    # A frame that exists fails, which is no error of the run.
    assert spextral.exposure(rows[:1], device="cpu")["frames"][0]["status"] == "failed"
    with pytest.raises(spextral.Error, match="none.csv"):
        spextral.exposure(tmp_path / "none.csv")
    with pytest.raises(spextral.InputError, match="--no-such"):
        spextral.exposure(rows, no_such=True)


def test_the_command_line_is_part_of_the_package(tmp_path):
    def run(*words):
        return subprocess.run([sys.executable, "-m", "spextral", *words], cwd=tmp_path, capture_output=True, text=True)

    assert run("--version").stdout.startswith(f"spextral {spextral.__version__}")
    made = run("make-psf", "-o", "psf.fits", "--nfibre", "5", "--npix-y", "200")
    assert made.returncode == 0 and (tmp_path / "psf.fits").exists()
    failed = run("plot-psf", "none.fits")
    assert failed.returncode == 1 and failed.stderr.startswith("error: ") and run("extract", "--nothing").returncode == 2
