"""One frame over the ranks of MPI, whose last one loses its GPU: `mpirun -n N python mpi_lost.py DEVICE`."""

import os
import sys
import warnings

from mpi4py import MPI

comm = MPI.COMM_WORLD
if comm.rank == comm.size - 1:
    os.environ["SPEXTRAL_FAULT"] = "lost@120+"

import spextral

psf = spextral.make_psf(10, wave=(6500, 6600), npix_y=220, npix_x=150) if comm.rank == 0 else None
image = spextral.simulate(psf, seed=3)[0] if comm.rank == 0 else None
warnings.simplefilter("ignore")
words = dict(wavelength=(6520.0, 6580.0, 0.8), bundlesize=5, solver="patches", device=sys.argv[1], comm=comm)
frame = spextral.extract_frame(image, psf, **words)
if frame is not None:
    device, retried = frame["summary"]["device"], frame["summary"]["retried"]
    assert "; CPU f64" in device, device
    assert retried.startswith(f"rank {comm.size - 1}: ") and "was lost" in retried, retried
