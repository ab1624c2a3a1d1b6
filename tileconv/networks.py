"""A trained network to a pipeline: stages and files of weights, from ONNX or safetensors; all else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import KernelError
from tileconv.operations.layer_files import read_layer, tensors_of
from tileconv.quick import dataclass

Array = NDArray[Any]
ACTIVATIONS = {"Relu": "relu", "LeakyRelu": "leaky_relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Gelu": "gelu"}
POOLS = {"MaxPool": "maximum", "AveragePool": "mean"}
SKIPPED = ("Identity", "Dropout")
LEAST_OPSET = 7
"""From this version on the operators that are known mean what they mean today."""


@dataclass(frozen=True)
class Layer:
    """A stage to be written: its operator, its words, and the weights of a convolution."""

    op: str
    words: Mapping[str, Any] = field(default_factory=dict)
    weights: Array | None = None
    bias: Array | None = None

    def saying(self, **words: Any) -> Layer:
        """Return the same with more words."""
        return replace(self, words={**self.words, **words})


def import_network(model: Path, output: Path, image: str) -> list[Path]:
    """Write the pipeline file *output* that makes of *image* what *model* does, and its weights beside it.

    Returns
    -------
    list[Path]
        What was written, the pipeline file first.

    Raises
    ------
    KernelError
        If the model cannot be read, or holds what no stage does; the node is named.
    """
    readers = {".onnx": _of_onnx, ".safetensors": _of_safetensors}
    if model.suffix.lower() not in readers:
        raise KernelError(f"a network lies in .onnx or .safetensors, found '{model.name}'")
    layers = readers[model.suffix.lower()](model)
    written, lines = [output], []
    for number, layer in enumerate(layers):
        words = dict(layer.words)
        if layer.weights is not None:
            path = output.with_name(f"{output.stem}.{number}.npz")
            bias = {} if layer.bias is None else {"bias": layer.bias}
            np.savez(path, allow_pickle=False, weights=layer.weights, **bias)
            written.append(path)
            words = {"weights": path.name, **words}
        said = ", ".join(f"{name}: {_text(value)}" for name, value in words.items())
        lines.append(f"  - {{op: {layer.op}, {said}}}\n")
    head = f"# Imported from {model.name}.\nversion: 1\ninput: {{path: {_text(image)}}}\nstages:\n"
    output.write_text(f"{head}{''.join(lines)}output: {{path: {_text(f'{output.stem}.ome.zarr')}}}\n", "utf-8")
    return written


def _text(value: Any) -> str:
    """Return *value* as YAML, of which JSON is a part, on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_text(item)}' for name, item in value.items())}}}"
    return json.dumps(value)


def _of_safetensors(model: Path) -> list[Layer]:
    """Return a layer for every weight of a convolution, in the order of the file, which holds no graph."""
    names = tensors_of(model)
    layers = [name for name, shape in names.items() if name.endswith("weight") and len(shape) in {4, 5}]
    known = {*layers, *(f"{name.removesuffix('weight')}bias" for name in layers)}
    for name in names:
        if name not in known:
            raise KernelError(f"tensor '{name}' belongs to no convolution", fix="Export the network as ONNX.")
    made = (read_layer(model, name) for name in layers)
    return [Layer("conv_layer", _over(weights.ndim - 2), weights, bias) for weights, bias in made]


def _of_onnx(model: Path) -> list[Layer]:
    try:
        import onnx
    except ImportError as error:
        fix = "Install it with pip install 'tileconv[networks]'."
        raise KernelError("reading ONNX takes the library onnx, which is not installed", fix=fix) from error
    try:
        loaded = onnx.load(model)
    except Exception as error:  # protobuf fails in many ways
        raise KernelError("cannot read the network: it is no whole ONNX file", where=str(model)) from error
    versions = [opset.version for opset in loaded.opset_import if opset.domain in {"", "ai.onnx"}]
    if not versions or min(versions) < LEAST_OPSET:
        raise KernelError(
            f"the file is of opset {versions}, and {LEAST_OPSET} is the first that is read", where=str(model)
        )
    return _Graph(loaded.graph).layers()


class _Graph:
    """Nodes one behind the other, and the numbers that they take."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.nodes = graph.node
        self.numbers: dict[str, Array] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        given = [one.name for one in graph.input if one.name not in self.numbers]
        if len(given) != 1 or len(graph.output) != 1:
            raise KernelError(f"a network of {len(given)} inputs and {len(graph.output)} outputs is not imported")
        self.at, self.end = given[0], graph.output[0].name
        self.made: list[Layer] = []

    def layers(self) -> list[Layer]:
        """Return the stages that the nodes are; KernelError for one that is none."""
        for node in self.nodes:
            words = _words(node)
            if node.op_type == "Constant" and "value" in words:
                self.numbers[node.output[0]] = words["value"]
                continue
            if not node.input or node.input[0] != self.at:
                raise _refused(node, "it does not read the node before it")
            if node.op_type not in _KNOWN:
                raise _refused(node, "no stage does that")
            _KNOWN[node.op_type](self, node, words)
            self.at = node.output[0]
        if self.at != self.end:
            raise KernelError(f"the network's output '{self.end}' is not what its last node makes")
        return self.made

    def number(self, node: Any, place: int) -> Array:
        """Return what *node* takes as its input *place*, which must be in the file."""
        if node.input[place] not in self.numbers:
            raise _refused(node, f"its input '{node.input[place]}' is not in the file")
        return self.numbers[node.input[place]]

    def convolve(self, node: Any, words: Mapping[str, Any]) -> None:
        """Take a convolution."""
        weights = self.number(node, 1)
        bias = self.number(node, 2) if len(node.input) > 2 and node.input[2] else None
        said = {"groups": words["group"]} if words.get("group", 1) > 1 else {}
        self.made.append(Layer("conv_layer", _windows(node, words, weights.ndim - 2) | said, weights, bias))

    def normalize(self, node: Any, words: Mapping[str, Any]) -> None:
        """Fold a batch normalization into the convolution before it, in float64."""
        last = self._open(node)
        assert last.weights is not None  # noqa: S101  # a convolution's
        scale, shift, mean, variance = (self.number(node, n).astype(np.float64) for n in (1, 2, 3, 4))
        factor = scale / np.sqrt(variance + words.get("epsilon", 1e-5))
        bias = np.zeros(len(factor)) if last.bias is None else last.bias
        weights = last.weights * factor.reshape(-1, *(1,) * (last.weights.ndim - 1))
        folded = (bias - mean) * factor + shift
        kind = last.weights.dtype
        self.made[-1] = replace(last, weights=weights.astype(kind), bias=folded.astype(kind))

    def activate(self, node: Any, words: Mapping[str, Any]) -> None:
        """Give the convolution before it an activation."""
        if words.get("approximate", b"none") != b"none":
            raise _refused(node, "gelu is known by the error function alone")
        slope = {"slope": words.get("alpha", 0.01)} if node.op_type == "LeakyRelu" else {}
        self.made[-1] = self._open(node).saying(activation=ACTIVATIONS[node.op_type], **slope)

    def pool(self, node: Any, words: Mapping[str, Any]) -> None:
        """Take a pooling."""
        axes = "zyx"[3 - len(words["kernel_shape"]) :]
        if words.get("ceil_mode", 0):
            raise _refused(node, "ceil_mode lets windows hang over")
        if node.op_type == "AveragePool" and any(words.get("pads", ())) and not words.get("count_include_pad", 0):
            raise _refused(node, "its mean leaves zeros of the padding out")
        if any(d != 1 for d in words.get("dilations", ())) or len(node.output) > 1:
            raise _refused(node, "its windows have holes, or it tells where the maximum lies")
        size = {"size": dict(zip(axes, words["kernel_shape"], strict=True)), "method": POOLS[node.op_type]}
        steps = {"stride": dict.fromkeys(axes, 1)}
        self.made.append(Layer("pool", size | steps | _windows(node, words, len(axes))))

    def skip(self, node: Any, words: Mapping[str, Any]) -> None:
        """Pass over what changes nothing."""

    def _open(self, node: Any) -> Layer:
        """Return the convolution before *node*, which has no activation yet."""
        if not self.made or self.made[-1].weights is None or "activation" in self.made[-1].words:
            raise _refused(node, "it does not follow a convolution")
        return self.made[-1]


_KNOWN: dict[str, Callable[[_Graph, Any, Mapping[str, Any]], None]] = {
    "Conv": _Graph.convolve,
    "BatchNormalization": _Graph.normalize,
    **dict.fromkeys(ACTIVATIONS, _Graph.activate),
    **dict.fromkeys(POOLS, _Graph.pool),
    **dict.fromkeys(SKIPPED, _Graph.skip),
}


def _words(node: Any) -> dict[str, Any]:
    """Return the attributes of *node* by their names, arrays as those of NumPy."""
    from onnx import TensorProto, helper, numpy_helper

    found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return {name: numpy_helper.to_array(v) if isinstance(v, TensorProto) else v for name, v in found.items()}


def _windows(node: Any, words: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return how the windows of *node* lie, in the words of a stage over *count* axes."""
    axes, pads = "zyx"[3 - count :], list(words.get("pads", [0] * 2 * count))
    if count not in {2, 3}:
        raise _refused(node, f"it acts on {count} axes")
    if words.get("auto_pad", b"NOTSET") not in {b"NOTSET", b"VALID"}:
        raise _refused(node, f"auto_pad {words['auto_pad'].decode()} leaves the padding to the size of the image")
    if pads[:count] != pads[count:]:
        raise _refused(node, "its padding is not the same on both sides")
    said = {"stride": words.get("strides", ()), "dilation": words.get("dilations", ())}
    named = {name: dict(zip(axes, v, strict=True)) for name, v in said.items() if any(one != 1 for one in v)}
    return {**_over(count), "padding": dict(zip(axes, pads[:count], strict=True)), **named}


def _over(count: int) -> dict[str, str]:
    return {"over": "zyx"} if count == 3 else {}


def _refused(node: Any, why: str) -> KernelError:
    name = node.name or (node.output[0] if len(node.output) else "")
    return KernelError(f"node '{name}', {node.op_type}, is not imported: {why}")
