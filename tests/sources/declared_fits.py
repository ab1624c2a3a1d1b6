"""Rows of docs/inputs.md for FITS files."""

from __future__ import annotations

import gzip

import numpy as np
from astropy.io import fits

from tests.sources.declared import GRAY, Row

SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 4.5, "CRPIX2": 9.0, "CDELT1": -0.1, "CDELT2": 0.1}


def unit(pixels=GRAY, kind=fits.ImageHDU, raw=(), **cards):
    """Write a file whose second unit holds *pixels*; *raw* are cards that are set without converting them."""

    def write(folder):
        made = kind(pixels)
        made.header.update(cards)
        path = folder / "a.fits"
        fits.HDUList([fits.PrimaryHDU(), made]).writeto(path)
        if raw:
            with fits.open(path, "update", do_not_scale_image_data=True) as units:
                units[1].header.update(raw)
        return path

    return write


def several(folder):
    path = unit()(folder)
    fits.append(path, GRAY[1:])
    return path


def packed(folder):
    path = unit()(folder)
    path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def table(folder):
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([])]).writeto(folder / "a.fits")
    return folder / "a.fits"


def same(seen):
    np.testing.assert_array_equal(seen.result()[...], fits.getdata(seen.path, 1))


def blanks(seen):
    np.testing.assert_array_equal(seen.pixels, np.where(GRAY == 7, np.nan, GRAY.astype("f8")))


def placed(seen):
    told = seen.result().attrs["fits_wcs"]
    assert {key: told[key] for key in SKY} == SKY


def nowhere(seen):
    assert "fits_wcs" not in seen.result().attrs


BLANK = {"BLANK": 7}
FITS = [
    Row("FITS", "numbers by BSCALE and BZERO, whole ones without sign among them", "used: as they are meant",
        unit(GRAY.astype("i2"), raw={"BSCALE": 0.5, "BZERO": 100}), look=same),
    Row("FITS", "pixels that are missing (BLANK)", "used: read as NaN", unit(GRAY.astype("i2"), raw=BLANK),
        "pixels of 7 are missing", blanks),
    Row("FITS", "tiles, compressed", "used", unit(kind=fits.CompImageHDU), look=same),
    Row("FITS", "several images", "used: `input.series`", several, "series 0 of 0 to 1", same),
    Row("FITS", "where pixels lie in the sky, with a distortion (SIP)", "used: attribute `fits_wcs` of the result",
        unit(**SKY), "the first is the lowest of the sky", placed),
    Row("FITS", "other coordinates, or a distortion by tables", "told: not carried",
        unit(**SKY | {"CTYPE1": "WAVE", "CTYPE2": "LINEAR"}), "where the pixels lie is not carried", nowhere),
    Row("FITS", "unit of the pixels (BUNIT)", "told: not carried", unit(BUNIT="adu"), "adu is not carried", same),
    Row("FITS", "tables", "refused", table, "no series of an image"),
    Row("FITS", "all of it in gzip", "refused", packed, "a gzip file"),
]  # fmt: skip
