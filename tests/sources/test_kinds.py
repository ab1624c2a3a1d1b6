"""Files that are not read are named by what they hold, whatever their name, and a next step is said."""

from __future__ import annotations

import gzip
import pickle
import zipfile

import imagecodecs
import numpy as np
import pytest
import zarr
from PIL import Image
from sources_help import noise

from tileconv.errors import SourceError
from tileconv.sources.kinds import _KINDS
from tileconv.sources.open import open_source

IMAGE = noise((20, 30, 3), "u1")


def zipped_zarr(path):
    store = zarr.storage.ZipStore(path, mode="w")
    zarr.create_array(store, data=IMAGE[..., 0], chunks=(16, 16))
    store.close()


def zipped_text(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "words")


WRITERS = {
    "a.ozx": (zipped_zarr, "a Zarr store in a ZIP archive", "unzip a.ozx -d image.ome.zarr"),
    "a.bin": (zipped_zarr, "a Zarr store in a ZIP archive", "unzip a.bin -d image.ome.zarr"),
    "a.npz": (lambda path: np.savez(path, image=IMAGE), r"\.npz", r"numpy.load\('a.npz'\)\['image'\]"),
    "a.zip": (zipped_text, "a ZIP archive", "unzip a.zip"),
    "a.jp2": (
        lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(IMAGE)),
        "JPEG 2000",
        "gdal_translate a.jp2 image.tif",
    ),
    "a.j2k": (
        lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k")),
        "JPEG 2000",
        "gdal_translate",
    ),
    "12.jpg": (
        lambda path: path.write_bytes(imagecodecs.jpeg8_encode(IMAGE.astype("u2"), bitspersample=12)),
        "a JPEG file of 12 bits per sample",
        "gdal_translate 12.jpg image.tif",
    ),
    "a.jls": (lambda path: path.write_bytes(imagecodecs.jpegls_encode(IMAGE)), "a JPEG-LS file", "gdal_translate"),
    "a.jxl": (lambda path: path.write_bytes(imagecodecs.jpegxl_encode(IMAGE)), "JPEG XL", "vips copy a.jxl image.tif"),
    "a.jxr": (lambda path: path.write_bytes(imagecodecs.jpegxr_encode(IMAGE)), "JPEG XR", "vips copy"),
    "a.avif": (lambda path: path.write_bytes(imagecodecs.avif_encode(IMAGE)), "AVIF", "vips copy"),
    **{
        f"a b.{suffix}": (lambda path: Image.fromarray(IMAGE).save(path), name, f"vips copy 'a b.{suffix}' image.tif")
        for suffix, name in {"gif": "GIF", "bmp": "BMP", "webp": "WebP", "ppm": "PPM"}.items()
    },
    "a.tif.gz": (lambda path: path.write_bytes(gzip.compress(b"II*")), "gzip", "Unpack it"),
    "a.pkl": (lambda path: path.write_bytes(pickle.dumps(IMAGE)), "pickle", r"numpy\.save"),
    "a.nii": (lambda path: path.write_bytes(bytes(344) + b"n+1\0"), "NIfTI", "bfconvert a.nii image.ome.tif"),
    "a.companion.ome": (lambda path: path.write_bytes(b'<?xml version="1.0"?><OME/>'), "metadata", "holds the pixels"),
    "a.tif": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1"), "Git LFS", "git lfs pull"),
    "empty.tif": (lambda path: path.write_bytes(b""), "an empty file", "make it again"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_another_kind(tmp_path, name):
    write, kind, step = WRITERS[name]
    write(tmp_path / name)
    with pytest.raises(SourceError, match=rf"found .*{kind}.*{step}"):
        open_source(tmp_path / name)


@pytest.mark.parametrize(("at", "magic", "kind", "fix"), _KINDS)
def test_every_kind_of_the_table_is_found_and_says_what_to_do(tmp_path, at, magic, kind, fix):
    (tmp_path / "a.tif").write_bytes(bytes(at) + magic + bytes(64))
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "a.tif")
    assert kind in caught.value.problem
    assert caught.value.fix.endswith(".")
    assert "{" not in caught.value.fix
