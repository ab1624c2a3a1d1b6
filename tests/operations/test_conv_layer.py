"""A network's layer and pooling against sums written out in float64, tile by tile, from files, and refused."""

import io
import json
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.runs_help import tiled, windows

import tileconv
from tileconv.engines import blas
from tileconv.engines.activations import LOOPS
from tileconv.errors import KernelError, PlanError, ResumeError, SpecError
from tileconv.execute.look import look
from tileconv.operations.activation import SHAPES
from tileconv.operations.conv_layer import conv_layer
from tileconv.operations.layer_files import read_layer
from tileconv.planning.model import Plan

RNG = np.random.default_rng(5)
PYTORCH_GELU = (-1.5, -0.10021081), (0.3, 0.18537343), (2.0, 1.95449974)


def correlated(image, weights, bias, stride=1, padding=0, dilation=1, groups=1):
    """Return what PyTorch documents of conv2d, one product after the other in float64."""
    outs, ins, height, width = weights.shape
    wide = np.pad(image.astype(np.float64), ((0, 0), (padding, padding), (padding, padding)))
    rows, columns = (
        (wide.shape[1] - (height - 1) * dilation - 1) // stride + 1,
        (wide.shape[2] - (width - 1) * dilation - 1) // stride + 1,
    )
    made = np.zeros((outs, rows, columns)) + np.asarray(bias, np.float64)[:, None, None]
    for o, i, y, x in np.ndindex(weights.shape):
        channel = wide[o // (outs // groups) * ins + i]
        below = channel[y * dilation :: stride, x * dilation :: stride][:rows, :columns]
        made[o] += float(weights[o, i, y, x]) * below
    return made


def layer_of(ins, outs, size, dtype=np.float32):
    return RNG.standard_normal((outs, ins, *size)).astype(dtype)


@settings(max_examples=10)
@given(
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 3),
    groups=st.sampled_from([1, 2]),
    size=st.sampled_from([(1, 1), (3, 2), (2, 3), (5, 1)]),
    tile=st.sampled_from([1, 3, 17, 64]),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
)
def test_a_layer_is_what_is_written_and_no_byte_depends_on_the_tile(
    stride, dilation, padding, groups, size, tile, dtype
):
    image = (RNG.standard_normal((4, 19, 37)) * 40 + 100).astype(dtype)
    weights = layer_of(4 // groups, 6, size)
    words = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    made = tileconv.conv_layer(image, weights, **words)
    right = correlated(image, weights, np.zeros(6), **words)
    gain = np.abs(weights).sum(axis=(1, 2, 3)).max() * np.abs(image.astype(np.float64)).max()
    assert made.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert made.shape == right.shape
    assert np.abs(made - right).max() <= np.finfo(made.dtype).eps * (weights[0].size + 4) * gain
    assert tileconv.conv_layer(image, weights, **words, tile=tile).tobytes() == made.tobytes()


LARGE = (15, 13)
"""A kernel that is summed by transforms."""


@settings(max_examples=4)
@given(
    groups=st.sampled_from([1, 2]),
    extent=st.sampled_from(["same", "full", "valid"]),
    border=st.sampled_from(["reflect", "wrap"]),
    tile=st.sampled_from([100, 128]),
    spoilt=st.booleans(),
)
def test_large_kernels_by_transforms_are_what_is_written_and_no_byte_depends_on_the_tile(
    groups, extent, border, tile, spoilt
):
    image = RNG.standard_normal((4, 40, 290)).astype(np.float32)
    if spoilt:  # its block is made by products
        image[1, 36, 273] = np.nan
    words = {"groups": groups, "border": border, "extent": extent, "activation": "relu", "missing": "propagate"}
    weights = layer_of(4 // groups, 4, LARGE)
    made = tileconv.conv_layer(image, weights, **words)
    pad = {"same": [(7, 7), (6, 6)], "full": [(14, 14), (12, 12)], "valid": [(0, 0), (0, 0)]}[extent]
    wide = np.pad(image, [(0, 0), *pad], "symmetric" if border == "reflect" else "wrap")
    right = np.maximum(correlated(wide, weights, np.zeros(4), groups=groups), 0)
    np.testing.assert_allclose(made, right, atol=1e-4)
    assert tileconv.conv_layer(image, weights, **words, tile=tile).tobytes() == made.tobytes()


def test_a_plan_says_how_layers_are_made_and_transforms_are_nearer_to_the_sums(tmp_path):
    image, weights = RNG.standard_normal((2, 90, 150)).astype(np.float32), layer_of(2, 3, LARGE)
    np.save(tmp_path / "image.npy", image)
    np.savez(tmp_path / "w.npz", weights=weights, bias=np.arange(3, dtype=np.float32))
    path = tmp_path / "net.yaml"
    text = "version: 1\ninput: {path: image.npy, axes: cyx}\nstages: [{op: conv_layer, weights: w.npz, padding: 7}]\n"
    path.write_text(f"{text}output: {{path: out.ome.zarr}}\n")
    plan = tileconv.plan(path)
    assert plan.graph[0].operation.engine(plan.graph[0].values_out) == "fft in blocks of 256 x 256"
    assert plan.identity.stages[0]["engine"] == ["fft in blocks of 256 x 256"]
    tileconv.run(path)
    right = correlated(image, weights, np.arange(3), padding=7)
    apart = np.abs(pixels(tmp_path / "out.ome.zarr") - right).max()
    assert apart <= plan.graph[0].error_bound * np.abs(image).max()
    assert plan.graph[0].error_bound < 4 * np.finfo(np.float32).eps * np.abs(weights).sum(axis=(1, 2, 3)).max()


def test_layers_that_wrap_have_the_same_bytes_at_every_tile(tmp_path):
    """Where one repeats its image for the next, a pixel would have another column of a product."""
    image, stages = RNG.standard_normal((1, 40, 90)).astype(np.float32), []
    for n, (ins, outs) in enumerate([(1, 32), (32, 2)]):
        np.save(tmp_path / f"{n}.npy", layer_of(ins, outs, (3, 3)))
        stages.append({"op": "conv_layer", "weights": str(tmp_path / f"{n}.npy"), "border": "wrap"})
    made = {windows(tiled(stages, tile), image, "cyx")[0].tobytes() for tile in (7, 32, None)}
    assert len(made) == 1


def test_without_padding_border_and_extent_hold():
    image, weights = RNG.standard_normal((1, 12, 20)).astype(np.float32), layer_of(1, 2, (3, 4))
    for words in ({"border": "mirror"}, {"extent": "full"}, {"extent": "valid"}, {"border": "wrap"}):
        made = tileconv.conv_layer(image, weights, **words)
        for n in range(2):
            sums = tileconv.correlate(image[0], weights[n, 0], **words)
            np.testing.assert_allclose(made[n], sums, rtol=1e-5, atol=1e-5)


def test_three_axes_and_an_image_without_channels():
    volume, weights = RNG.standard_normal((5, 9, 10)).astype(np.float32), layer_of(1, 2, (2, 3, 3))
    made = tileconv.conv_layer(volume, weights, axes=(0, 1, 2))
    assert made.shape == (2, 5, 9, 10)
    np.testing.assert_allclose(made[1], tileconv.correlate(volume, weights[1, 0], axes=(0, 1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LOOPS)
def test_activations_are_what_they_are_called_at_any_place(name):
    shape = SHAPES[name]
    numbers = np.concatenate([RNG.standard_normal(500) * s for s in (0.1, 3, 40)] + [[0.0, -0.0, 1e30, -1e30]])
    for dtype in (np.float32, np.float64):
        made = numbers.astype(dtype)
        LOOPS[name](made, 0.1)
        right = np.array([shape.of(float(v), 0.1) for v in numbers.astype(dtype)])
        unit = np.finfo(dtype).eps / 2
        assert (np.abs(made - right) <= unit * (shape.error + 1) * np.maximum(1, np.abs(right))).all()
        for first in range(0, 40):
            part = numbers[first : first + 2 * first + 1].astype(dtype)
            LOOPS[name](part, 0.1)
            assert part.tobytes() == made[first : first + 2 * first + 1].tobytes()
    odd = np.array([np.nan, np.inf, -np.inf])
    LOOPS[name](odd, 0.1)
    assert np.isnan(odd).tolist() == [True, False, False]


def test_gelu_is_that_of_pytorch():
    made = np.array([number for number, _ in PYTORCH_GELU])
    LOOPS["gelu"](made, 0.0)
    np.testing.assert_allclose(made, [value for _, value in PYTORCH_GELU], atol=1e-7)


def test_a_missing_pixel_spoils_what_its_kernels_touch_in_every_channel():
    image = np.ones((2, 20, 40), np.float32)
    image[1, 9, 17] = np.nan
    made = tileconv.conv_layer(image, layer_of(2, 3, (3, 3)), padding=1, missing="propagate", activation="relu")
    spoilt = np.zeros((20, 40), bool)
    spoilt[8:11, 16:19] = True
    assert (np.isnan(made) == spoilt).all()


@pytest.mark.parametrize("method", ["mean", "maximum"])
def test_pooling_is_one_pixel_per_window(method):
    image = RNG.integers(0, 200, (2, 21, 26)).astype(np.uint8)
    outside = 0.0 if method == "mean" else -np.inf
    wide = np.pad(image.astype(np.float64), ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (1, 2))[:, ::2, ::2]
    right = windows.mean(axis=(3, 4)) if method == "mean" else windows.max(axis=(3, 4))
    made = tileconv.pool(image, 3, method, stride=2, padding=1)
    assert made.dtype == (np.float32 if method == "mean" else np.int32)
    np.testing.assert_allclose(made, right, rtol=1e-6)
    assert all(tileconv.pool(image, 3, method, stride=2, padding=1, tile=t).tobytes() == made.tobytes() for t in (1, 5))


def test_the_maximum_knows_no_padding():
    made = tileconv.pool(np.full((8, 9), -5.0), 3, stride=2, padding=1)
    assert made.tolist() == np.full((4, 5), -5.0).tolist()


STAGES = """
  - {op: conv_layer, weights: one.npz, activation: relu, padding: 1, id: first}
  - {op: conv_layer, weights: {path: net.safetensors, name: two.weight}, padding: 1, stride: 2, activation: tanh}
  - {op: pool, padding: 0}
"""


def safetensors(tensors):
    data, header = b"", {}
    for name, array in tensors.items():
        part = array.tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture
def network(tmp_path):
    """Return the path of a pipeline of three stages, its image, and the weights of its layers."""
    image = RNG.integers(0, 255, (3, 75, 90)).astype(np.uint8)
    one, two = layer_of(3, 8, (3, 3)), layer_of(8, 4, (3, 3)) / 100
    bias = np.arange(8, dtype=np.float32), np.ones(4, np.float32)
    np.save(tmp_path / "image.npy", image)
    np.savez(tmp_path / "one.npz", weights=one, bias=bias[0])
    (tmp_path / "net.safetensors").write_bytes(safetensors({"two.weight": two, "two.bias": bias[1]}))
    path = tmp_path / "net.yaml"
    text = (
        f"version: 1\ninput: {{path: image.npy, axes: cyx, scale: 1}}\nstages:{STAGES}output: {{path: out.ome.zarr}}\n"
    )
    path.write_text(text.replace(", scale: 1", ""))
    return path, image, (one, bias[0]), (two, bias[1])


def pixels(path):
    import zarr

    return zarr.open(path, mode="r")["0"][:]


def test_a_network_runs_from_files_on_a_grid_of_its_own(network, tmp_path):
    path, image, one, two = network
    plan = tileconv.plan(path)
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    tileconv.run(path)
    made = pixels(tmp_path / "out.ome.zarr")
    first = np.maximum(correlated(image, *one, padding=1), 0)
    second = np.tanh(correlated(first, *two, padding=1, stride=2))
    right = np.lib.stride_tricks.sliding_window_view(second, (2, 2), (1, 2))[:, ::2, ::2].max(axis=(3, 4))
    assert made.shape == right.shape == (4, 19, 22)
    assert np.abs(made - right).max() <= plan.graph[1].error_bound + 2 * 8 * 9 * plan.graph[0].error_bound
    info = plan.info
    assert info.scale[-2:] == (4.0, 4.0)
    assert info.origin[-2:] == (1.0, 1.0)
    assert tileconv.verify(tmp_path / "out.ome.zarr").exit_code == 0


def test_tiles_workers_and_laziness_change_no_byte(network, tmp_path):
    path, *_ = network
    tileconv.run(path)
    made = pixels(tmp_path / "out.ome.zarr")
    text = path.read_text()
    for number, run in enumerate(("{tile: 4, workers: 1}", "{tile: 16, workers: 3}")):
        other = tmp_path / f"other{number}.yaml"
        chunks = text.replace("out.ome.zarr}", f"out{number}.ome.zarr, chunks: 4}}")
        other.write_text(f"{chunks}run: {run}\n")
        tileconv.run(other)
        assert pixels(tmp_path / f"out{number}.ome.zarr").tobytes() == made.tobytes()
    assert tileconv.lazy(path).compute().tobytes() == made.tobytes()


def test_a_run_is_not_resumed_on_another_kind_of_processor(network, monkeypatch):
    path, *_ = network
    tileconv.run(path)
    assert look(["BLAS"])["BLAS"] == blas.kind()
    monkeypatch.setattr(blas, "kind", lambda: "openblas 0.3.31 on Zen")
    with pytest.raises(ResumeError, match=r"versions\.BLAS was .* and is openblas 0\.3\.31 on Zen"):
        tileconv.run(path)


def test_one_thread_of_blas_is_taken_and_given_back():
    from threadpoolctl import threadpool_info

    def threads():
        return [part["num_threads"] for part in threadpool_info() if "numpy" in part["filepath"]]

    def inside():
        with blas.one_thread(), blas.one_thread():
            return threads()

    before = threads()
    with ThreadPoolExecutor(2) as pool:  # threadpoolctl heeds only the first thread of a process that asks
        for _ in range(3):
            assert set(inside()) | set(pool.submit(inside).result()) <= {1}
            assert threads() == before


def test_layers_on_several_threads_have_the_same_bytes():
    image, weights = RNG.standard_normal((64, 40, 64)).astype(np.float32), layer_of(64, 64, (3, 3))
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: tileconv.conv_layer(image, weights).tobytes(), range(6)))
    assert set(made) == {tileconv.conv_layer(image, weights).tobytes()}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("padding: 1, border: wrap", r"stages\[0\]\.border: padding says what lies around the image"),
        ("padding: 1, extent: full", r"stages\[0\]\.extent: padding says what lies around the image"),
        ("engine: fft", r"stages\[0\]\.engine: a layer takes products of matrices, or transforms"),
        ("groups: 3", r"8 out-channels cannot be put into 3 groups"),
        ("over: zyx", r"weights have the axes"),
        ("activation: swish", r"activation: expected 'none', 'relu'"),
    ],
)
def test_what_a_layer_does_not_take_is_refused_where_it_is_written(network, stage, message):
    path, *_ = network
    text = path.read_text()
    first, rest = text.index("  - {op"), text.index("output:")
    path.write_text(f"{text[:first]}  - {{op: conv_layer, weights: one.npz, {stage}}}\n{text[rest:]}")
    with pytest.raises(SpecError, match=message):
        tileconv.plan(path)


def test_channels_and_grids_that_do_not_fit_are_refused():
    with pytest.raises(PlanError, match="the layer takes 3 channels, and gets 2"):
        tileconv.conv_layer(np.zeros((2, 9, 9)), layer_of(3, 1, (3, 3)))
    with pytest.raises(PlanError, match="padding 0 x 0 x 0 leaves no pixel"):
        tileconv.conv_layer(np.zeros((3, 2, 9)), layer_of(3, 1, (3, 3)), padding=0)
    with pytest.raises(KernelError, match="at most half of size"):
        tileconv.pool(np.zeros((9, 9)), 2, padding=2)


def test_inputs_of_two_grids_are_refused(network):
    path, *_ = network
    text = path.read_text()
    first, rest = text.index("  - {op"), text.index("output:")
    stages = "  - {op: pool, id: a}\n  - {op: pool, stride: 1, id: b, from: input}\n  - {op: add, from: [a, b]}\n"
    path.write_text(text[:first] + stages + text[rest:])
    with pytest.raises(PlanError, match=r"a has a step of 1 x 2 x 2 .* b has a step of 1 x 1 x 1"):
        tileconv.plan(path)


def zipped(parts):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return held.getvalue()


def npy(array, **words):
    held = io.BytesIO()
    np.save(held, array, **words)
    return held.getvalue()


ONE = np.zeros((1, 1, 3, 3), np.float32)
WHOLE = npy(np.zeros((2, 1, 3, 3), np.float32))
HUGE = WHOLE.replace(b"(2, 1, 3, 3)", b"(9999999999)")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.npy", WHOLE[:-5], "the file ends after"),
        ("a.npy", npy(np.array([{}], object), allow_pickle=True), "weights are real numbers, found type object"),
        ("a.npy", HUGE, "damaged|at most"),
        ("a.npy", b"no file of numbers", "damaged"),
        # a zip holds the time, which no name of a test may
        ("a.npz", zipped({"other.npy": WHOLE}), "expected arrays named weights and bias, found other"),
        ("a.npz", b"PK\x03\x04", "damaged"),
        ("a.safetensors", struct.pack("<Q", 2**40), "no safetensors file"),
        ("a.safetensors", safetensors(dict.fromkeys(("a.weight", "b.weight"), ONE)), "it holds 2 layers"),
        ("a.safetensors", safetensors({"a.weight": ONE})[:-3], "the file ends after"),
        ("a.pt", b"", "weights lie in .npy, .npz or .safetensors"),
    ],
    ids=["cut", "objects", "huge", "text", "other", "no_zip", "long_header", "two", "cut_safetensors", "pt"],
)  # fmt: skip
def test_files_that_hold_no_layer_are_refused(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(KernelError, match=message):
        read_layer(path)


def test_a_file_of_one_layer_needs_no_name_and_fortran_order_is_read(tmp_path):
    weights = layer_of(2, 3, (3, 2))
    np.save(tmp_path / "a.npy", np.asfortranarray(weights))
    assert (read_layer(tmp_path / "a.npy")[0] == weights).all()
    (tmp_path / "a.safetensors").write_bytes(safetensors({"conv.weight": weights, "conv.bias": weights[:, 0, 0, 0]}))
    made, bias = read_layer(tmp_path / "a.safetensors")
    assert (made == weights).all()
    assert (bias == weights[:, 0, 0, 0]).all()
    assert conv_layer(weights.tolist()).filters == conv_layer(weights.astype(np.float64)).filters
