"""Environments that the judges run in: made from PyPI and npm when first needed, or when their lists have changed."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def python_of(folder, wanted=""):
    """Return the Python of the environment with what ``requirements-WANTED.txt`` lists."""
    name = f"requirements{wanted and '-'}{wanted}.txt"
    venv, listed = folder / f"readers{wanted and '-'}{wanted}", HERE / name
    stamp = venv / name
    if not stamp.exists() or stamp.read_text() != listed.read_text():
        subprocess.run([newest_python(), "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", listed], check=True)
        shutil.copy(listed, stamp)
    return venv / "bin" / "python"


def newest_python():
    """Return a Python of 3.12 or newer."""
    for minor in (14, 13, 12):
        path = shutil.which(f"python3.{minor}")
        if path and not subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
            return path
    raise SystemExit("no Python 3.12 or newer on the PATH, which the newest readers need")


def node_of(folder):
    """Return the folder with the packages of ``package.json``, and our scripts beside them, where modules are found."""
    node = folder / "node"
    node.mkdir(exist_ok=True)
    stamp = node / "package.json"
    if not stamp.exists() or stamp.read_text() != (HERE / stamp.name).read_text():
        shutil.copy(HERE / stamp.name, node)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=node, check=True)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, node)
    return node
