"""One frame over the ranks of MPI: `mpirun -n N python mpi_extract.py PSF PREPROC OUTPUT`. Rank 0 alone reads."""

import sys

import numpy as np
import spextral
from conftest import WAVELENGTH
from mpi4py import MPI

comm = MPI.COMM_WORLD
root = comm.rank == 0
psf = spextral.read_psf(sys.argv[1]) if root else None
image = spextral.read_preproc(sys.argv[2]) if root else None
frame = spextral.extract_frame(image, psf, wavelength=WAVELENGTH, model=True, device="cpu", comm=comm)
if root:
    assert frame.header["CAMERA"] and len(frame.fibermap["FIBER"]) == len(frame.flux)
    np.savez(sys.argv[3], **{name: frame[name] for name in frame if name not in ("summary", "header", "fibermap")})
else:
    assert frame is None

# What is wrong for one is raised by all.
try:
    spextral.extract_frame(None, psf, comm=comm)
except spextral.InputError as error:
    assert "image is of type NoneType" in str(error)
else:
    sys.exit("no error")
