"""Bundles over the ranks of an MPI communicator."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spextral


def mpirun(ranks, *words, cwd):
    """Runs Python under MPI, with more ranks than cores and as root where need be."""
    if shutil.which("mpirun") is None:
        pytest.skip("no mpirun here")
    pytest.importorskip("mpi4py", reason="no mpi4py here")
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    allowed["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
    command = ["mpirun", "-n", str(ranks), sys.executable, *map(str, words)]
    subprocess.run(command, cwd=cwd, env={**os.environ, **allowed}, check=True, timeout=300)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_gives_the_same_bits(psf, preproc, frame, tmp_path, ranks):
    psf.write(tmp_path / "psf.fits")
    preproc.write(tmp_path / "preproc.fits")
    mpirun(ranks, Path(__file__).with_name("mpi_extract.py"), "psf.fits", "preproc.fits", "frame.npz", cwd=tmp_path)
    theirs = np.load(tmp_path / "frame.npz")
    assert set(theirs) == set(frame) - {"summary", "header", "fibermap"}
    assert all(np.array_equal(theirs[name], frame[name]) for name in theirs)


def test_a_rank_that_loses_its_gpu_is_named(tmp_path):
    name = os.environ.get("SPEXTRAL_TEST_DEVICE", "llvmpipe")
    if not any(name in device["name"] and device["refused"] is None for device in spextral.devices()):
        pytest.skip(f"no {name} here")
    mpirun(2, Path(__file__).with_name("mpi_lost.py"), name, cwd=tmp_path)
