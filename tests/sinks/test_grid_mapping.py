"""Results that lie on the earth say so as CF has it, at every level, and xarray finds it."""

import json
import re

import numpy as np
import pytest
import strategies
import tifffile
import xarray

import tileconv
from tileconv.georeference import Georeference
from tileconv.sources.open import open_source
from tileconv.systems import described

UTM33 = (
    'PROJCS["WGS 84 / UTM zone 33N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,'
    'AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",15],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH],AUTHORITY["EPSG","32633"]]'
)
"""As GDAL 3.12 writes it."""
KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
TAGS = [
    (33550, "d", 3, (10.0, 20.0, 0.0), True),
    (33922, "d", 6, (0, 0, 0, 500.0, 900.0, 0), True),
    (34735, "H", len(KEYS), KEYS, True),
]


@pytest.fixture
def raster(tmp_path):
    """A GeoTIFF of pixels 10 wide and 20 high whose corner lies at (500, 900)."""
    tifffile.imwrite(tmp_path / "a.tif", strategies.pixels((50, 70), "uint8", 3), extratags=TAGS)
    return tmp_path / "a.tif"


def made(raster, stages=(), input_=None, **output):
    words = {"path": str(raster.with_name("out.ome.zarr")), "chunks": 16, "pyramid": {"levels": 3}, **output}
    pipeline = {"version": 1, "input": {"path": str(raster), **(input_ or {})}, "stages": [*stages], "output": words}
    return tileconv.run(pipeline, overwrite=True).output


def level_of(store, level):
    """Return a level as xarray opens it, and the variable that says where it lies."""
    others = [path.name for path in store.iterdir() if path.name.isdigit() and path.name != level]
    with xarray.open_zarr(store, consolidated=False, decode_coords="all", drop_variables=others) as data:
        array = data[level]
        return array, array.coords[array.encoding["grid_mapping"]]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize(
    ("words", "corner", "pixel"),
    [
        ({"input_": {"region": {"y": [2, 50], "x": [3, 60]}}}, (530, 860), (10, 20)),
        ({"stages": [{"op": "box", "size": {"y": 3, "x": 5}, "extent": "full"}]}, (480, 920), (10, 20)),
        ({"stages": [{"op": "box", "size": {"y": 3, "x": 5}, "extent": "valid"}]}, (520, 880), (10, 20)),
        ({"stages": [{"op": "pool", "size": 2, "padding": 0}]}, (500, 900), (20, 40)),
    ],
    ids=["region", "full", "valid", "stride"],
)
def test_every_level_lies_where_its_pixels_do(raster, words, corner, pixel, version):
    store = made(raster, **words, format=version)
    for level in range(3):
        array, mapping = level_of(store, str(level))
        wide, high = (side * 2**level for side in pixel)
        assert [float(n) for n in mapping.attrs["GeoTransform"].split()] == [corner[0], wide, 0, corner[1], 0, -high]
        assert mapping.attrs["crs_wkt"] == mapping.attrs["spatial_ref"] == UTM33
        assert array.attrs["spatial:transform"] == [wide, 0, corner[0], 0, -high, corner[1]]
        read = open_source(store, level=level).info.georeference
        assert read == Georeference("EPSG:32633", (wide, 0, corner[0], 0, -high, corner[1]), "meter")


def test_a_place_without_the_conventions_is_read_from_the_variable(raster, tmp_path):
    store = made(raster)
    for path in store.glob("[0-9]/zarr.json"):
        said = json.loads(path.read_text())
        said["attributes"] = {"grid_mapping": said["attributes"]["grid_mapping"]}
        path.write_text(json.dumps(said))
    assert open_source(store, level=1).info.georeference == Georeference(UTM33, (20, 0, 500, 0, -40, 900))
    store.rename(tmp_path / "own.ome.zarr")
    assert level_of(made(tmp_path / "own.ome.zarr"), "0")[1].attrs["crs_wkt"] == UTM33


def test_levels_that_are_added_have_their_own(raster):
    store = made(raster, pyramid={"levels": 2})
    tileconv.pyramid(store, levels=3)
    assert level_of(store, "2")[1].attrs["GeoTransform"] == "500.0 40.0 0.0 900.0 0.0 -80.0"
    foreign = raster.with_name("foreign.ome.zarr")
    store.rename(foreign)
    store.with_name("out.ome.zarr.tileconv").rename(raster.with_name("elsewhere"))
    tileconv.pyramid(foreign, levels=4)
    assert level_of(foreign, "3")[1].attrs["GeoTransform"] == "500.0 80.0 0.0 900.0 0.0 -160.0"


def test_a_result_with_it_is_replaced_and_an_image_on_no_earth_has_none(raster):
    assert (made(raster) / "spatial_ref_2").is_dir()
    np.save(raster.with_name("a.npy"), np.zeros((40, 50), np.uint8))
    store = made(raster.with_name("a.npy"))
    assert not [path for path in store.iterdir() if path.name.startswith("spatial_ref")]
    assert "grid_mapping" not in (store / "0" / "zarr.json").read_text()


def test_systems_that_follow_from_their_code():
    south, etrs, degrees = (described(f"EPSG:{code}") for code in (32718, 25832, 4326))
    assert (south["false_northing"], south["longitude_of_central_meridian"]) == (10_000_000, -75)
    assert (etrs["longitude_of_central_meridian"], etrs["inverse_flattening"]) == (9, 298.257222101)
    assert (degrees["grid_mapping_name"], degrees["crs_wkt"][:16]) == ("latitude_longitude", 'GEOGCS["WGS 84",')
    for code in (32601, 32660, 32701, 32760, 25828, 25837, 26901, 26923, 3857, 4258, 4269):
        text = described(f"EPSG:{code}")["crs_wkt"]
        assert text.endswith(f'AUTHORITY["EPSG","{code}"]]')
        assert text.count("[") == text.count("]")
        assert not re.search(r",,|\[,|,\]", text)
    for code in (32600, 32661, 32700, 32761, 25827, 25838, 26900, 26924, 3035, 31287):
        assert described(f"EPSG:{code}") == {"spatial_ref": f"EPSG:{code}"}
    assert described("PROJCRS[...]") == {"crs_wkt": "PROJCRS[...]", "spatial_ref": "PROJCRS[...]"}
