"""OME-Zarr 0.5 metadata, judged by two validators and by the words of the specification that they do not check."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaozarrs
import zarr
from ome_zarr_models.v05 import Image

from tileconv.errors import SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.ome import ome_attributes
from tileconv.sinks.zarr import ZarrSink

UNITS = {"t": "second", "c": "", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
SCALES = {"t": 2.0, "c": 1.0, "z": 4.0, "y": 0.5, "x": 0.25}


def info_of(axes, dtype="uint16", *, units=True, channels=()):
    shape = tuple({"t": 2, "c": 3, "z": 2, "y": 6, "x": 5}[axis] for axis in axes)
    return ImageInfo(
        shape,
        axes,
        np.dtype(dtype),
        shape,
        scale=tuple(SCALES[axis] for axis in axes) if units else (),
        units=tuple(UNITS[axis] for axis in axes) if units else (),
        origin=tuple(range(len(axes))) if units else (),
        channels=channels,
    )


@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tyx", "czyx", "tcyx", "tzyx", "tczyx"])
@pytest.mark.parametrize("units", [False, True])
def test_every_kind_of_image_passes_both_validators(tmp_path, axes, units):
    channels = ("red", "green", "blue") if "c" in axes else ()
    sink = ZarrSink(tmp_path / "image.ome.zarr", info_of(axes, units=units, channels=channels))
    sink.create()
    sink.write(sink.info.box, np.ones(sink.info.shape, sink.info.dtype))
    sink.finish({})
    yaozarrs.validate_zarr_store(str(sink.path))
    model = Image.from_zarr(zarr.open_group(sink.path, mode="r"))
    assert [axis.name for axis in model.attributes.ome.multiscales[0].axes] == list(axes)
    array = zarr.open_array(sink.path / "0", mode="r")
    assert array.metadata.dimension_names == tuple(axes)  # the specification's MUST that yaozarrs does not check


def test_scale_and_translation_are_in_units_of_the_axes():
    ome = ome_attributes(replace(info_of("tzyx"), origin=(0, 4, -1, 0.75)), name="cells")
    (image,) = ome["multiscales"]
    assert image["name"] == "cells"
    assert image["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    assert image["datasets"] == [
        {
            "path": "0",
            "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 4.0, 0.5, 0.25]},
                {"type": "translation", "translation": [0.0, 4.0, -1.0, 0.75]},
            ],
        }
    ]


def test_without_a_shift_there_is_no_translation():
    ome = ome_attributes(info_of("yx", units=False), name="cells")
    assert [t["type"] for t in ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]] == ["scale"]


def test_channel_names_come_with_colours_and_the_window_to_show():
    info = info_of("cyx", "int16", channels=("DAPI", "GFP", "RFP"))
    channels = ome_attributes(info, name="")["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["DAPI", "GFP", "RFP"]
    assert all(re.fullmatch("[0-9A-F]{6}", channel["color"]) for channel in channels)
    assert channels[0]["window"] == {"min": -32768, "max": 32767, "start": -32768, "end": 32767}
    assert "omero" not in ome_attributes(info_of("cyx"), name="")


def test_float_channels_are_named_only_with_a_known_window():
    info = info_of("cyx", "float32", channels=("DAPI", "GFP", "RFP"))
    assert "omero" not in ome_attributes(info, name="")
    ome = ome_attributes(info, name="", window=(-2.5, 7.0))
    assert ome["omero"]["channels"][2]["window"] == {"min": -2.5, "max": 7.0, "start": -2.5, "end": 7.0}


def test_an_image_with_one_spatial_axis_is_refused(tmp_path):
    with pytest.raises(SinkError, match="two or three of the axes z, y and x, found 'tx'"):
        ome_attributes(info_of("tx"), name="")
    with pytest.raises(SinkError, match="found 'tx'"):
        ZarrSink(tmp_path / "out.zarr", info_of("tx")).create()
    assert list(tmp_path.iterdir()) == []
