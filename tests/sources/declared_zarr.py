"""Rows of docs/inputs.md for Zarr and OME-Zarr."""

from __future__ import annotations

import base64
import struct

import numpy as np
import zarr

from tests.sources.declared import GRAY, Row

FLOATS = GRAY.astype(np.float32) / 4 - 7


def array(pixels=GRAY, version=3, group=(), beside=(), fill_value=0, dims=("y", "x"), **attributes):
    """Write a group with the array ``a``, and rows of coordinates *beside* it."""

    def write(folder):
        root = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=version)
        root.attrs.update(dict(group))
        for name, values in {**dict(beside), "a": pixels}.items():
            names = dims if name == "a" else [name] if np.ndim(values) else []
            words = {"dimension_names": names} if version == 3 else {}
            made = root.create_array(
                name, data=np.asarray(values), fill_value=fill_value if name == "a" else 0, **words
            )
            more = {"_ARRAY_DIMENSIONS": list(names)} if version == 2 else {}
            made.attrs.update(more | (attributes if name == "a" else SYSTEM if name == "spatial_ref" else {}))
        return folder / "a.zarr" / "a"

    return write


def packed(value, form):
    return base64.standard_b64encode(struct.pack(form, value)).decode()


def missing(nodata):
    def look(seen):
        out = seen.result(missing={"rule": "propagate"})[...]
        assert np.isnan(out).sum() == 4
        assert seen.info.nodata == nodata

    return look


def takes_all(seen):
    np.testing.assert_array_equal(seen.result(nodata="none")[...], seen.pixels)


def rescaled(seen):
    words = seen.info.notes[0].split("{op: rescale, ")[1].split("}")[0]
    stage = {"op": "rescale"} | {k: float(v) for k, _, v in (w.partition(": ") for w in words.split(", "))}
    np.testing.assert_allclose(seen.result(stages=[stage])[...], GRAY * 0.5 - 3)


def placed(crs, transform):
    def look(seen):
        assert seen.georeference() == (crs, transform)

    return look


WKT = 'GEOGCRS["WGS 84"]'
SYSTEM = {"crs_wkt": WKT, "GeoTransform": "500 10 0 900 0 -20"}
ROWS = {"y": 900 - 20 * np.arange(20), "x": 500 + 10 * np.arange(24)}
NORTH = [10, 0, 495, 0, -20, 910]
UNEVEN = ROWS | {"x": np.arange(24) ** 2}
SPATIAL = {"proj:code": "EPSG:32633", "spatial:transform": [10, 0, 500, 0, -20, 900]}


def ome(pixels=GRAY, steps=({"type": "scale", "scale": [2.0, 0.5]},), unit="micrometer", axes="yx", **more):
    def write(folder):
        root = zarr.open_group(folder / "a.ome.zarr", mode="w", zarr_format=3)
        named = [
            {"name": a, "type": "channel" if a == "c" else "space"} | ({"unit": unit} if a != "c" else {}) for a in axes
        ]
        datasets = [{"path": "0", "coordinateTransformations": list(steps)}]
        image = {"multiscales": [{"axes": named, "datasets": datasets}], "version": "0.5"}
        root.attrs["ome"] = image | more
        root.create_array("0", data=pixels, dimension_names=list(axes))
        return folder / "a.ome.zarr"

    return write


def plate(folder):
    store = zarr.open_group(
        folder / "plate.zarr", mode="w", attributes={"ome": {"plate": {"wells": [{"path": "A/1"}]}}}
    )
    well = store.create_group("A/1", attributes={"ome": {"well": {"images": [{"path": "0"}]}}})
    well.create_array("0/0", data=GRAY)
    return folder / "plate.zarr"


def has(**expected):
    def look(seen):
        for name, value in expected.items():
            assert getattr(seen.info, name) == value
        seen.result()

    return look


OMERO = {"channels": [{"label": "DAPI", "color": "0000ff"}, {"label": "GFP", "color": "00FF00"}]}
UNIT = {"steps": ({"type": "scale", "scale": [1.0, 1.0, 1.0]},), "axes": "cyx"}

ZARR = [
    Row("Zarr 2 and 3", "`_FillValue` as a number", "used: missing pixels", array(_FillValue=5), look=missing(5)),
    Row("Zarr 3", "`_FillValue` in base64, of the float64 (xarray) or of a pixel", "used: missing pixels",
        array(FLOATS, _FillValue=packed(-5.0, "<d")), look=missing(-5)),
    Row("Zarr 3", "`_FillValue` as text: decimals, `NaN`, or bits as `0x…`", "used: missing pixels",
        array(FLOATS, _FillValue="0x" + struct.pack(">f", -5.0).hex()), look=missing(-5)),
    Row("Zarr 2", "the fill value of an array that xarray wrote, but 0", "used: missing pixels",
        array(version=2, fill_value=5), look=missing(5)),
    Row("Zarr 2 and 3", "another fill value", "told: counts as any other", array(fill_value=5),
        "the fill value 5 counts as any other"),
    Row("CF", "`missing_value`", "used: missing pixels", array(missing_value=[5]), look=missing(5)),
    Row("CF", "several missing values", "refused, unless `input.nodata` is given", array(missing_value=5, _FillValue=6),
        "more than one missing value (_FillValue 6, missing_value 5)", takes_all),
    Row("CF", "a missing value that is no number", "refused, unless `input.nodata` is given", array(_FillValue="what?"),
        "the attribute _FillValue of 'what?'", takes_all),
    Row("CF", "a missing value that no pixel can have", "told: ignored", array(_FillValue=-9999),
        "the _FillValue -9999 is no value of uint8"),
    Row("CF", "`scale_factor` and `add_offset`", "told, with the `rescale` stage that applies them",
        array(scale_factor=0.5, add_offset=-3), "scale 0.5 and offset -3 are not applied", rescaled),
    Row("CF", "`valid_min`, `valid_max`, `valid_range`", "told: all values count", array(valid_range=[3, 90]),
        "values outside valid_range [3, 90] count as any others"),
    Row("CF", "`_Unsigned` that contradicts the type", "refused", array(GRAY.astype(np.int8), _Unsigned="true"),
        "the attribute _Unsigned is true"),
    Row("CF", "flags", "told: filtered as numbers", array(flag_values=[1, 2]), "the pixels are flags"),
    Row("CF", "reference system and `GeoTransform` of a grid mapping", "used: attributes of the result",
        array(beside={"spatial_ref": 0}, grid_mapping="spatial_ref"), look=placed(WKT, [10, 0, 500, 0, -20, 900])),
    Row("CF", "evenly spaced coordinates along y and x", "used: attributes of the result", array(beside=ROWS),
        look=placed(None, NORTH)),
    Row("CF", "uneven coordinates; those of other axes", "told: not carried", array(beside=UNEVEN),
        "the coordinates of x are not carried: uneven", placed(None, None)),
    Row("Zarr", "other attributes", "told: not carried", array(units="K", long_name="t2m"),
        "attributes that are not carried: long_name, units"),
    Row("GDAL", "`_CRS`", "used: attributes of the result",
        array(_CRS={"url": "http://www.opengis.net/def/crs/EPSG/0/32633"}), look=placed("EPSG:32633", None)),
    Row("GDAL", "`_CRS` that is neither an EPSG code nor WKT", "told: not carried", array(_CRS={"projjson": {}}),
        "is neither an EPSG code nor WKT", placed(None, None)),
    Row("GeoZarr", "`proj:code`, `proj:wkt2`, `spatial:transform`, of the array or its group",
        "used: attributes of the result", array(group=SPATIAL), look=placed("EPSG:32633", [10, 0, 500, 0, -20, 900])),
    Row("GeoZarr", "`spatial:registration` of `node`", "used", array(**SPATIAL, **{"spatial:registration": "node"}),
        look=placed("EPSG:32633", NORTH)),
    Row("rioxarray", "`crs` and `transform`", "used: attributes of the result",
        array(crs="EPSG:4326", transform=[10, 0, 500, 0, -20, 900]),
        look=placed("EPSG:4326", [10, 0, 500, 0, -20, 900])),
    Row("OME-Zarr", "scale, translation, identity", "used: pixel size and origin",
        ome(steps=({"type": "scale", "scale": [2.0, 0.5]}, {"type": "translation", "translation": [7.0, 8.0]})),
        look=has(scale=(2.0, 0.5), origin=(7.0, 8.0), units=("micrometer",) * 2)),
    Row("OME-Zarr", "other transforms: affine, rotation, sequence, numbers in a file", "refused, by their kind",
        ome(steps=({"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]},)), "transforms coordinates by 'affine'"),
    Row("OME-Zarr", "a scale that is none: 0, negative, NaN", "told: ignored",
        ome(steps=({"type": "scale", "scale": [0.0, 1.0]},)), "is no size and is ignored", has(scale=(1.0, 1.0))),
    Row("OME-Zarr", "units by other names: `µm`, `micron`", "used: by their name in OME-Zarr", ome(unit="micron"),
        look=has(units=("micrometer",) * 2)),
    Row("OME-Zarr", "units that OME-Zarr does not know", "told: left out", ome(unit="pixel"),
        "units that OME-Zarr does not know are left out: pixel", has(units=("", ""), scale=(2.0, 0.5))),
    Row("OME-Zarr", "names and colours of channels (`omero`)", "used", ome(np.stack([GRAY, GRAY]), **UNIT, omero=OMERO),
        look=has(channels=("DAPI", "GFP"), colours=("0000FF", "00FF00"))),
    Row("OME-Zarr", "labels (`image-label`)", "told: filtered as numbers", ome(**{"image-label": {}}),
        "the pixels are labels"),
    Row("OME-Zarr", "wells and fields of a plate", "refused, unless `input.series` is `all`", plate, "found a plate"),
]  # fmt: skip
