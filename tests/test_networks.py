"""Networks as ONNX and safetensors to pipelines that do the same, against the reference evaluator of ONNX."""

import sys

import numpy as np
import pytest
import zarr
from operations.test_conv_layer import safetensors

import tileconv
from tileconv.errors import KernelError
from tileconv.networks import import_network

onnx = pytest.importorskip("onnx")
RNG = np.random.default_rng(8)
IMAGE = RNG.standard_normal((3, 32, 44)).astype(np.float32)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def saved(path, nodes, numbers, opset=20):
    """Write a graph of *nodes*, triples of type, further inputs and attributes, one behind the other."""
    made, last = [], "image"
    for n, (kind, more, words) in enumerate(nodes):
        made.append(onnx.helper.make_node(kind, [last, *more], [f"x{n}"], name=f"{kind.lower()}{n}", **words))
        last = f"x{n}"
    real = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(name, real, None) for name in ("image", last)]
    held = [onnx.numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = onnx.helper.make_graph(made, "net", ends[:1], ends[1:], held)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return model


NUMBERS = {
    "w1": array(8, 3, 3, 3), "b1": array(8), "scale": array(8), "shift": array(8), "mean": array(8),
    "var": np.abs(array(8)) + 0.5, "w2": array(8, 2, 3, 1), "w3": array(2, 8, 1, 1),
}  # fmt: skip
NODES = [
    ("Conv", ["w1", "b1"], {"pads": [1, 1, 1, 1]}),
    ("BatchNormalization", ["scale", "shift", "mean", "var"], {"epsilon": 1e-3}),
    ("LeakyRelu", [], {"alpha": 0.2}),
    ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("Dropout", [], {}),
    ("Conv", ["w2"], {"group": 4, "dilations": [2, 1], "strides": [1, 2], "pads": [2, 0, 2, 0]}),
    ("Tanh", [], {}),
    ("AveragePool", [], {"kernel_shape": [2, 2]}),
    ("Conv", ["w3"], {}),
    ("Gelu", [], {}),
]


def run(folder):
    np.save(folder / "image.npy", IMAGE)
    path = folder / "net.yaml"
    path.write_text(path.read_text().replace('path: "image.npy"', "path: image.npy, axes: cyx"))
    tileconv.run(path)
    return zarr.open(folder / "net.ome.zarr", mode="r")["0"][:]


def test_what_is_imported_does_what_the_network_does(tmp_path):
    from onnx.reference import ReferenceEvaluator

    model = saved(tmp_path / "net.onnx", NODES, NUMBERS)
    written = import_network(tmp_path / "net.onnx", tmp_path / "net.yaml", "image.npy")
    assert [path.name for path in written] == ["net.yaml", "net.0.npz", "net.2.npz", "net.4.npz"]
    right = ReferenceEvaluator(model).run(None, {"image": IMAGE[None]})[0][0]
    np.testing.assert_allclose(run(tmp_path), right, rtol=1e-4, atol=1e-4)


def test_layers_of_a_safetensors_file_are_taken_in_its_order(tmp_path):
    first, second = array(4, 3, 3, 3), array(2, 4, 3, 3)
    (tmp_path / "net.safetensors").write_bytes(
        safetensors({"z.weight": first, "z.bias": first[:, 0, 0, 0], "a.weight": second})
    )
    import_network(tmp_path / "net.safetensors", tmp_path / "net.yaml", "image.npy")
    between = tileconv.conv_layer(IMAGE, first) + first[:, 0, 0, 0][:, None, None]
    np.testing.assert_allclose(run(tmp_path), tileconv.conv_layer(between, second), rtol=1e-4, atol=1e-4)
    (tmp_path / "net.safetensors").write_bytes(safetensors({"a.weight": first, "head.weight": array(4, 9)}))
    with pytest.raises(KernelError, match=r"tensor 'head\.weight' belongs to no convolution"):
        import_network(tmp_path / "net.safetensors", tmp_path / "net.yaml", "image.npy")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("Softmax", [], {}), "node 'softmax1', Softmax, is not imported: no stage does that"),
        (("MaxPool", [], {"kernel_shape": [2, 2], "ceil_mode": 1}), "'maxpool1', MaxPool, .* ceil_mode"),
        (("AveragePool", [], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}), "leaves zeros of the padding out"),
        (("Conv", ["w3"], {"auto_pad": "SAME_UPPER"}), "auto_pad SAME_UPPER"),
        (("Conv", ["w3"], {"pads": [0, 0, 1, 1]}), "not the same on both sides"),
        (("Conv", ["absent"], {}), "its input 'absent' is not in the file"),
        (("Gelu", [], {"approximate": "tanh"}), "by the error function alone"),
        (("Add", ["image"], {}), "node 'add1', Add, is not imported"),
    ],
)
def test_what_no_stage_does_is_refused_by_name(tmp_path, node, message):
    saved(tmp_path / "net.onnx", [NODES[0], node], NUMBERS)
    with pytest.raises(KernelError, match=message):
        import_network(tmp_path / "net.onnx", tmp_path / "net.yaml", "image.npy")
    assert not (tmp_path / "net.yaml").exists()


def test_an_activation_follows_a_convolution(tmp_path):
    saved(tmp_path / "net.onnx", [("Relu", [], {})], {})
    with pytest.raises(KernelError, match="'relu0', Relu, is not imported: it does not follow a convolution"):
        import_network(tmp_path / "net.onnx", tmp_path / "net.yaml", "image.npy")


def test_files_that_are_no_network_are_refused(tmp_path, monkeypatch):
    for name, data, message in (
        ("net.onnx", b"\x08\x07garbage", "no whole ONNX file|opset|inputs"),
        ("net.safetensors", b"none", "no safetensors file"),
        ("net.pt", b"", r"a network lies in \.onnx or \.safetensors"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(KernelError, match=message):
            import_network(tmp_path / name, tmp_path / "net.yaml", "image.npy")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(KernelError, match=r"pip install 'tileconv\[networks\]'"):
        import_network(tmp_path / "net.onnx", tmp_path / "net.yaml", "image.npy")
