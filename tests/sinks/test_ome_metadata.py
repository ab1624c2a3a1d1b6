"""OME-Zarr 0.5 metadata, judged by two validators and by the words of the specification that they do not check."""

from dataclasses import replace

import numpy as np
import pytest
import yaozarrs
import zarr
from ome_zarr_models.v04 import Image as Image04
from ome_zarr_models.v05 import Image

from tileconv.errors import SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.layout import Layout
from tileconv.sinks.ome import Window, ome_attributes
from tileconv.sinks.zarr import ZarrSink
from tileconv.storage import Storage
from tileconv.stores.local import LocalStore

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
    sink = ZarrSink(LocalStore(tmp_path / "image.ome.zarr"), Layout(info_of(axes, units=units, channels=channels)))
    sink.create()
    sink.writer.write(sink.layout.info.box, np.ones(sink.layout.info.shape, sink.layout.info.dtype))
    sink.finish({})
    yaozarrs.validate_zarr_store(str(sink.store.root))
    model = Image.from_zarr(zarr.open_group(sink.store.root, mode="r"))
    assert [axis.name for axis in model.attributes.ome.multiscales[0].axes] == list(axes)
    assert len(model.attributes.ome.omero["channels"]) == (3 if "c" in axes else 1)
    array = zarr.open_array(sink.store.root / "0", mode="r")
    assert array.metadata.dimension_names == tuple(axes)  # the specification's MUST that yaozarrs does not check


def test_scale_and_translation_are_in_units_of_the_axes():
    ome = ome_attributes(replace(info_of("tzyx"), origin=(0, 4, -1, 0.75)), name="cells")["ome"]
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
    ome = ome_attributes(info_of("yx", units=False), name="cells")["ome"]
    assert [t["type"] for t in ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]] == ["scale"]


WINDOW = Window(1, 2.5, 0, 4)


@pytest.mark.parametrize(
    ("axes", "words", "labels", "colours"),
    [
        ("yx", {}, ["cells"], ["FFFFFF"]),
        ("cyx", {}, ["channel 0", "channel 1", "channel 2"], ["FF0000", "00FF00", "0000FF"]),
        ("cyx", {"channels": ("DAPI", "GFP", "RFP")}, ["DAPI", "GFP", "RFP"], ["FF0000", "00FF00", "0000FF"]),
        ("cyx", {"colours": ("00AAFF", "", "FFFFFF")}, None, ["00AAFF", "00FF00", "FFFFFF"]),
    ],
)
def test_every_channel_has_a_name_a_colour_and_a_window(axes, words, labels, colours):
    info = replace(info_of(axes), **words)
    channels = ome_attributes(info, name="cells", windows=[WINDOW] * len(colours))["ome"]["omero"]["channels"]
    assert labels is None or [channel["label"] for channel in channels] == labels
    assert [channel["color"] for channel in channels] == colours
    assert all(channel["active"] for channel in channels)
    assert all(channel["window"] == {"start": 1, "end": 2.5, "min": 0, "max": 4} for channel in channels)


def test_of_many_channels_some_are_shown():
    info = ImageInfo((9, 4, 4), "cyx", np.dtype("u1"), (1, 4, 4))
    channels = ome_attributes(info, name="", windows=[WINDOW] * 9)["ome"]["omero"]["channels"]
    assert [channel["active"] for channel in channels] == [True] * 6 + [False] * 3


@pytest.mark.parametrize("axes", ["yx", "tczyx"])
def test_format_0_4_passes_its_validators(tmp_path, axes):
    sink = ZarrSink(
        LocalStore(tmp_path / "image.zarr"), Layout(info_of(axes), storage=Storage(checksum="none", format="0.4"))
    )
    sink.create()
    sink.writer.write(sink.layout.info.box, np.ones(sink.layout.info.shape, sink.layout.info.dtype))
    sink.finish({})
    yaozarrs.validate_zarr_store(str(sink.store.root))
    model = Image04.from_zarr(zarr.open_group(sink.store.root, mode="r", zarr_format=2))
    assert [axis.name for axis in model.attributes.multiscales[0].axes] == list(axes)
    assert model.attributes.multiscales[0].version == "0.4"
    assert len(model.attributes.omero.channels) == (3 if "c" in axes else 1)


def test_an_image_with_one_spatial_axis_is_refused(tmp_path):
    with pytest.raises(SinkError, match="two or three of the axes z, y and x, found 'tx'"):
        ome_attributes(info_of("tx"), name="")
    with pytest.raises(SinkError, match="found 'tx'"):
        ZarrSink(LocalStore(tmp_path / "out.zarr"), Layout(info_of("tx"))).create()
    assert list(tmp_path.iterdir()) == []
