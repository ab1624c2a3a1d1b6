"""Exported TIFF files: the pixels of every level by tifffile and by tileconv, and what is said of them."""

import json
from itertools import pairwise
from threading import Event
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from formats.export_help import halved, store_of
from sources.sources_help import noise

import tileconv
from tileconv.errors import PlanError
from tileconv.execute.export import export
from tileconv.formats.stream import in_order
from tileconv.georeference import Georeference
from tileconv.sources.open import open_source

TILE = 64
UTM = Georeference("EPSG:32633", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Tiles of 64 pixels, so that small images have levels."""
    monkeypatch.setattr("tileconv.formats.export.TILE", TILE)


LABELS = (np.arange(259 * 66, dtype=np.uint16) // 40).reshape(259, 66)


def levels_in(path):
    """Return the pixels of every level as tifffile reads them, axes of length 1 left out."""
    with tifffile.TiffFile(path) as file:
        return [level.asarray().squeeze() for level in file.series[0].levels]


@pytest.mark.parametrize(
    ("dtype", "codec"),
    [
        *((dtype, "deflate") for dtype in ("uint8", "int16", "int32", "float64")),
        *((dtype, codec) for dtype in ("uint16", "float32") for codec in ("zstd", "lzw", "none")),
    ],
)
def test_pixels_of_every_type_and_codec_are_those_of_the_store(tmp_path, dtype, codec):
    levels = 1 + (dtype in ("uint16", "float32"))  # whose loops other tests need as well: each type has its own
    pixels = store_of(tmp_path / "a.zarr", (67, 77) if levels > 1 else (53, 61), dtype)
    made = export(tmp_path / "a.zarr", tmp_path / "a.ome.tif", codec=codec)
    first, *second = levels_in(made.output)
    np.testing.assert_array_equal(first, pixels)
    assert [level.shape for level in second] == [(34, 39)] * (levels - 1)
    assert made.levels == levels


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_wide_integers_go_into_a_tif_alone(tmp_path, dtype):
    pixels = store_of(tmp_path / "a.zarr", (40, 50), dtype)
    np.testing.assert_array_equal(levels_in(export(tmp_path / "a.zarr", tmp_path / "a.tif").output)[0], pixels)
    with pytest.raises(PlanError, match=r"an OME-TIFF has no pixels of u?int64"):
        export(tmp_path / "a.zarr", tmp_path / "a.ome.tif")


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
@pytest.mark.parametrize("chunk", [32, 38, 125])
def test_levels_are_means_of_those_above_at_odd_sizes(tmp_path, name, chunk):
    pixels = store_of(tmp_path / "a.zarr", (259, 66), "uint16", chunks=(chunk, chunk))
    levels = levels_in(export(tmp_path / "a.zarr", tmp_path / name).output)
    expected = pixels
    for level in levels:
        np.testing.assert_array_equal(level, expected)
        expected = halved(expected)
    assert [level.shape for level in levels] == [(259, 66), (130, 33), (65, 17), (33, 9)]


def test_planes_keep_their_places(tmp_path):
    store_of(tmp_path / "a.zarr", (2, 3, 4, 70, 30), "uint8", "tczyx", chunks=(1, 1, 3, 32, 30))
    pixels = np.asarray(open_source(tmp_path / "a.zarr").read(open_source(tmp_path / "a.zarr").info.box))
    with tifffile.TiffFile(export(tmp_path / "a.zarr", tmp_path / "a.ome.tif").output) as file:
        series = file.series[0]
        assert series.axes == "TCZYX"
        np.testing.assert_array_equal(series.asarray(), pixels)
    read = open_source(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read.read(read.info.box), pixels)
    with pytest.raises(PlanError, match="a TIFF is one plane, and the image has the axes t, z"):
        export(tmp_path / "a.zarr", tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
@pytest.mark.parametrize("count", [3, 4])
def test_colours_are_samples_of_a_pixel(tmp_path, name, count):
    names = ("red", "green", "blue", "alpha")[:count]
    pixels = store_of(
        tmp_path / "a.zarr", (count, 67, 30), "uint8", "cyx", channels=names, alpha="straight" * (count == 4)
    )
    with tifffile.TiffFile(export(tmp_path / "a.zarr", tmp_path / name).output) as file:
        page = file.pages.first
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.extrasamples == ((tifffile.EXTRASAMPLE.UNASSALPHA,) if count == 4 else ())
        np.testing.assert_array_equal(page.asarray(), np.moveaxis(pixels, 0, -1))
        np.testing.assert_array_equal(file.series[0].levels[1].asarray(), np.moveaxis(halved(pixels), 0, -1))
    assert open_source(tmp_path / name).info.shape == (count, 67, 30)


@pytest.mark.parametrize(("kind", "count"), [("associated", 4), ("straight", 2)])
def test_the_kind_of_alpha_is_kept_in_stores_and_files(tmp_path, kind, count):
    """Through a run of one stage, which weighs colours only where they are not multiplied by alpha already."""
    colours = noise((40, 50, count), "uint8")
    words = {"photometric": "rgb" if count == 4 else "minisblack", "planarconfig": "contig"}
    extra = {"associated": "assocalpha", "straight": "unassalpha"}[kind]
    tifffile.imwrite(tmp_path / "a.tif", colours, extrasamples=[extra], **words)
    made = {}
    for name, first in (("once", "a.tif"), ("twice", "once.ome.zarr"), ("file", "once.tif"), ("ome", "once.ome.tif")):
        stages = [{"op": "gaussian", "sigma": 1}] * (name != "once")
        pipeline = {"version": 1, "input": {"path": str(tmp_path / first)}, "stages": stages}
        tileconv.run({**pipeline, "output": {"path": str(tmp_path / f"{name}.ome.zarr"), "dtype": "uint8"}})
        source = open_source(tmp_path / f"{name}.ome.zarr")
        made[name] = source.read(source.info.box)
        assert (source.info.alpha == kind) == (name != "ome" or count == 4)  # an OME-TIFF has a plane for each channel
        if name == "once":
            for file in ("once.tif", "once.ome.tif"):
                export(tmp_path / "once.ome.zarr", tmp_path / file)
            with tifffile.TiffFile(tmp_path / "once.tif") as file:
                assert file.pages.first.extrasamples == (tifffile.EXTRASAMPLE[extra.upper()],)
            if kind == "associated":
                with pytest.raises(PlanError, match="not multiplied by alpha"):
                    export(tmp_path / "once.ome.zarr", tmp_path / "a.png")
    np.testing.assert_array_equal(made["twice"], made["file"])
    if count == 4:
        np.testing.assert_array_equal(made["twice"], made["ome"])


def test_labels_have_no_means(tmp_path):
    pixels = store_of(tmp_path / "a.zarr", (259, 66), "uint16", pixels=LABELS)
    said = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    said["attributes"]["ome"]["image-label"] = {}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(said))
    pipeline = {"version": 1, "input": {"path": str(tmp_path / "a.zarr")}, "stages": []}
    tileconv.run({**pipeline, "output": {"path": str(tmp_path / "b.ome.zarr")}})
    for store in ("a.zarr", "b.ome.zarr"):  # a result says of itself that it is labels
        levels = levels_in(export(tmp_path / store, tmp_path / "a.tif", overwrite=True).output)
        assert len(levels) == 4
        assert all({*level.flat} <= {*pixels.flat} for level in levels)


def test_jpeg_is_near(tmp_path):
    y, x = np.mgrid[:300, :400]
    smooth = np.stack([y // 2, x // 2, (y + x) // 4]).astype(np.uint8)
    store_of(tmp_path / "a.zarr", smooth.shape, "uint8", "cyx", channels=("red", "green", "blue"), pixels=smooth)
    with tifffile.TiffFile(export(tmp_path / "a.zarr", tmp_path / "a.ome.tif", codec="jpeg", level=95).output) as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.YCBCR
        off = file.pages.first.asarray().astype(int) - np.moveaxis(smooth, 0, -1)
    assert np.abs(off).max() <= 8


@pytest.mark.parametrize("most", [2**24, 2**10])
def test_bands_are_samples_of_a_pixel_or_behind_one_another(tmp_path, monkeypatch, most):
    monkeypatch.setattr("tileconv.planning.files.TOGETHER_BYTES", most)
    pixels = store_of(tmp_path / "a.zarr", (5, 67, 30), "float32", "cyx", channels=tuple("VWXYZ"))
    with tifffile.TiffFile(export(tmp_path / "a.zarr", tmp_path / "a.tif").output) as file:
        page = file.pages.first
        separate = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
        assert separate == (most == 2**10)
        np.testing.assert_array_equal(page.asarray(), pixels if separate else np.moveaxis(pixels, 0, -1))
        assert '<Item name="DESCRIPTION" sample="4" role="description">Z</Item>' in page.tags[42112].value
    read = open_source(tmp_path / "a.tif")
    np.testing.assert_array_equal(read.read(read.info.box), pixels)


def test_what_is_known_of_the_image_is_in_the_ome_xml(tmp_path):
    known = {
        "channels": ("DAPI", "GFP & \u03b2"),
        "colours": ("0000FF", "12FF34"),
        "scale": (2.5, 1.0, 0.5, 0.25, 0.25),
        "units": ("second", "", "micrometer", "micrometer", "micrometer"),
    }
    store_of(tmp_path / "a.zarr", (2, 2, 2, 20, 30), "uint8", "tczyx", provenance={"fingerprint": "f00"}, **known)
    export(tmp_path / "a.zarr", tmp_path / "a.ome.tif")
    info = open_source(tmp_path / "a.ome.tif").info
    assert {name: getattr(info, name) for name in known} == known
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert json.loads(file.ome_metadata.partition("<Value>")[2].partition("</Value>")[0]) == {"fingerprint": "f00"}
        assert 'Image ID="Image:0" Name="cells"' in file.ome_metadata
        assert file.pages.first.tags["ImageDescription"].value.isascii()


def test_names_with_characters_that_xml_does_not_have(tmp_path):
    names = ("DAPI\x00", "a\ud800<\ufffe")
    store_of(tmp_path / "a.zarr", (2, 20, 30), "uint8", "cyx", channels=names)
    export(tmp_path / "a.zarr", tmp_path / "a.ome.tif")
    assert open_source(tmp_path / "a.ome.tif").info.channels == ("DAPI\\u0000", "a\\ud800<\\ufffe")
    export(tmp_path / "a.zarr", tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "DAPI\\u0000" in file.pages.first.tags[42112].value


def test_the_place_of_a_region_is_told_plane_by_plane(tmp_path):
    words = {"origin": (0.0, 0.0, 3.0, 1.5, 0.0), "scale": (1.0, 1.0, 2.0, 0.5, 0.25)}
    units = ("second", "", "micrometer", "micrometer", "millimeter")
    store_of(tmp_path / "a.zarr", (2, 2, 2, 20, 30), "uint8", "tczyx", units=units, **words)
    export(tmp_path / "a.zarr", tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        root = ElementTree.fromstring(file.ome_metadata)  # noqa: S314 ours
    planes = [one.attrib for one in root.iter() if one.tag.endswith("}Plane")]
    assert [[int(one[f"The{axis}"]) for axis in "TCZ"] for one in planes] == [[*n] for n in np.ndindex(2, 2, 2)]
    assert [one["PositionZ"] for one in planes] == ["3.0", "5.0"] * 4
    assert {(one["PositionY"], one["PositionYUnit"], one["PositionX"], one["PositionXUnit"]) for one in planes} == {
        ("1.5", "µm", "0.0", "mm")
    }


@pytest.mark.parametrize(
    "place",
    [
        UTM,
        Georeference("EPSG:4326", (0.1, 0.0, 5.0, 0.0, -0.2, 48.0)),
        Georeference("EPSG:32633", (10.0, 1.0, 5.0, 2.0, -10.0, 6.0)),
        Georeference("", (10.0, 0.0, 5.0, 0.0, -10.0, 6.0)),
    ],
)
def test_a_place_on_the_earth_is_kept(tmp_path, place):
    store_of(tmp_path / "a.zarr", (40, 50), "int16", georeference=place, nodata=-9999)
    export(tmp_path / "a.zarr", tmp_path / "a.tif")
    info = open_source(tmp_path / "a.tif").info
    assert (info.georeference, info.nodata) == (place, -9999)
    assert "a .tif does" in export(tmp_path / "a.zarr", tmp_path / "a.ome.tif").notes[0]


def test_missing_pixels_are_left_out_of_means(tmp_path):
    pixels = np.where(noise((67, 30), "uint8") < 90, 7, noise((67, 30), "uint8", 1)).astype(np.uint8)
    store_of(tmp_path / "a.zarr", pixels.shape, "uint8", pixels=pixels, nodata=7)
    levels = levels_in(export(tmp_path / "a.zarr", tmp_path / "a.tif").output)
    np.testing.assert_array_equal(levels[1], halved(pixels, 7))


def test_directories_come_first_and_small_levels_before_large_ones(tmp_path):
    """What a validator of cloud optimized GeoTIFF asks of the order of a file."""
    store_of(tmp_path / "a.zarr", (260, 70), georeference=UTM)
    with tifffile.TiffFile(export(tmp_path / "a.zarr", tmp_path / "a.tif").output) as file:
        pages = list(file.pages)
        assert [page.offset for page in pages] == sorted(page.offset for page in pages)
        assert pages[0].offset == 8
        tiles = [range(min(page.dataoffsets), max(page.dataoffsets)) for page in pages]
    assert max(page.offset for page in pages) < tiles[-1].start
    assert all(large.start > small.stop for large, small in pairwise(tiles))
    assert [page.tags[254].value for page in pages] == [0, 1, 1, 1]


def test_a_large_file_is_a_bigtiff(tmp_path, monkeypatch):
    pixels = store_of(tmp_path / "a.zarr", (67, 77))
    small = export(tmp_path / "a.zarr", tmp_path / "small.ome.tif")
    monkeypatch.setattr("tileconv.formats.tiled.CLASSIC_BYTES", 2**10)
    large = export(tmp_path / "a.zarr", tmp_path / "large.ome.tif")
    for made, big in ((small, False), (large, True)):
        with tifffile.TiffFile(made.output) as file:
            assert file.is_bigtiff == big
            np.testing.assert_array_equal(file.asarray(), pixels)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
def test_workers_change_no_byte(tmp_path, name):
    store_of(tmp_path / "a.zarr", chunks=(13, 38))
    files = []
    for workers in (1, 3):
        export(tmp_path / "a.zarr", tmp_path / name, workers=workers, overwrite=True)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_a_few_results_wait_and_no_more():
    begun = []
    ahead = [len(begun) - number for number in in_order(lambda n: begun.append(n) or n, range(40), 3, Event())]
    assert len(ahead) == 40
    assert max(ahead) <= 2 * 3


def test_an_image_of_any_kind_is_exported(tmp_path):
    np.save(tmp_path / "a.npy", noise((75, 70), "float32"))
    export(tmp_path / "a.npy", tmp_path / "a.tif")
    tileconv.export(tmp_path / "a.tif", tmp_path / "b.ome.tif")
    np.testing.assert_array_equal(levels_in(tmp_path / "b.ome.tif")[0], np.load(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        ({"output": "a.xyz"}, PlanError, r"expected a name that ends in one of \.ome\.tif"),
        (
            {"codec": "jpeg"},
            PlanError,
            "JPEG holds uint8, gray or red, green and blue, and the image is y=20 x=30, uint16",
        ),
        ({"codec": "lzw", "level": 3}, PlanError, "expected no level for lzw, found 3"),
        ({"codec": "zstd", "level": 20}, PlanError, "expected a level from 1 to 19 for zstd, found 20"),
        ({"codec": "jxl"}, PlanError, "expected one of the codecs deflate, zstd, lzw, jpeg, none, found 'jxl'"),
    ],
)
def test_refused(tmp_path, words, error, text):
    store_of(tmp_path / "a.zarr", (20, 30))
    output = tmp_path / words.pop("output", "a.ome.tif")
    with pytest.raises(error, match=text):
        export(tmp_path / "a.zarr", output, **words)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
