"""Tiled TIFF from a stream of tiles."""

import numpy as np
import pytest
import tifffile

from tileconv.boxes import TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.tiff import write_tiff


def info_of(shape, dtype, tile=(32, 16)):
    axes = "cyx"[-len(shape) :]
    return ImageInfo(shape, axes, np.dtype(dtype), (*shape[:-2], *tile))


def image_of(info):
    return (np.random.default_rng(0).random(info.shape) * 200).astype(info.dtype)


def tiles_of(info, image):
    return (image[box.within(info.box)] for box in TileGrid(info.box, info.chunks))


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "zstd"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((70, 45), "uint16"), ((64, 48), "float32"), ((3, 5), "int16"), ((3, 70, 45), "uint8"), ((3, 33, 17), "uint16")],
)
def test_tifffile_reads_the_image_back(tmp_path, shape, dtype, compression):
    info = info_of(shape, dtype)
    image = image_of(info)
    write_tiff(tmp_path / "out.tif", info, tiles_of(info, image), compression=compression)
    expected = np.moveaxis(image, 0, 2) if image.ndim == 3 else image
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        (page,) = tiff.pages
        assert (page.tile, page.dtype, tiff.is_bigtiff) == ((32, 16), info.dtype, False)
        assert page.predictor == (1 if compression is None else 3 if info.dtype.kind == "f" else 2)
        assert page.photometric.name == ("RGB" if image.ndim == 3 else "MINISBLACK")
        np.testing.assert_array_equal(page.asarray(), expected)


def test_a_file_beyond_32_bit_offsets_is_a_bigtiff(tmp_path):
    info = info_of((2**16, 2**16), "uint8", (4096, 4096))
    seen = []

    def stop():
        yield np.zeros((4096, 4096), "u1")
        (temporary,) = tmp_path.iterdir()
        seen.append(temporary.read_bytes()[:4])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_tiff(tmp_path / "big.tif", info, stop())
    assert seen in ([b"II\x2b\0"], [b"MM\0\x2b"])
    assert list(tmp_path.iterdir()) == []


def test_each_tile_is_written_before_the_next_is_asked_for(tmp_path):
    info = info_of((64, 160), "uint16", (16, 16))
    sizes = []

    def watched():
        for box in TileGrid(info.box, info.chunks):
            (temporary,) = tmp_path.iterdir()
            sizes.append(temporary.stat().st_size)
            yield np.ones(box.shape, "u2")

    write_tiff(tmp_path / "out.tif", info, watched())
    assert sizes[-1] - sizes[0] >= (len(sizes) - 2 - 8192 // 512) * 512  # all but what the file's buffer holds


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_tiles_that_do_not_fit_are_refused_and_leave_nothing(tmp_path, compression):
    info = info_of((64, 32), "uint16", (32, 32))
    whole = np.ones((32, 32), "u2")
    for tiles, problem in [
        ([whole], "tile y=32:64 x=0:32 is missing"),
        ([whole, whole[:, :16]], r"y=32:64 x=0:32 needs uint16 of shape \(32, 32\), found uint16 of shape \(32, 16\)"),
        ([whole] * 3, "more than the 2 tiles"),
        ([whole.astype("u1"), whole], "found uint8"),
    ]:
        with pytest.raises(GeometryError, match=problem):
            write_tiff(tmp_path / "out.tif", info, tiles, compression=compression)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_overwrite(tmp_path):
    path = tmp_path / "out.tif"
    path.write_bytes(b"old")
    info = info_of((32, 16), "uint8")
    tiles = [np.full((32, 16), 7, "u1")]
    with pytest.raises(SinkError, match="already exists"):
        write_tiff(path, info, tiles)
    assert path.read_bytes() == b"old"
    write_tiff(path, info, tiles, overwrite=True)
    assert (tifffile.imread(path) == 7).all()


@pytest.mark.parametrize(
    ("shape", "tile", "problem"),
    [((2, 32, 32), (16, 16), "cyx with 3 channels"), ((32, 32), (20, 16), "multiples of 16")],
)
def test_images_that_do_not_suit_are_refused(tmp_path, shape, tile, problem):
    with pytest.raises(SinkError, match=problem):
        write_tiff(tmp_path / "out.tif", info_of(shape, "uint8", tile), [])
