"""fit_psf and shift_psf: PSFs that arcs and frames give."""

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
