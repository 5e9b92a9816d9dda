from os import PathLike
from typing import Any, Callable, Dict, List, Literal, Optional, Sequence, Tuple, Union, final

import numpy as np
import numpy.typing as npt

from ._types import Device, Truth

_Path = Union[str, PathLike[str]]
_Real = npt.NDArray[Union[np.float32, np.float64]]

__all__ = [
    "Plan",
    "Preproc",
    "Psf",
    "Share",
    "__version__",
    "cholesky",
    "cholesky_solve",
    "compare_frames",
    "compare_with_truth",
    "devices",
    "find_traces",
    "fit_psf",
    "jacobi",
    "main",
    "make_psf",
    "page",
    "psf_picture",
    "head_of_rows",
    "read_frame",
    "read_preproc",
    "read_psf",
    "shift_psf",
    "simulate",
    "write_frame",
    "write_model",
    "write_truth",
]

__version__: str

def devices() -> List[Device]: ...
def main(words: Sequence[str]) -> int: ...
def read_frame(path: _Path) -> Dict[str, Any]: ...
def head_of_rows(head: bytes, rows: Sequence[int]) -> Dict[str, Any]: ...
def compare_frames(a: Any, b: Any, *, tolerance: Optional[float] = None) -> Tuple[str, str, Optional[bool]]: ...
def compare_with_truth(frame: Any, truth: Any) -> Tuple[str, str]: ...
def write_model(path: _Path, model: Any) -> None: ...
def write_truth(path: _Path, truth: Any) -> None: ...
def page(
    frame: _Path, ccd: Optional[List[str]] = None, truth: Optional[_Path] = None
) -> Tuple[str, List[Tuple[bool, str]]]: ...
def psf_picture(psf: Psf, title: str, image: Optional[Preproc] = None) -> bytes: ...
def read_psf(path: _Path, *, psf_gh00: str = "file") -> Psf: ...
def read_preproc(
    path: _Path,
    *,
    mask_bits: Optional[int] = None,
    fibermap: Optional[_Path] = None,
    image_hdu: Union[str, int, None] = None,
    readnoise: Optional[float] = None,
    gain: Optional[float] = None,
    ignore_checksum: bool = False,
) -> Preproc: ...
def write_frame(
    path: _Path, frame: Any, preproc: Optional[Preproc] = None, *, scores: bool = True, overwrite: bool = False
) -> None: ...
def make_psf(
    nfibre: int = 500,
    *,
    camera: str = "r",
    bundlesize: int = 25,
    wave: Union[Tuple[Any, Any], npt.NDArray[np.float64], None] = None,
    npix_y: Optional[int] = None,
    npix_x: Optional[int] = None,
    seed: int = 0,
) -> Psf: ...
def simulate(
    psf: Psf,
    *,
    seed: int = 0,
    specmin: int = 0,
    nspec: Optional[int] = None,
    wavelength: Union[str, Tuple[Any, Any, Any], npt.NDArray[np.float64], None] = None,
    readnoise: Any = None,
    exptime: Any = None,
    mjd: Any = None,
    cosmics: Any = None,
    bad_columns: Optional[int] = None,
    dead_patches: Optional[int] = None,
) -> Tuple[Preproc, Truth]: ...
def find_traces(
    flat: Preproc,
    arc: Preproc,
    lines: Union[_Path, npt.ArrayLike],
    *,
    lines_in: Optional[str] = None,
    range: Optional[Tuple[Any, Any]] = None,
    nfibre: Optional[int] = None,
    broken_fibres: Sequence[int] = ...,
    dispaxis: Optional[int] = None,
    tracedeg: int = 6,
    ghdeg: int = 6,
    legdeg: int = 3,
    threads: Optional[int] = None,
) -> Tuple[Psf, Dict[str, Any]]: ...
def fit_psf(
    arcs: Any,
    start: Union[Psf, _Path],
    lines: Union[_Path, npt.ArrayLike],
    *,
    lines_in: Optional[str] = None,
    bundlesize: Optional[int] = None,
    ghdeg: Optional[int] = None,
    legdeg: Optional[int] = None,
    degree_across: Optional[int] = None,
    line_error: float = 0.01,
    trace_error: float = 0.1,
    reach: Tuple[float, float] = ...,
    broken_fibres: Sequence[int] = ...,
    find_lines: bool = True,
    threads: Optional[int] = None,
    progress: Union[Callable[[int, int], Any], bool, None] = None,
) -> Tuple[Psf, Dict[str, Any]]: ...
def shift_psf(
    preproc: Any,
    psf: Union[Psf, _Path],
    *,
    lines: Union[_Path, npt.ArrayLike, Literal[False], None] = None,
    lines_in: Optional[str] = None,
    line_sigma: Any = None,
    threads: Optional[int] = None,
    progress: Union[Callable[[int, int], Any], bool, None] = None,
) -> Tuple[Psf, Dict[str, Any]]: ...
def cholesky(matrices: npt.ArrayLike, *, device: str = "cpu") -> _Real: ...
def cholesky_solve(matrices: npt.ArrayLike, rhs: npt.ArrayLike, *, device: str = "cpu") -> _Real: ...
def jacobi(matrices: npt.ArrayLike, *, device: str = "cpu") -> Tuple[_Real, _Real]: ...
@final
class Psf:
    @property
    def nfibre(self) -> int: ...
    @property
    def fibermin(self) -> int: ...
    @property
    def ccd_shape(self) -> Tuple[int, int]: ...
    @property
    def dispaxis(self) -> int: ...
    @property
    def spot_shape(self) -> Tuple[int, int]: ...
    @property
    def wave_min(self) -> float: ...
    @property
    def wave_max(self) -> float: ...
    @property
    def psferr(self) -> float: ...
    @property
    def camera(self) -> Optional[str]: ...
    @property
    def bad_fibres(self) -> List[int]: ...
    @property
    def has_tails(self) -> bool: ...
    def traces(
        self, wave: npt.ArrayLike, specmin: int = 0, nspec: Optional[int] = None
    ) -> Tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def spots(
        self, wave: npt.ArrayLike, specmin: int = 0, nspec: Optional[int] = None, *, tails: bool = False
    ) -> Tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int32]]: ...
    @staticmethod
    def from_traces(
        fibre: npt.ArrayLike,
        wave: npt.ArrayLike,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        sigma_x: npt.ArrayLike,
        sigma_y: npt.ArrayLike,
        *,
        ccd_shape: Tuple[int, int],
        trace_degree: int = 6,
        width_degree: int = 3,
    ) -> Tuple[Psf, Dict[str, Tuple[float, float]]]: ...
    def write(self, path: _Path, *, overwrite: bool = False) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> Tuple[Callable[[bytes], Psf], Tuple[bytes]]: ...
    @staticmethod
    def _of_bytes(bytes: bytes) -> Psf: ...

@final
class Preproc:
    def __new__(
        cls,
        image: Any,
        ivar: Any = None,
        mask: Any = None,
        *,
        mask_bits: Optional[int] = None,
        header: Any = None,
    ) -> Preproc: ...
    @property
    def shape(self) -> Tuple[int, int]: ...
    @property
    def image(self) -> npt.NDArray[np.float32]: ...
    @property
    def ivar(self) -> npt.NDArray[np.float32]: ...
    @property
    def mask(self) -> Optional[npt.NDArray[np.int32]]: ...
    @property
    def readnoise(self) -> Optional[npt.NDArray[np.float32]]: ...
    @property
    def bad_pixels(self) -> int: ...
    @property
    def notes(self) -> List[str]: ...
    @property
    def header(self) -> Dict[str, Any]: ...
    @property
    def fibermap(self) -> Optional[Dict[str, npt.NDArray[Any]]]: ...
    def barycentric_factor(self) -> float: ...
    def write(self, path: _Path, *, overwrite: bool = False) -> None: ...
    def __getitem__(self, key: Literal["image", "ivar"], /) -> npt.NDArray[np.float32]: ...
    def __reduce__(self) -> Tuple[Callable[..., Preproc], Tuple[Any, ...]]: ...
    @staticmethod
    def _of_parts(
        image: npt.NDArray[np.float32],
        ivar: npt.NDArray[np.float32],
        mask: Optional[npt.NDArray[np.int32]],
        readnoise: Optional[npt.NDArray[np.float32]],
        rest: bytes,
    ) -> Preproc: ...

@final
class Plan:
    def __new__(
        cls,
        psf: Psf,
        preproc: Preproc,
        *,
        specmin: int,
        nspec: Optional[int],
        wavelength: Optional[str],
        table: Any = None,
        barycentric: Optional[float],
        model: Optional[str],
        regularize: float,
        psferr: Optional[float],
        psf_tails: bool,
        decorrelate: str,
        solver: str,
        tolerance: Optional[float],
        precision: str,
        max_device_memory: Optional[int],
        bundlesize: Optional[int],
        nsubbundles: Optional[int],
        nwavestep: int,
        wavepad: int,
        wavepad_frac: float,
        pixpad_frac: float,
    ) -> Plan: ...
    @property
    def nbundle(self) -> int: ...
    @property
    def warnings(self) -> List[str]: ...
    def run(
        self,
        k: int,
        n: int,
        *,
        device: str,
        gpu: bool = False,
        process: Optional[int] = None,
        threads: Optional[int] = None,
        progress: Optional[Callable[[int, int], Any]] = None,
    ) -> Share: ...
    def assemble(self, shares: Sequence[Share]) -> Dict[str, Any]: ...
    def unpack(self, head: bytes, packed: npt.NDArray[np.float64]) -> Share: ...

@final
class Share:
    def pack(self) -> Tuple[bytes, npt.NDArray[np.float64]]: ...
