"""Extraction of one frame, by one process or by the ranks of an MPI communicator."""

from __future__ import annotations

import os
import socket
import time
import warnings
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._errors import ExtractionWarning, InputError
from ._progress import teller
from ._spectra import Frame
from ._spextral import Plan, Preproc, Psf, Share, read_preproc, read_psf
from ._units import is_table, number, wavelengths

Path_ = Union[str, "os.PathLike[str]"]
Progress = Callable[[int, int], Any]
Wavelength = Union[str, Tuple[Any, Any, Any], npt.NDArray[np.float64], None]


def extract_frame(
    image: Any,
    psf: Union[Psf, Path_, None],
    bundlesize: Union[int, str, None] = None,
    specmin: int = 0,
    nspec: Optional[int] = None,
    wavelength: Wavelength = None,
    nwavestep: int = 50,
    nsubbundles: Union[int, str, None] = None,
    model: Any = None,
    regularize: float = 0.0,
    psferr: Optional[float] = None,
    comm: Any = None,
    gpu: Optional[bool] = None,
    loglevel: Any = None,
    timing: Optional[Dict[str, float]] = None,
    wavepad: int = 10,
    pixpad_frac: float = 0.8,
    wavepad_frac: float = 0.2,
    batch_subbundle: bool = True,
    ranks_per_bundle: Optional[int] = None,
    *,
    device: Union[str, int, None] = None,
    solver: str = "auto",
    tolerance: Optional[float] = None,
    precision: str = "auto",
    max_device_memory: Optional[int] = None,
    decorrelate: str = "signal",
    psf_tails: bool = False,
    model_flux: str = "deconvolved",
    barycentric: Optional[float] = None,
    threads: Optional[int] = None,
    progress: Union[Progress, bool, None] = None,
) -> Frame:
    """Extract 1-D spectra from a 2-D image.

    Parameters
    ----------
    image : Preproc, path, mapping, CCDData or HDUList
        The CCD: ``image["image"]`` in electron and ``image["ivar"]`` in 1/electron², both [ny, nx], f4 or f8. Or whatever
        :class:`Preproc` is made of. Here and below, quantities are converted or refused.
    psf : Psf or path
        Its PSF.
    bundlesize : int or "auto"
        Fibres solved together; by default, or with ``"auto"``, groups that no light crosses.
    specmin, nspec : int
        Fibres, rows of the PSF; by default all from ``specmin`` on. Any values.
    wavelength : (float, float, float), str or array, [nspec, nwave]
        First and last wavelength and step in Angstrom, or ``"wmin,wmax,dw"``. There dw may be R5000 or 69km/s. By default the
        range of the chosen fibres on the CCD. The step is then 0.8 for DESI's PSFs, else about 1.35 PSF sigma along the dispersion.
        An array of two axes has the wavelengths of the bins of every fibre: rows of the chosen fibres, of all, or one for all.
    nwavestep, nsubbundles, wavepad, wavepad_frac, pixpad_frac
        How patches are cut, see ``spextral extract --help``.
    model
        Whether to make the model image: anything true.
    regularize : float
        Regularisation, 1/sqrt of a prior variance in electron per bin.
    psferr : float
        Fractional error of the PSF, for chi2pix; by default the PSF's.
    comm : mpi4py communicator
        Its ranks share the frame's bundles; all of them call. Inputs are those of rank 0 (the others may give None), and
        rank 0 gets the frame, the others None. The same bits for any number of ranks.
    gpu : bool
        False: the CPU, as ``device="cpu"``; only looked at without ``device``. True: a CPU is an error.
    loglevel, batch_subbundle, ranks_per_bundle
        Without effect: here because gpu_specter has them.
    timing : dict
        Receives seconds: ``"extract"``, and ``"extract-STAGE"`` for each stage.
    device : str or int
        ``"cpu"``, an index, a part of a name, a PCI bus id (see :func:`devices`), or ``"auto"``. That is a discrete GPU,
        else an integrated one, else the CPU.
    solver : str
        ``"auto"``, ``"banded"`` or ``"patches"``.
    tolerance : float
        Error of flux that the banded solver may make, in sigma; by default 1e-5 in f64, 1e-3 on a
        GPU in f32.
    precision : str
        What a GPU computes in: ``"auto"`` (f32 where it serves, else f64 where the device has it, else the CPU), ``"f32"``
        or ``"f64"``.
    max_device_memory : int
        Bytes that a GPU may give; by default what suits most. Numbers do not depend on it.
    decorrelate : str
        ``"signal"`` (each fibre by itself) or ``"noise"``.
    psf_tails : bool
        Add the PSF's power-law tails.
    model_flux : str
        What the model image shows: ``"deconvolved"`` or ``"decorrelated"`` flux.
    barycentric : float
        Factor f of the barycentric correction: extraction runs on w/f by dw/f; see :meth:`Preproc.barycentric_factor`.
    threads : int
        Computing threads; by default ``RAYON_NUM_THREADS`` or all cores, or this rank's share of them.
    progress : callable or bool
        Called by this thread with (bundles done, bundles in all); an exception of it ends the work. With ``comm`` these
        are the bundles of this rank. True: a bar of tqdm where that is installed, else a line on the standard error.

    Returns
    -------
    Frame
        Dictionary of ``specflux`` [nspec, nwave] (electron/Angstrom), ``specivar``, ``specmask`` and ``wave`` [nwave]
        (Angstrom; [nspec, nwave] where fibres have their own). Also of ``Rdiags`` [nspec, ndiag, nwave], ``pixmask_fraction``,
        ``chi2pix``, ``modelimage`` ([ny, nx] in electron, or None), ``summary``, ``header`` and ``fibermap``. All have
        attributes, see :class:`Frame`.

    Raises
    ------
    InputError, FileError, DeviceError
        One sentence each.
    """
    start = time.perf_counter()
    options: Dict[str, Any] = dict(
        specmin=_count("specmin", specmin),
        nspec=None if nspec is None else _count("nspec", nspec),
        wavelength=None if is_table(wavelength) else _range(wavelength),
        table=wavelength if is_table(wavelength) else None,
        barycentric=_maybe("barycentric", barycentric),
        model=model_flux if _is_wanted(model) else None,
        regularize=number("regularize", regularize, "1 / electron"),
        psferr=_maybe("psferr", psferr),
        psf_tails=psf_tails,
        decorrelate=decorrelate,
        solver=solver,
        tolerance=_maybe("tolerance", tolerance),
        precision=precision,
        max_device_memory=None if max_device_memory is None else _count("max_device_memory", max_device_memory),
        bundlesize=_count_or_auto("bundlesize", bundlesize),
        nsubbundles=_count_or_auto("nsubbundles", nsubbundles),
        nwavestep=_count("nwavestep", nwavestep),
        wavepad=_count("wavepad", wavepad),
        wavepad_frac=number("wavepad_frac", wavepad_frac, ""),
        pixpad_frac=number("pixpad_frac", pixpad_frac, ""),
    )
    if threads is not None:
        _count("threads", threads)
    run: Dict[str, Any] = {"device": _device(device, gpu), "gpu": bool(gpu) and device is None, "threads": threads}
    entries: Optional[Dict[str, Any]]
    with teller(progress) as told:
        run["progress"] = told
        if comm is None:
            plan = Plan(as_psf(psf), as_preproc(image), **options)
            _advise(plan)
            entries = plan.assemble([plan.run(0, 1, **run)])
        else:
            entries = _over_ranks(comm, image, psf, options, run)
    if entries is None:
        # Typed for all who have no communicator.
        return None  # type: ignore[return-value]
    refusal = entries.pop("_refusal")
    if refusal is not None:
        _say(f"the fibermap {refusal}; the frame has none", stacklevel=3)
    frame = Frame._of(entries)
    _warn(frame, solver)
    if timing is not None:
        timing["extract"] = time.perf_counter() - start
        timing.update({f"extract-{stage}": s for stage, s in frame["summary"]["stage_seconds"].items()})
    return frame


def _over_ranks(
    comm: Any,
    image: Any,
    psf: Any,
    options: Dict[str, Any],
    run: Dict[str, Any],
) -> Optional[Dict[str, Any]]:
    """Each rank extracts its share of the bundles; rank 0 puts them together."""

    # What is wrong on one rank is raised by all: none may wait for a message that does not come.
    def together(work: Callable[[], Any]) -> Any:
        result, problem = None, None
        try:
            result = work()
        except Exception as error:
            problem = error
        problems = [(rank, problem) for rank, problem in enumerate(comm.allgather(problem)) if problem is not None]
        if not problems:
            return result
        rank, first = problems[0]
        raise first if problem is None or rank == comm.rank else problem

    root = comm.rank == 0
    preproc, psf, options = together(lambda: (as_preproc(image), as_psf(psf), options) if root else (None, None, None))
    psf, options, shape = comm.bcast((psf, options, preproc.shape if root else None), root=0)
    pixels = [np.ascontiguousarray(p) if root else np.empty(shape, np.float32) for p in _images(preproc)]
    for array in pixels:
        comm.Bcast(array, root=0)
    plan = together(lambda: Plan(psf, preproc if root else Preproc(*pixels), **options))

    if root:
        _advise(plan, deeper=1)
    process, own = _seat(comm)
    parts = min(comm.size, plan.nbundle)
    at_work = comm.rank < parts
    run = {**run, "process": process, "threads": run["threads"] or own}
    share = together(lambda: plan.run(comm.rank, parts, **run) if at_work else None)
    if root:
        others = [_receive(comm, plan, rank) for rank in range(1, parts)]
        return plan.assemble([share, *others])  # type: ignore[no-any-return]
    if at_work:
        head, packed = share.pack()
        comm.send((head, packed.size), dest=0)
        comm.Send(packed, dest=0)
    return None


def _receive(comm: Any, plan: Plan, rank: int) -> Share:
    head, size = comm.recv(source=rank)
    packed = np.empty(size, np.float64)
    comm.Recv(packed, source=rank)
    return plan.unpack(head, packed)


def _images(preproc: Optional[Preproc]) -> List[Optional[npt.NDArray[np.float32]]]:
    return [None, None] if preproc is None else [preproc.image, preproc.ivar]


def _seat(comm: Any) -> Tuple[int, Optional[int]]:
    """Returns the number of this process on its machine and its share of the cores, None if RAYON_NUM_THREADS is set."""
    try:
        cores = frozenset(os.sched_getaffinity(0))
    except AttributeError:
        # Only Linux and its like tell.
        cores = frozenset(range(os.cpu_count() or 1))
    seats = comm.allgather((socket.gethostname(), cores))
    host = seats[comm.rank][0]
    process = sum(other == host for other, _ in seats[: comm.rank])
    if os.environ.get("RAYON_NUM_THREADS"):
        return process, None
    sharing = sum(other == host and bool(theirs & cores) for other, theirs in seats)
    return process, max(1, len(cores) // sharing)


def as_preproc(image: Any) -> Preproc:
    """Returns the CCD of a Preproc, of a path, or of what a Preproc is made of."""
    if isinstance(image, Preproc):
        return image
    if isinstance(image, (str, os.PathLike)):
        return read_preproc(image)
    preproc = Preproc(image)
    if preproc.bad_pixels:
        _say(
            f"{preproc.bad_pixels} pixels are not finite or have a negative, non-finite or absurdly large ivar; they count "
            "as masked"
        )
    return preproc


def as_psf(psf: Any) -> Psf:
    """Returns a PSF, read where it is a path."""
    if isinstance(psf, Psf):
        return psf
    if isinstance(psf, (str, os.PathLike)):
        return read_psf(psf)
    raise InputError(f"psf is of type {type(psf).__name__}: give a Psf, or the path of a PSF file")


def _count(name: str, given: Any) -> int:
    value = number(name, given, "")
    if value != value or abs(value) == float("inf") or value != int(value) or value < 0:
        raise InputError(f"{name} is {given}: give a whole number of at least 0")
    if value >= 2**63:
        raise InputError(f"{name} is {given}: give a whole number below 2^63")
    # A number above 2^53 stays as it is.
    return given if isinstance(given, int) else int(value)


def _count_or_auto(name: str, value: Union[int, str, None]) -> Optional[int]:
    if value is None or value == "auto":
        return None
    if isinstance(value, str):
        raise InputError(f'{name} is {value!r}: give a whole number, or "auto"')
    return _count(name, value)


def _range(wavelength: Any) -> Optional[str]:
    # A step by resolving power or velocity is text that the engine reads.
    if wavelength is None or (isinstance(wavelength, str) and ("R" in wavelength or "km/s" in wavelength)):
        return wavelength
    wmin, wmax, dw = wavelengths("wavelength", wavelength, "wmin, wmax, dw")
    return f"{wmin!r},{wmax!r},{dw!r}"


def _maybe(name: str, value: Any) -> Optional[float]:
    return None if value is None else number(name, value, "")


def _is_wanted(model: Any) -> bool:
    return model is not None and bool(model)


def _device(device: Union[str, int, None], gpu: Optional[bool]) -> str:
    if device is not None:
        return device if isinstance(device, str) else str(_count("device", device))
    return "cpu" if gpu is False else "auto"


def _advise(plan: Plan, deeper: int = 0) -> None:
    for sentence in plan.warnings:
        _say(sentence, 4 + deeper)


def _warn(frame: Frame, solver: str) -> None:
    done = frame["summary"]
    for sentence in filter(None, (done["dark"], done["misfit"])):
        _say(sentence)
    above = done["above_tolerance"]
    if above:
        fibre, first, last, _, error = max(above, key=lambda excess: excess[4])
        _say(
            f"flux may be {error:.1e} sigma off, more than the tolerance, at fibre {fibre}, {first:.1f} to {last:.1f} Angstrom"
            + (f", and less in {len(above) - 1} other fibres" if len(above) > 1 else "")
        )
    cut = done["resolution_cut_rows"]
    if cut:
        least = min(sum_ for _, _, sum_ in cut)
        _say(
            f"rows of R sum to less than 0.99 in {len(cut)} fibres, at least to {least:.3f}: they reach beyond its "
            "diagonals or the ends of the grid"
        )
    if solver == "banded" and done["in_patches"]:
        fibres = ", ".join(map(str, done["in_patches"]))
        _say(f"solver=\"banded\" did not serve all bundles; those of first fibres {fibres} were extracted in patches")
    if done["retried"]:
        _say(f"extracted again, in smaller parts or on the CPU: {done['retried']}")
    if done["redone"]:
        _say(
            f"{done['redone']} bundles or patches were beyond the device's precision and done again in f64 on the CPU"
        )
    if done["failed"]:
        _say(
            f"{done['failed']} of {done['patches']} patches have no solution; their bins have ivar 0 and mask bit "
            "BAD2DFIT"
        )


def _say(sentence: str, stacklevel: int = 4) -> None:
    # At the caller of extract_frame.
    warnings.warn(sentence, ExtractionWarning, stacklevel=stacklevel)
