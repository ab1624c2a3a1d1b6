"""Networks of conv_layer stages beside PyTorch on the whole image: answer, bytes at another tile, memory, and time.

    python -m benchmarks.networks --folder F --torch ENV/bin/python

PyTorch lies in an environment of its own, whose Python is given; both have the same threads. The exit status is 1 if an
answer is farther away than the bound, depends on the tile, or takes more memory than was predicted.
"""

import argparse
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr

import tileconv
from tileconv.planning.model import Plan

NETWORKS = {"two layers of 64 channels": (3, 64, 64), "five layers": (3, 32, 64, 64, 32, 2)}
TORCH = """
import json, pathlib, sys, time
import numpy as np, torch
folder, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
with torch.inference_mode():
    layers = [np.load(f"{folder}/{n}.npz") for n in range(count)]
    layers = [(torch.from_numpy(l["weights"]), torch.from_numpy(l["bias"])) for l in layers]
    for _ in range(2):
        pathlib.Path(f"{folder}/torch.npy").unlink(missing_ok=True)
        began = time.perf_counter()
        x = torch.from_numpy(np.load(f"{folder}/image.npy"))[None]
        read = time.perf_counter()
        for weights, bias in layers:
            x = torch.relu(torch.nn.functional.conv2d(x, weights, bias, padding=1))
        made = time.perf_counter()
        np.save(f"{folder}/torch.npy", x[0].numpy())
    print(json.dumps([made - read, time.perf_counter() - began]))
"""
RUN = """
import json, pathlib, resource, shutil, sys, time, tileconv
for _ in range(int(sys.argv[2])):
    for old in pathlib.Path(sys.argv[1]).parent.glob("out.ome.zarr*"):
        shutil.rmtree(old)
    began = time.perf_counter()
    tileconv.run(sys.argv[1])
    took = time.perf_counter() - began
print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> int:
    """Print some lines of figures per network; return 1 if one breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--torch", required=True, help="a Python that has PyTorch")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    asked, kept = parser.parse_args(), True
    for name, channels in NETWORKS.items():
        folder = asked.folder / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        kept &= measure(name, channels, folder, asked)
    return int(not kept)


def measure(name: str, channels: tuple[int, ...], folder: Path, asked: argparse.Namespace) -> bool:
    """Run the network of *channels* both ways, print what came of it, and return whether all promises are kept."""
    rng = np.random.default_rng(1)
    np.save(folder / "image.npy", rng.random((channels[0], asked.size, asked.size), np.float32))
    lines = []
    for n, (ins, outs) in enumerate(pairwise(channels)):
        weights = rng.standard_normal((outs, ins, 3, 3), np.float32) / np.float32(3 * np.sqrt(ins))
        np.savez(folder / f"{n}.npz", weights=weights, bias=rng.standard_normal(outs, np.float32) / 10)
        lines.append(f"  - {{op: conv_layer, weights: {n}.npz, padding: 1, activation: relu}}\n")
    head = f"version: 1\ninput: {{path: image.npy, axes: cyx}}\nstages:\n{''.join(lines)}"
    run = f"output: {{path: out.ome.zarr, codec: {{name: none}}}}\nrun: {{workers: {asked.threads}}}\n"
    (folder / "net.yaml").write_text(head + run)
    plan = tileconv.plan(folder / "net.yaml")
    ours = [sys.executable, "-c", RUN, folder / "net.yaml"]
    theirs = [asked.torch, "-c", TORCH, folder, str(len(lines)), str(asked.threads)]
    (_, peak), (took, _) = _told([*ours, "1"]), _told([*ours, "2"])
    made, whole = _told(theirs)
    result = zarr.open(folder / "out.ome.zarr", mode="r")["0"][...]
    apart = float(np.abs(result - np.load(folder / "torch.npy")).max())
    other = (
        run.replace("out.", "small.")
        .replace("}}", "}, chunks: 64, shards: none}")
        .replace("run: {", "run: {tile: 192, ")
    )
    (folder / "small.yaml").write_text(head + other)
    tileconv.run(folder / "small.yaml", overwrite=True)
    same = zarr.open(folder / "small.ome.zarr", mode="r")["0"][...].tobytes() == result.tobytes()
    print(f"{name}, {asked.size} x {asked.size}, {asked.threads} threads: {took:.2f} s from file to file")
    print(f"  PyTorch {whole:.2f} s, {made:.2f} of it for the layers: {whole / took:.2f} times its speed")
    bound = _bound(plan)
    print(f"  largest difference {apart:.2g}, where pixels reach {np.abs(result).max():.3g}, bound {bound:.2g}")
    print(f"  bounds of the layers {', '.join(f'{stage.error_bound:.2g}' for stage in plan.graph)}")
    print(f"  tiles of 192 make {'the same' if same else 'OTHER'} bytes")
    print(f"  peak memory {peak:.0f} MiB, predicted {plan.peak_bytes / 2**20:.0f}")
    return same and apart <= 2 * bound and peak <= plan.peak_bytes / 2**20  # PyTorch may be as wrong


def _told(command: list[object]) -> list[float]:
    """Return the numbers that *command* prints last."""
    made = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    told: list[float] = json.loads(made.stdout.splitlines()[-1])
    return told


def _bound(plan: Plan) -> float:
    """Return how wrong the last of a row of layers may be for pixels of 0 to 1: errors grow as pixels may."""
    peak, error = 1.0, 0.0
    for stage in plan.graph:
        filters = stage.operation.filters
        error = error * filters.gain + stage.error_bound * max(1.0, peak)
        peak = peak * filters.gain + float(np.abs(filters.bias).max())
    return error


if __name__ == "__main__":
    raise SystemExit(main())
