"""Pixels of a CCD out of whatever holds them: arrays, masked arrays, quantities, NDData, HDUList, images of desispec."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, List, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._errors import FileError, InputError
from ._spextral import Preproc, read_preproc
from ._units import is_nddata, plain, unit_of

#: Keyword, value and comment of a header card.
Card = Tuple[str, Any, str]
_TEXTS = ("COMMENT", "HISTORY")
Mask = Optional[npt.NDArray[np.bool_]]


def planes(
    image: Any, ivar: Any, mask: Any, mask_bits: Optional[int], header: Any
) -> Union[Preproc, Tuple[Any, Any, Any, List[Card]]]:
    """Returns image, ivar, mask bits and cards; of an HDUList or a Preproc the whole frame."""
    if ivar is None:
        if isinstance(image, Preproc) or (isinstance(image, list) and hasattr(image, "writeto")):
            if mask is not None or header is not None:
                raise InputError(f"image is of type {type(image).__name__}, with its own mask and header: give it alone")
            return image if isinstance(image, Preproc) else _of_hdus(image, mask_bits)
        if is_nddata(image) and image.unit is not None and header is None:
            # Its unit counts, and pixels are in electron from here on.
            header = image.meta.copy()
            for name in [name for name in header if str(name).upper() == "BUNIT"]:
                del header[name]
        image, ivar, mask, header = _unpacked(image, mask, header)
    elif is_nddata(image):
        raise InputError(f"image is of type {type(image).__name__}: its uncertainty gives ivar, so give it alone")
    image, hidden = _split("image", image, "electron")
    ivar, of_ivar = _split("ivar", ivar, "1 / electron2")
    marked: Mask = None
    if mask is not None and np.asarray(mask).dtype.kind == "b":
        # Of truth values True is a pixel that is not to be used.
        marked, mask = np.asarray(mask), None
    for masked in (hidden, of_ivar, marked):
        if masked is not None:
            if np.shape(masked) != np.shape(ivar):
                raise InputError(f"ivar has shape {list(np.shape(ivar))}, {list(np.shape(masked))} is needed (as image)")
            ivar = np.where(masked, 0, ivar)
    return image, ivar, mask, _cards(header)


def _unpacked(image: Any, mask: Any, header: Any) -> Tuple[Any, Any, Any, Any]:
    if is_nddata(image):
        numbers, ivar = _of_nddata(image)
        return numbers, ivar, mask, image.meta if header is None else header
    if isinstance(image, Mapping) and "image" in image and "ivar" in image:
        bits, cards = (image[name] if name in image else None for name in ("mask", "header"))
        return image["image"], image["ivar"], bits if mask is None else mask, cards if header is None else header
    if all(hasattr(image, name) for name in ("pix", "ivar", "mask", "meta")):
        # Of desispec.
        return image.pix, image.ivar, image.mask if mask is None else mask, image.meta if header is None else header
    missing = [name for name in ("image", "ivar") if name not in image] if isinstance(image, Mapping) else []
    what = f"has no {' and no '.join(missing)}" if missing else f"is of type {type(image).__name__}, without ivar"
    wanted = 'a Preproc, a CCDData, an HDUList, a mapping with "image" and "ivar", or both arrays'
    raise InputError(f"image {what}: give {wanted}")


def _of_hdus(hdus: Any, mask_bits: Optional[int]) -> Preproc:
    with tempfile.TemporaryDirectory(prefix="spextral-") as folder:
        path = Path(folder) / "hdulist.fits"
        hdus.writeto(path, output_verify="silentfix")
        # Sums of a file that was read are not those of what has become of it.
        with importlib.import_module("astropy.io.fits").open(path, "update", disable_image_compression=True) as written:
            for hdu in written:
                for keyword in ("CHECKSUM", "DATASUM"):
                    hdu.header.remove(keyword, ignore_missing=True)
        try:
            return read_preproc(path, mask_bits=mask_bits)
        except FileError as error:
            raise FileError(str(error).replace(str(path), "the HDUList")) from None


def _split(name: str, value: Any, unit: str) -> Tuple[Any, Mask]:
    """Returns plain numbers and the mask of a value, None for none."""
    if hasattr(value, "unmasked") and hasattr(value, "mask"):
        # Masked of astropy, with a unit or without.
        return plain(name, value.unmasked, unit), np.asarray(value.mask, bool)
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        numbers = value.data if unit_of(value) is None else np.asarray(value.data) * unit_of(value)
        return plain(name, numbers, unit), mask
    return value, None


def _of_nddata(value: Any) -> Tuple[Any, Any]:
    """Returns image and ivar, in electron, of an NDData: of its data, uncertainty and mask."""
    kinds = {"std": "electron", "var": "electron2", "ivar": "1 / electron2"}
    kind = getattr(value.uncertainty, "uncertainty_type", None)
    if kind not in kinds:
        raise InputError(
            f"image has {'no uncertainty' if kind is None else f'an uncertainty of type {kind}'}: "
            "give it an InverseVariance, VarianceUncertainty or StdDevUncertainty"
        )
    image = _converted("image", value.data, value.unit, "electron")
    spread = _converted("the uncertainty of image", value.uncertainty.array, value.uncertainty.unit, kinds[kind])
    with np.errstate(divide="ignore", invalid="ignore"):
        ivar = spread if kind == "ivar" else 1 / (spread if kind == "var" else spread * spread)
    unknown = np.zeros(ivar.shape, bool) if kind == "ivar" else spread == 0
    if value.mask is not None:
        unknown = unknown | (np.asarray(value.mask) != 0)
    return image, np.where(unknown, 0, ivar)


def _converted(name: str, numbers: Any, found: Any, unit: str) -> Any:
    numbers = np.asarray(numbers, np.float64)
    return numbers if found is None else plain(name, numbers * found, unit)


def _cards(header: Any) -> List[Card]:
    """Returns the cards of a mapping; values that no card can hold are left out."""
    if header is None:
        return []
    if hasattr(header, "cards"):
        # A Header of astropy. Cards of the layout are the writer's.
        header = header.copy(strip=True)
        return [(card.keyword, _scalar(card.value), card.comment) for card in header.cards if card.keyword]
    if not isinstance(header, Mapping):
        raise InputError(f"header is of type {type(header).__name__}: give a dict, or a Header of astropy")
    # A list of COMMENT or HISTORY is a card for each line.
    is_text = {name: name in _TEXTS and isinstance(value, list) for name, value in header.items()}
    lines = ((name, value if is_text[name] else [value]) for name, value in header.items())
    named = ((str(name), _scalar(value)) for name, values in lines for value in values)
    return [(name, value, "") for name, value in named if isinstance(value, (bool, int, float, str, type(None)))]


def _scalar(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if type(value).__name__ == "Undefined" else value
