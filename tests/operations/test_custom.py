"""The user's own kernels: lists and files, good and hostile."""

import pickle

import numpy as np
import pytest

from tileconv.errors import KernelError
from tileconv.kernels import convolve, correlate

WEIGHTS = [[1, 2, 3, 4], [5, 6, 7, -8]]


def test_convolve_turns_and_correlate_does_not():
    assert correlate(WEIGHTS).kernel.weights.tolist() == WEIGHTS
    assert correlate(WEIGHTS).kernel.anchor == (1, 2)
    assert convolve(WEIGHTS).kernel.weights.tolist() == [[-8, 7, 6, 5], [4, 3, 2, 1]]
    assert convolve(WEIGHTS).kernel.anchor == (0, 1)


def test_normalize_divide_by_and_offset():
    assert correlate(WEIGHTS, normalize=True).kernel.divide_by == 20
    assert correlate(WEIGHTS, divide_by=2.5, offset=3).kernel.divide_by == 2.5
    assert correlate(WEIGHTS, divide_by=2.5, offset=3).offset == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": [[1, -1]], "normalize": True}, "sum to 0 cannot be normalized"),
        ({"kernel": [[0.1, 0.2, -0.3]], "normalize": True}, "sum to 0 cannot be normalized"),
        ({"kernel": [[0, 0]], "normalize": True}, "sum to 0 cannot be normalized"),
        ({"kernel": [[1, 2]], "normalize": True, "divide_by": 2.0}, "both divide the weights"),
        ({"kernel": [1, 2]}, r"one axis for each of y, x, found shape \(2,\)"),
        ({"kernel": [[1]], "axes": "zyx"}, r"one axis for each of z, y, x, found shape \(1, 1\)"),
        ({"kernel": [[1]], "divide_by": 0}, "divide_by must be a finite number other than 0"),
        ({"kernel": [[1]], "offset": float("nan")}, "offset must be finite"),
        ({"kernel": "kernel.txt"}, "kernel.txt: a kernel file ends in .npy or .csv, found 'kernel.txt'"),
        ({"kernel": "nowhere.npy"}, "nowhere.npy: no such file"),
        (
            {"kernel": "s3://bucket/k.npy"},
            "expected a path, found 's3://bucket/k.npy': it is read from this machine alone",
        ),
    ],
)
def test_bad_parameters(parameters, message):
    for operator in (convolve, correlate):
        with pytest.raises(KernelError, match=message):
            operator(**parameters)


@pytest.mark.parametrize("dtype", ["int8", ">u2", "float16", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, dtype, order):
    path = tmp_path / "kernel.npy"
    weights = np.array([[0, 2, 3], [5, 6, 7]], dtype, order=order)
    np.save(path, weights)
    assert correlate(str(path)).kernel.weights.tolist() == weights.tolist()


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "1, 2\r\n3e0, 4.0", "\ufeff1,2\n\n3,4\n\n"])
def test_csv(tmp_path, text):
    path = tmp_path / "kernel.CSV"
    path.write_text(text, encoding="utf-8")
    assert correlate(str(path)).kernel.weights.tolist() == [[1, 2], [3, 4]]


class Bomb:
    """Would make a file when unpickled."""

    def __reduce__(self):
        import os

        return os.mkdir, ("exploded",)


def npy(header: bytes, data: bytes = b"") -> bytes:
    header = header.ljust(118, b" ")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def hostile():
    yield "pickled.npy", pickle.dumps(Bomb()), "cannot read the kernel"
    objects = npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}", pickle.dumps(Bomb()))
    yield "objects.npy", objects, "cannot read the kernel"
    huge = npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000)}")
    yield "huge.npy", huge, "cannot read the kernel"
    sparse = npy(b"{'descr': '|i1', 'fortran_order': False, 'shape': (5000, 5000)}", b"\x00" * 25_000_000)
    yield "large.npy", sparse, "at most 16,777,216 weights, found 5,000 x 5,000"
    yield "deep.npy", npy(b"(" * 9000), "cannot read the kernel"
    yield "nested.npy", npy(b"-" * 9000), "cannot read the kernel"
    yield "negative.npy", npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}"), "cannot read the kernel"
    yield "text.npy", b"1,2\n3,4\n", "cannot read the kernel"
    yield "empty.npy", b"", "cannot read the kernel"
    yield "archive.npy", b"PK\x03\x04 and so on", "cannot read the kernel"
    yield "complex.npy", npy(b"{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1)}", bytes(8)), "real numbers"
    one = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}"
    yield "nan.npy", npy(one, np.array([np.nan]).tobytes()), "every weight must be finite"
    yield "nan.csv", b"1,nan\n", "every weight must be finite"
    yield "empty.csv", b"\n", "at least one weight"
    yield "words.csv", b"1,two\n", "expected numbers and commas on line 1, found '1,two'"
    yield "ragged.csv", b"1,2\n3\n", "the rows of a kernel must have the same length"
    yield "binary.csv", b"\xff\xfe\x00", "expected numbers and commas on line 1"


@pytest.mark.parametrize(("name", "content", "message"), [pytest.param(*case, id=case[0]) for case in hostile()])
def test_hostile_files_are_refused_and_named(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KernelError, match=message) as caught:
        correlate(name)
    assert caught.value.where == name
    assert "Error" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_a_csv_too_long_is_not_read(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(KernelError, match="found a file of 1,073,741,824 bytes"):
        correlate(str(path))


def test_a_folder_is_no_kernel(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(KernelError, match="it is no plain file"):
        correlate(str(tmp_path / "folder.npy"))
