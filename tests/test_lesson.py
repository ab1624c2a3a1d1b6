"""The page of the lesson: its commands, run in order, make its pictures, and its kernels are those of the pipelines."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tileconv import kernels
from tileconv.cli import app
from tileconv.operations.linear import Linear
from tileconv.spec import load_spec

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "lesson.md").read_text("utf-8")
SHOWN = {f"{name}.png" for name in re.findall(r"\(images/lesson/(\w+)\.png\)", PAGE)}
BY_HAND = {"headline.png"}
"""What takes minutes to make: a test of benchmarks/lesson.py makes a short one."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of pictures that the commands of the page make."""
    folder = tmp_path_factory.mktemp("lesson") / "lesson"
    shutil.copytree(ROOT / "pipelines" / "lesson", folder)
    (folder / "pictures").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
            for line in block.splitlines():
                program, *words = shlex.split(line)
                if program == "tileconv":
                    done = CliRunner().invoke(app, words)
                    assert done.exit_code == 0, (line, done.output, done.exception)
    return folder / "pictures"


def test_the_page_shows_what_its_commands_make(made):
    assert {path.name for path in made.glob("*.png")} == SHOWN - BY_HAND


@pytest.mark.parametrize("name", sorted(SHOWN - BY_HAND))
def test_a_picture_is_that_of_its_command(made, name):
    with Image.open(made / name) as now, Image.open(ROOT / "docs/images/lesson" / name) as kept:
        assert now.size == kept.size
        difference = np.abs(np.asarray(now, np.int16) - np.asarray(kept, np.int16))
    assert difference.max() <= 1  # a sum may be rounded another way on another processor


def weights(name, number=0):
    operation = load_spec(ROOT / "pipelines/lesson" / f"{name}.yaml").stages[number].operation
    assert isinstance(operation, Linear)
    return operation.kernel.weights / operation.kernel.divide_by


@pytest.mark.parametrize(("name", "number"), [("moving_average", 0), ("gaussian", 0), ("sharpen", 0), ("edges", 0)])
def test_the_grids_on_the_page_are_the_kernels(name, number):
    heading = {
        "moving_average": "A moving average",
        "gaussian": "A Gaussian",
        "sharpen": "Sharpening",
        "edges": "Edges",
    }
    block = re.search(rf"## {heading[name]}.*?```text\n(.*?)```", PAGE, re.DOTALL)[1]
    divisor = re.search(r"1/(\d)", block)
    lines = [
        re.findall(r"(?<![/\d.])-?\d[\d.]*(?!/)", line.replace("1/9", "").replace("1/4", ""))
        for line in block.splitlines()
    ]
    grid = np.array([[float(word) for word in line[: len(weights(name))]] for line in lines if line])
    np.testing.assert_allclose(grid / (float(divisor[1]) if divisor else 1), weights(name, number), atol=5e-5)


def test_the_lessons_gaussian_has_sigma_1():
    np.testing.assert_allclose(kernels.gaussian(size=5).weights, kernels.gaussian(1, truncate=2).weights)
