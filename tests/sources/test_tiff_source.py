"""TIFF files of every layout give back the array that was written."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from sources_help import assert_reads, boxes, noise

import tileconv
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.sources.tiff import TiffSource
from tileconv.sources.tiff_segments import Segments

LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (32, 48)},
    "big-endian strips": {"byteorder": ">", "rowsperstrip": 16},
    "big-endian BigTIFF tiles": {"byteorder": ">", "bigtiff": True, "tile": (16, 16)},
    "LZW strips": {"rowsperstrip": 9, "compression": "lzw"},
    "deflate tiles": {"tile": (32, 32), "compression": "deflate", "predictor": True},
    "zstd big-endian": {"tile": (16, 64), "compression": "zstd", "predictor": True, "byteorder": ">"},
}
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_in_every_layout(tmp_path, layout, dtype):
    image = noise((61, 83), dtype)
    options = {k: v for k, v in LAYOUTS[layout].items() if k != "predictor" or dtype not in ("u8", "i8")}
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    source = open_source(tmp_path / "a.tif")
    assert isinstance(source, Source)
    assert source.info.axes == "yx"
    assert source.info.compressed == ("compression" in options)
    assert source.missing_chunks_total()[0] == 0
    assert_reads(source, image)


@pytest.mark.parametrize("layout", ["one strip", "strips", "tiles", "LZW strips", "deflate tiles"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("pages", [1, 3])
def test_colour_is_the_channel_axis(tmp_path, layout, planar, pages):
    image = noise((pages, 50, 41, 3), "u2")
    written = np.moveaxis(image, -1, 1) if planar == "separate" else image
    tifffile.imwrite(
        tmp_path / "a.tif",
        written[0] if pages == 1 else written,
        photometric="rgb",
        planarconfig=planar,
        **LAYOUTS[layout],
    )
    source = open_source(tmp_path / "a.tif")
    assert source.info.axes == ("cyx" if pages == 1 else "czyx")
    expected = np.moveaxis(image, -1, 0)
    assert_reads(source, expected[:, 0] if pages == 1 else expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 12, 14, 24])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 10}, {"tile": (16, 32)}])
def test_odd_bits(tmp_path, bits, layout):
    dtype = "bool" if bits == 1 else f"u{1 if bits < 8 else 2 if bits < 16 else 4}"
    image = noise((37, 64), dtype)
    if bits > 1:
        image &= np.array(2**bits - 1, image.dtype)
    tifffile.imwrite(tmp_path / "a.tif", image, bitspersample=None if bits == 1 else bits, **layout)
    assert_reads(open_source(tmp_path / "a.tif"), image.astype("u1") if bits == 1 else image)


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("samples", [1, 3])
def test_tiles_with_depth(tmp_path, compression, samples):
    image = noise((samples, 7, 33, 40), "u2")
    written = image[0] if samples == 1 else np.moveaxis(image, 0, -1)
    tifffile.imwrite(
        tmp_path / "a.tif",
        written,
        volumetric=True,
        tile=(4, 16, 16),
        compression=compression,
        photometric="minisblack" if samples == 1 else "rgb",
    )
    source = open_source(tmp_path / "a.tif")
    assert source.info.chunks[-3:] == (4, 16, 16)
    assert_reads(source, image[0] if samples == 1 else image)


def test_page_stack_is_z_and_says_so_unless_axes_are_given(tmp_path):
    image = noise((5, 20, 30), "u2")
    tifffile.imwrite(tmp_path / "a.tif", image, metadata=None)
    source = open_source(tmp_path / "a.tif")
    assert source.info.axes == "zyx"
    assert any("taken as z" in note for note in source.info.notes)
    assert_reads(source, image)
    named = open_source(tmp_path / "a.tif", axes="tyx")
    assert named.info.axes == "tyx"
    assert not named.info.notes
    assert_reads(named, image)
    with pytest.raises(SourceError, match="axes must be 3 letters"):
        open_source(tmp_path / "a.tif", axes="yx")
    with pytest.raises(SourceError, match="expected y, x and at most one"):
        open_source(tmp_path / "a.tif", axes="yyx")


def test_ome_series_levels_and_metadata(tmp_path):
    base, other = noise((3, 2, 64, 96), "u2"), noise((20, 30), "u1", seed=5)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        meta = {
            **{"axes": "ZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.25},
            **{"PhysicalSizeZ": 2.0, "Channel": {"Name": ["DAPI", "GFP"]}},
        }
        file.write(base, subifds=1, tile=(32, 32), compression="lzw", metadata=meta)
        file.write(base[..., ::2, ::2], subfiletype=1, tile=(16, 16))
        file.write(other)
    source = open_source(tmp_path / "a.ome.tif")
    info = source.info
    assert (info.axes, info.scale) == ("czyx", (1.0, 2.0, 0.25, 0.5))
    assert info.units == ("", "micrometer", "micrometer", "micrometer")
    assert info.channels == ("DAPI", "GFP")
    assert info.chunks == (1, 1, 32, 32)
    assert_reads(source, base.swapaxes(0, 1))
    small = open_source(tmp_path / "a.ome.tif", level=1)
    assert small.info.scale == (1.0, 2.0, 0.5, 1.0)
    assert_reads(small, base[..., ::2, ::2].swapaxes(0, 1))
    assert_reads(open_source(tmp_path / "a.ome.tif", series=1), other)
    with pytest.raises(SourceError, match="level of 0 to 1"):
        open_source(tmp_path / "a.ome.tif", level=2)
    with pytest.raises(SourceError, match="series of 0 to 1"):
        open_source(tmp_path / "a.ome.tif", series=2)


def test_imagej_hyperstack(tmp_path):
    image = noise((2, 3, 4, 20, 30), "u2")
    meta = {"axes": "TZCYX", "unit": "um", "spacing": 3.0, "finterval": 0.1}
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, resolution=(2.0, 4.0), metadata=meta)
    source = open_source(tmp_path / "a.tif")
    assert source.info.axes == "tczyx"
    assert source.info.scale == (0.1, 1.0, 3.0, 0.25, 0.5)
    assert source.info.units == ("second", "", "micrometer", "micrometer", "micrometer")
    assert_reads(source, image.swapaxes(1, 2))


def test_jpeg_with_tables_equals_what_tifffile_decodes(tmp_path):
    ramp = np.add.outer(np.arange(64), np.arange(96))
    image = np.stack([ramp, 160 - ramp, ramp // 2], -1).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", tile=(32, 32), compression="jpeg")
    source = open_source(tmp_path / "a.tif")
    assert_reads(source, np.moveaxis(tifffile.imread(tmp_path / "a.tif"), -1, 0))
    assert np.abs(source.read(source.info.box).astype(int) - np.moveaxis(image, -1, 0)).max() < 24


@pytest.mark.parametrize(
    ("text", "dtype", "nodata"), [("-9999", "f4", -9999.0), ("0", "u1", 0.0), ("-1", "u1", None), ("what", "u1", None)]
)
def test_nodata_is_a_value_that_pixels_can_have(tmp_path, text, dtype, nodata):
    tifffile.imwrite(tmp_path / "a.tif", noise((8, 9), dtype), extratags=[(42113, "s", 0, text, True)])
    info = open_source(tmp_path / "a.tif").info
    assert info.nodata == nodata
    assert any("nodata tag" in note for note in info.notes) == (nodata is None)


def test_compressed_single_strip_is_noted_and_uncompressed_rows_are_chunks(tmp_path):
    image = noise((1100, 500), "u2")
    tifffile.imwrite(tmp_path / "a.tif", image)
    tifffile.imwrite(tmp_path / "b.tif", image, compression="zstd", rowsperstrip=1100)
    tifffile.imwrite(tmp_path / "small.tif", image[:40], compression="zstd", rowsperstrip=40)
    plain, packed, small = (open_source(tmp_path / name) for name in ("a.tif", "b.tif", "small.tif"))
    assert (plain.info.chunks, plain.cache_bytes, plain.info.notes) == ((1, 500), 0, ())
    assert (packed.info.chunks, small.info.chunks) == ((1100, 500), (40, 500))
    assert any("decoded whole, 1.0 MiB; written again in tiles" in note for note in packed.info.notes)
    assert small.info.notes == ()


@pytest.mark.parametrize(("rows", "what"), [(6000, "the image is one compressed"), (5900, "each compressed segment")])
def test_large_compressed_strips_are_planned_in_their_order(tmp_path, rows, what):
    """The plan holds what one takes, and keeps it for the next tile where there is room; else tiles are as wide."""
    image = np.zeros((6000, 6000), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="zstd", rowsperstrip=rows, metadata=None)
    spec = {
        "version": 1,
        "input": {"path": str(tmp_path / "a.tif")},
        "stages": [{"op": "gaussian", "sigma": 2}],
        "output": {"path": str(tmp_path / "o.zarr"), "dtype": "input"},
        "run": {"memory": "4GiB", "workers": 2},
    }
    made = tileconv.plan(spec)
    (job,) = made.passes
    held = {part.name: part.count for part in job.memory}
    assert held["chunk being decoded"] == 2 * rows * 6000 * 2
    assert (job.cache_bytes >= rows * 6000 * 2, job.read_amplification) == (True, 1)
    (note,) = [note for note in made.source.notes if what in note]
    assert "MiB; written again in tiles" in note
    given = ({"memory": f"{size}MiB", "workers": 2} for size in range(600, 860, 50))
    jobs = [job for run in given for job in tileconv.plan(spec | {"run": run}).passes]
    wide = [job for job in jobs if job.cache_bytes < rows * 6000 * 2]
    assert 0 < len(wide) < len(jobs)
    assert all(job.grid.tile[1] >= 6000 and job.read_amplification <= len(job.grid) for job in wide)
    assert (max(len(job.grid) for job in wide) > 1) == (rows < 6000)  # else one tile is all


def test_windows_of_a_huge_strip_read_only_their_bytes(tmp_path):
    path = tmp_path / "a.tif"
    rows, columns = 40_000, 100_000
    tifffile.memmap(path, shape=(rows, columns), dtype="u2", bigtiff=True).flush()
    source = open_source(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = source.read(Box((20_000, 50_000), (20_100, 50_100)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_384
    assert block.shape == (100, 100)


@pytest.mark.parametrize("layout", ["one strip", "tiles"])
def test_uncompressed_reads_need_little_memory_beside_their_result(tmp_path, layout):
    image = noise((3000, 1504), "u2")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=None if layout == "one strip" else (1504, 1504))
    source = open_source(tmp_path / "a.tif")
    tracemalloc.start()
    block = source.read(source.info.box)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(block, image)
    assert peak < 1.25 * image.nbytes


def test_threads_read_the_right_pixels(tmp_path):
    image = noise((300, 200), "u2")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 32), compression="deflate")
    source = open_source(tmp_path / "a.tif")
    tasks = list(boxes(image.shape, "yx", count=1000))
    with ThreadPoolExecutor(16) as pool:
        for box, block in zip(tasks, pool.map(source.read, tasks), strict=True):
            np.testing.assert_array_equal(block, image[box.start[0] : box.stop[0], box.start[1] : box.stop[1]])


def test_recipe_travels_to_another_process(tmp_path):
    image = noise((40, 50), "u2")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(16, 16), compression="lzw")
    source = open_source(tmp_path / "a.tif")
    source.read(source.info.box)
    (tmp_path / "recipe").write_bytes(pickle.dumps(source))
    assert (tmp_path / "recipe").stat().st_size < 4000
    code = (
        "import pickle, sys, pathlib\n"
        "source = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "sys.stdout.buffer.write(source.read(source.info.box).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "recipe"], capture_output=True, check=True)
    assert done.stdout == image.tobytes()


def test_open_files_are_few(tmp_path):
    sources = []
    for i in range(40):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.full((4, 4), i, "u1"))
        sources.append(TiffSource(tmp_path / f"{i}.tif"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list((tmp_path / "/proc/self/fd").iterdir())) if sys.platform == "linux" else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 24, hard))
    try:
        assert [int(s.read(s.info.box)[0, 0]) for s in sources] == list(range(40))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_levels_lie_where_the_image_does(tmp_path):
    place = [(33550, "d", 3, (10, 20, 0), True), (33922, "d", 6, (0, 0, 0, 500, 900, 0), True)]
    image = noise((64, 96), "u1")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:  # a pyramid, whose second level does not repeat the tags
        file.write(image, tile=(32, 32), extratags=place, subifds=1, metadata=None)
        file.write(image[::2, ::2], tile=(32, 32), subfiletype=1, metadata=None)
    transforms = [open_source(tmp_path / "a.tif", level=level).info.georeference.transform for level in (0, 1)]
    assert transforms == [(10, 0, 500, 0, -20, 900), (20, 0, 500, 0, -40, 900)]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ((), ()),
        (("unassalpha",), ("the last sample is alpha",)),
        (("assocalpha",), ("the last sample is alpha, and the colours are multiplied by it",)),
        (("unspecified", "unspecified"), ("extra samples, which are filtered like colours: 2",)),
        (
            ("unspecified", "unassalpha"),
            ("the last sample is alpha", "extra samples, which are filtered like colours: 1"),
        ),
    ],
)
def test_samples_beside_the_colours_are_noted(tmp_path, extra, expected):
    image = noise((20, 30, 3 + len(extra)), "u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", planarconfig="contig", extrasamples=extra or None)
    source = open_source(tmp_path / "a.tif")
    assert source.info.notes == expected
    kinds = {"unassalpha": "straight", "assocalpha": "associated"}
    assert source.info.alpha == kinds.get(extra[-1] if extra else "", "")
    assert_reads(source, np.moveaxis(image, -1, 0))


@pytest.mark.parametrize("compression", ["deflate", "jpeg", "zstd"])
def test_tiles_of_the_same_few_bytes_are_decoded_once(tmp_path, monkeypatch, compression):
    """Glass of one value, whose tiles at the ends are parts; a tile of texture beside is decoded as ever."""
    image = np.full((700, 900), 243, np.uint8)
    image[:256, 256:512] = noise((256, 256), "u1")
    options = {"photometric": "minisblack", "tile": (256, 256), "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    decoded, real = [], Segments._decoded
    monkeypatch.setattr(Segments, "_decoded", lambda *given: decoded.append(given[-1]) or real(*given))
    source = open_source(tmp_path / "a.tif")
    expected = tifffile.imread(tmp_path / "a.tif")
    for _ in range(2):
        np.testing.assert_array_equal(source.read(source.info.box), expected)
    assert len([number for number in decoded if number in (0, 2, 4, 5, 6)]) == 1  # others reach beyond the image
