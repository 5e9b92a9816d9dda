"""find_traces, fit_psf and shift_psf: PSFs that flats, arcs and frames give."""

import subprocess
import sys

import numpy as np
import pytest
import spextral


def lines_of(psf, count):
    """Wavelengths at uneven distances over the range."""
    k = np.arange(count)
    return psf.wave_min + (psf.wave_max - psf.wave_min) / count * (k + 0.5 + 0.3 * np.sin(2.3 * k))


def test_a_frame_gives_the_shift_of_its_traces(psf):
    x, y = psf.traces([6600.0])
    seen = []
    frame = spextral.simulate(psf, seed=5, exptime=3000)[0]
    shifted, report = spextral.shift_psf(frame, psf, progress=lambda done, total: seen.append((done, total)))
    assert report["sentence"] is None and abs(report["dx"]["mean"]) < 0.01, report
    assert seen[-1] == (2, 2) and [b["first"] for b in report["bundles"]] == [0, 25]
    assert np.abs(shifted.traces([6600.0])[0] - x).max() < 0.05
    assert spextral.shift_psf(frame, psf, threads=1)[0] == shifted
    _, without = spextral.shift_psf(frame, psf, lines=False)
    assert without["dy"] is None and without["ln_sigma_y"] is None and without["dx"] is not None
    with pytest.raises(spextral.InputError, match="line_sigma is -1"):
        spextral.shift_psf(frame, psf, line_sigma=-1)


def test_a_frame_without_lines_that_are_listed_keeps_the_start(psf, preproc):
    seen = []
    fitted, report = spextral.fit_psf(
        preproc, psf, lines_of(psf, 12), find_lines=False, progress=lambda done, total: seen.append((done, total))
    )
    assert len(report["status"]) == psf.nfibre and seen[-1] == (2, 2)
    failed = [bundle for bundle in report["bundles"] if bundle["reason"]]
    for bundle in failed:
        own = slice(bundle["first"], bundle["last"] + 1)
        assert np.array_equal(fitted.traces([6600.0])[0][own], psf.traces([6600.0])[0][own])
    with pytest.raises(spextral.InputError, match="lines has 600,"):
        spextral.fit_psf(preproc, psf, [600.0])
    with pytest.raises(spextral.InputError, match="no arc frame"):
        spextral.fit_psf([], psf, lines_of(psf, 12))
    with pytest.raises(spextral.FileError):
        spextral.fit_psf([preproc], psf, "no-such-list.txt")


def test_a_flat_and_an_arc_alone_give_a_start_with_the_traces_of_the_instrument(tmp_path):
    def run(words):
        subprocess.run([sys.executable, "-m", "spextral", *words.split()], cwd=tmp_path, check=True)

    run("make-psf -o true.fits --nfibre 12 --bundlesize 12 --npix-y 420 --spacing 6.3 --ghdeg 2 --legdeg 1")
    psf = spextral.read_psf(tmp_path / "true.fits")
    lines = lines_of(psf, 14)
    (tmp_path / "lines.txt").write_text("# vacuum\n" + "".join(f"{line} Xx\n" for line in lines))
    run("simulate -p true.fits -o flat.fits --flat --seed 9")
    run("simulate -p true.fits -o arc.fits --arc lines.txt --seed 9")
    flat, arc = (spextral.read_preproc(tmp_path / name) for name in ("flat.fits", "arc.fits"))
    start, report = spextral.find_traces(flat, arc, lines, nfibre=12, ghdeg=2, legdeg=1)
    assert start.nfibre == 12 and len(report["lines"]) >= 10 and report["rms"] < 0.1 and report["dark"] == []
    wave = [0.5 * (psf.wave_min + psf.wave_max)]
    for found, true in zip(start.traces(wave)[:2], psf.traces(wave)[:2]):
        assert np.abs(found - true).max() < 0.3
    assert spextral.find_traces(flat, arc, tmp_path / "lines.txt", threads=1, ghdeg=2, legdeg=1)[0] == start
    with pytest.raises(spextral.InputError, match="flat: .*not 40"):
        spextral.find_traces(flat, arc, lines, nfibre=40)
    with pytest.raises(spextral.InputError, match="dispaxis is 3"):
        spextral.find_traces(flat, arc, lines, dispaxis=3)
