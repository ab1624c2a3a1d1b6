"""README, docs and set-up say what is so: their examples run word for word, their links lead somewhere."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import zarr
from oracles import operators

from docs.images.examples import EXAMPLES
from tileconv.operations.registry import OF_ONE, OPERATORS
from tileconv.samples.real import photograph

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def anchors(text):
    return {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in re.findall(r"^#+ .*", text, re.M)
    }


def name(path):
    return path.relative_to(ROOT).as_posix()


def test_the_commands_of_the_readme_run_word_for_word_and_do_what_its_pipeline_says(tmp_path):
    (commands,) = (block for block in blocks(README, "sh") if "tileconv run" in block)
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=os.environ | {"PATH": path}, check=True)
    made = zarr.open_group(tmp_path / "try" / "edges.ome.zarr", mode="r")["0"]
    (spec,) = blocks(README, "yaml")
    assert made.dtype == np.float32
    red = operators.apply("gaussian", photograph("hubble")[0], sigma=2)
    red = operators.apply("unsharp", operators.apply("sobel", red), sigma=1, amount=0.6)
    np.testing.assert_allclose(made[0], red, rtol=0, atol=1e-2)
    demo = (ROOT / "pipelines" / "edges.yaml").read_text("utf-8")
    assert demo.endswith(spec)


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_python_examples_run(path, tmp_path):
    """All examples of a page together, top to bottom, as a reader would type them."""
    code = "\n".join(blocks(path.read_text("utf-8"), "python"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_python_to_run():
    assert "assert (mine == tiled).all()" in "".join(blocks(README, "python"))


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_links_lead_somewhere(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), target
        assert place.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(place.read_text("utf-8")), target


def test_every_page_of_docs_is_reached_from_the_readme():
    linked = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", README)}
    pages = {name(p) for p in DOCS if p.parent != ROOT and p.parent.name != "decisions"}
    assert pages <= linked
    assert "docs/decisions" in linked


def test_the_commands_of_the_readme_exist():
    done = subprocess.run([sys.executable, "-m", "tileconv", "--help"], capture_output=True, text=True, check=True)
    for command in set(re.findall(r"`?tileconv (\w+)", "\n".join(blocks(README, "sh")))):
        assert re.search(rf"\b{command}\b", done.stdout), command
    make = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\S+)", "\n".join(blocks(README, "sh")), re.M):
        assert re.search(rf"^{target}:", make, re.M), target


def test_the_readme_counts_the_examples():
    numbers = {
        12: "twelve",
        13: "thirteen",
        14: "fourteen",
        15: "fifteen",
        16: "sixteen",
        17: "seventeen",
        18: "eighteen",
        19: "nineteen",
        20: "twenty",
        21: "twenty-one",
        22: "twenty-two",
        23: "twenty-three",
        24: "twenty-four",
        25: "twenty-five",
        26: "twenty-six",
        27: "twenty-seven",
    }
    assert numbers[len(list((ROOT / "pipelines").glob("*.yaml")))] in README


def test_every_operator_has_a_row_of_docs():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "operators.md").read_text("utf-8"), re.M)
    assert sorted(rows) == sorted(OPERATORS)


def test_every_operator_has_a_picture_in_the_docs():
    shown = re.findall(r"\(images/(\w+)\.png\)", (ROOT / "docs" / "operators.md").read_text("utf-8"))
    assert sorted(shown) == sorted(make.__name__ for make in OF_ONE.values())


def test_every_picture_of_the_examples_is_made_by_a_command():
    shown = re.findall(r"\(images/(\w+)\.png\)", (ROOT / "docs" / "examples.md").read_text("utf-8"))
    assert sorted(shown) == sorted(EXAMPLES)


def test_a_wheel_holds_every_file_of_the_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    code = {".py", ".pyc", ".nbi", ".nbc", ".loop"}
    files = (path for path in (ROOT / "tileconv").rglob("*") if path.is_file() and path.suffix not in code)
    listed = tool["setuptools"]["package-data"]["tileconv"]
    assert sorted(path.relative_to(ROOT / "tileconv").as_posix() for path in files) == sorted(listed)


def test_lowest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["sample"] + extras["cloud"] + extras["fits"] + extras["test"]
    others = [text for text in wanted if not text.startswith("tileconv[")]
    bounds = dict(re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", text).groups() for text in others)
    lines = (ROOT / "tests" / "lowest.txt").read_text("utf-8").splitlines()
    lowest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(lowest) == set(bounds)
    for package, version in bounds.items():
        assert lowest[package] == version or lowest[package].startswith(f"{version}."), package
        assert set(lowest[package].removeprefix(version)) <= set(".0"), package


def test_the_pictures_are_small():
    pictures = (ROOT / "docs" / "images").glob("*.png")
    assert sum(picture.stat().st_size for picture in pictures) < 1_400_000
