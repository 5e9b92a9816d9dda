"""The building blocks: PSF evaluation, Cholesky, Jacobi; and devices."""

import pickle

import numpy as np
import pytest
import spextral

RNG = np.random.default_rng(7)


def positive(*shape):
    half = RNG.normal(size=shape)
    return half @ np.swapaxes(half, -1, -2) + shape[-1] * np.eye(shape[-1])


def software_gpu():
    for device in spextral.devices():
        if device["kind"] != "CPU" and device["refused"] is None:
            return str(device["index"])
    pytest.skip("no GPU here, not even one in software (Mesa's lavapipe)")


def ways(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return array, array.astype(">f8"), wide[..., ::2], np.asfortranarray(array)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4, 4), (2, 3, 17, 17), (0, 5, 5)])
def test_cholesky_is_numpys(shape):
    matrices = positive(*shape)
    expected = np.linalg.cholesky(matrices)
    for way in ways(matrices):
        np.testing.assert_allclose(spextral.cholesky(way), expected, rtol=1e-12, atol=1e-12)
    rough = spextral.cholesky(matrices.astype("f4"))
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, expected, rtol=1e-5, atol=1e-5)


def test_one_and_several_right_sides_are_solved():
    matrices = positive(3, 6, 6)
    one, several = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 2, 6))
    np.testing.assert_allclose(np.einsum("bij,bj->bi", matrices, spextral.cholesky_solve(matrices, one)), one, atol=1e-9)
    x = spextral.cholesky_solve(matrices, several.astype(">f8"))
    np.testing.assert_allclose(np.einsum("bij,brj->bri", matrices, x), several, atol=1e-9)
    with pytest.raises(spextral.InputError, match=r"rhs has shape \[3, 5\]"):
        spextral.cholesky_solve(matrices, np.ones((3, 5)))


def test_jacobi_is_numpys_eigh():
    matrices = positive(4, 9, 9)
    for way in ways(matrices):
        values, vectors = spextral.jacobi(way)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrices), rtol=1e-12)
        np.testing.assert_allclose(np.swapaxes(vectors, 1, 2) @ (values[..., None] * vectors), matrices, atol=1e-11)


def test_a_gpu_agrees_with_the_cpu():
    device, matrices, sides = software_gpu(), positive(5, 12, 12), RNG.normal(size=(5, 12))
    close = dict(rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(spextral.cholesky(matrices, device=device), spextral.cholesky(matrices), **close)
    x, on_gpu = spextral.cholesky_solve(matrices, sides), spextral.cholesky_solve(matrices, sides, device=device)
    np.testing.assert_allclose(on_gpu, x, **close)
    assert not np.array_equal(on_gpu, x), "f32 rounds"
    values, vectors = spextral.jacobi(matrices, device=device)
    np.testing.assert_allclose(values, spextral.jacobi(matrices)[0], **close)
    np.testing.assert_allclose(np.swapaxes(vectors, 1, 2) @ (values[..., None] * vectors), matrices, rtol=1e-3, atol=1e-3)


def test_what_is_no_matrix_is_said():
    indefinite = np.stack([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(spextral.LinAlgError, match="matrix 1 is not positive definite: pivot 1 is -3"):
        spextral.cholesky(indefinite)
    with pytest.raises(spextral.LinAlgError, match="matrix 0 has the value NaN"):
        spextral.jacobi(np.full((1, 2, 2), np.nan))
    for shape in [(3,), (2, 3), (2, 0, 0)]:
        with pytest.raises(ValueError, match="matrices has shape"):
            spextral.cholesky(np.ones(shape))


def test_spots_sum_to_one_about_their_traces(psf):
    wave = np.linspace(6550, 6650, 7)
    x, y = psf.traces(wave)
    spots, x0, y0 = psf.spots(wave.astype(">f4"), 3, 2)
    ny, nx = psf.spot_shape
    assert x.shape == y.shape == (50, 7) and spots.shape == (2, 7, ny, nx)
    np.testing.assert_allclose(spots.sum(axis=(2, 3)), 1, atol=1e-12)
    rows, columns = np.indices((ny, nx))
    centre_x = (spots * columns).sum(axis=(2, 3)) + x0
    centre_y = (spots * rows).sum(axis=(2, 3)) + y0
    assert np.abs(centre_x - x[3:5]).max() < 0.3 and np.abs(centre_y - y[3:5]).max() < 0.3
    with pytest.raises(ValueError, match="leaves the PSF's 50 fibres"):
        psf.traces(wave, 49, 2)
    with pytest.raises(ValueError, match=r"wave\[1\] is NaN"):
        psf.spots([6600, np.nan])


def test_a_psf_is_pickled_written_and_read(psf, tmp_path):
    assert pickle.loads(pickle.dumps(psf)) == psf != spextral.make_psf(50, seed=9)
    psf.write(tmp_path / "psf.fits")
    read = spextral.read_psf(tmp_path / "psf.fits")
    assert (read.nfibre, read.ccd_shape, read.camera) == (psf.nfibre, psf.ccd_shape, psf.camera)


def test_a_psf_of_measured_spots_has_their_traces_and_says_how_far_they_are_off():
    fibre, wave = (a.ravel() for a in np.meshgrid([4, 5, 6], np.linspace(5000.0, 5400.0, 30), indexing="ij"))
    u = (wave - 5200.0) / 200.0
    x, y, width = 10.0 * fibre + u**2, 100.0 + 95.0 * u, np.full(wave.shape, 1.3)
    psf, residuals = spextral.Psf.from_traces(fibre, wave, x, y, width, width, ccd_shape=(200, 90))
    assert (psf.nfibre, psf.fibermin, psf.ccd_shape) == (3, 4, (200, 90))
    assert np.abs(psf.traces(wave[:30])[0][1] - x[30:60]).max() < 1e-9
    assert residuals["x"][1] < 1e-9 and set(residuals) == {"x", "y", "sigma_x", "sigma_y"}
    with pytest.raises(spextral.InputError, match="sigma_y 0: give a positive number"):
        spextral.Psf.from_traces(fibre, wave, x, y, width, 0.0 * width, ccd_shape=(200, 90))


def test_a_simulation_knows_its_header_fibermap_and_truth(psf):
    preproc, truth = spextral.simulate(psf, seed=5, specmin=10, nspec=3)
    again, _ = spextral.simulate(psf, seed=5, specmin=10, nspec=3)
    assert np.array_equal(preproc.image, again.image) and not preproc.image.flags.writeable
    assert truth["flux"].shape == (3, truth["wave"].size) and list(truth["fibres"]) == [10, 11, 12]
    assert preproc.header["EXPTIME"] == 1000.0 and preproc["image"].shape == preproc.shape
    assert list(preproc.fibermap["FIBER"][:3]) == [0, 1, 2] and preproc.fibermap["OBJTYPE"].dtype.kind == "U"
    with pytest.raises(spextral.InputError, match="the read noise is 0"):
        spextral.simulate(psf, readnoise=0)


def test_the_cpu_is_the_first_device():
    first = spextral.devices()[0]
    assert first["kind"] == "CPU" and first["index"] is None and first["refused"] is None
