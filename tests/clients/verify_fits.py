"""Opens every FITS file named on the command line with astropy, and reads all pixels and rows. Warnings are errors,
every HDU is verified, every checksum must be there and right. Exit code 1 names the first file that fails."""
import sys
import warnings

from astropy.io import fits

warnings.simplefilter("error")
for path in sys.argv[1:]:
    try:
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            for hdu in hdus:
                for keyword in ("CHECKSUM", "DATASUM"):
                    if keyword not in hdu.header:
                        raise ValueError(f"{keyword} is missing in HDU {hdu.name}")
                if hdu.verify_checksum() != 1 or hdu.verify_datasum() != 1:
                    raise ValueError(f"checksum of HDU {hdu.name} is wrong")
                for card in hdu.header.cards:
                    _ = (card.keyword, card.value, card.comment)
                _ = None if hdu.data is None else hdu.data.copy()
            names = ", ".join(hdu.name for hdu in hdus)
    except Exception as error:
        sys.exit(f"{path}: {type(error).__name__}: {error}")
    print(f"{path}: {names}")
