"""The command as a user gives it: the page about it word for word, JSON, and what is refused."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import tileconv
from tileconv import cli
from tileconv.sources.open import open_source

PAGE = (Path(__file__).parents[2] / "docs" / "learn.md").read_text("utf-8")


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command as the shell does, in a folder of its own; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(text):
        monkeypatch.setattr(sys, "argv", shlex.split(text))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_the_commands_of_the_page(call, tmp_path):
    (spec,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (commands,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "blur.yaml").write_text(spec)
    said = ""
    for command in commands.splitlines():
        code, out, err = call(command)
        assert code == 0, err
        said += out
    assert re.search(r"explained  100 % of the variance, 100 % of what was held out", said)
    assert "kernel.yaml: fine, 1 stage" in said
    stored = [open_source(tmp_path / name) for name in ("after.ome.zarr", "again.ome.zarr")]
    after, again = (source.read(source.info.box) for source in stored)
    assert np.abs(after - again).max() < 0.1


def test_json_and_what_is_refused(call, tmp_path):
    image = np.random.default_rng(0).integers(0, 99, (30, 40), dtype=np.uint8)
    np.save(tmp_path / "a.npy", image)
    np.save(tmp_path / "b.npy", tileconv.box(image, 3))
    words = "tileconv learn a.npy b.npy -o k.yaml --size"
    code, out, err = call(f"{words} 3x5 --sum-one --symmetric x --ridge 1e-9 --border nearest --memory 1GiB --json")
    assert (code, err) == (0, "")
    weights = np.array(json.loads(out)["weights"])
    np.testing.assert_allclose(weights, np.pad(np.full((3, 3), 1 / 9), ((0, 0), (1, 1))), atol=0.02)
    for wrong, found in (("3.5", "expected a size such as 9"), ("3", "Replace it with --overwrite")):
        code, _, err = call(f"{words} {wrong}")
        assert code == 2
        assert found in err
