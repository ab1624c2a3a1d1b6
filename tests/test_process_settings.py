"""Importing and calling tileconv leaves the settings of the caller's process as they were."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

CHILD = """
import atexit, ctypes, gc, locale, logging, multiprocessing, os, random, resource, signal, sys, threading, warnings

asked = set()

class Library(ctypes.CDLL):
    def __getattr__(self, name):
        asked.add(name)
        return super().__getattr__(name)

ctypes.CDLL = Library
import dask, dask.array, imagecodecs, numba, numpy, PIL.Image, scipy.linalg, tifffile, yaml, zarr  # with what they set
import distributed
dask.array.ones(4, chunks=2).sum().compute()
from numba.core import caching, config
from numba.core.cpu import CPUContext

def settings():
    old = os.umask(0)
    os.umask(old)
    loggers = {n: l for n, l in logging.root.manager.loggerDict.items() if hasattr(l, "level")}
    handlers = {n: (l.level, l.handlers[:]) for n, l in loggers.items() if l.level or l.handlers}
    return {
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()), "environment": dict(os.environ), "umask": old,
        "warnings": warnings.filters[:], "errors of numpy": (numpy.geterr(), numpy.geterrcall()),
        "printing": numpy.get_printoptions(), "dask": str(dask.config.config), "zarr": str(zarr.config.config),
        "numba": {n: v for n, v in vars(config).items() if n.isupper()},
        "patches": (caching.Cache.load_overload, CPUContext.load_additional_registries),
        "start": multiprocessing.get_start_method(allow_none=True), "locale": locale.setlocale(locale.LC_ALL),
        "logging": (logging.root.level, logging.root.handlers[:], logging.root.manager.disable, handlers),
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook, threading.excepthook),
        "gc": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()), "folder": os.getcwd(), "path": sys.path[:],
        "recursion": sys.getrecursionlimit(), "switches": sys.getswitchinterval(),
        "numbers": (random.getstate(), str(numpy.random.get_state())), "at exit": atexit._ncallbacks(),
        "limits": [resource.getrlimit(k) for k in range(16)], "pixels": PIL.Image.MAX_IMAGE_PIXELS,
    }

def same(what):
    now = settings()
    changed = {name: (before[name], now[name]) for name in before if before[name] != now[name]}
    assert not changed, (what, changed)

before = settings()
import tileconv, tileconv.api, tileconv.kernels
same("import")
image = numpy.arange(60 * 70, dtype=numpy.uint16).reshape(60, 70)
tileconv.gaussian(image, sigma=1, tile=32)
tileconv.convolve(image, numpy.ones((5, 4)), engine="fft")
tileconv.sobel(dask.array.from_array(image, chunks=32)).compute()
tileconv.kernels.gaussian(2)
same("functions")
tileconv.plan("p.yaml")
same("plan")
assert not {name for name in asked if name.startswith("mall")}, asked
tileconv.run("p.yaml")
tileconv.verify("o.zarr")
same("run")
assert "mallopt" in asked  # it would have been seen
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of Linux")
def test_the_process_of_a_caller_is_left_as_it_is(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    output = {"path": "o.zarr", "chunks": 32}
    spec = {"version": 1, "input": {"path": "a.npy"}, "stages": [{"op": "gaussian", "sigma": 1}], "output": output}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec | {"run": {"memory": "2GiB", "workers": 2, "tile": 32}}))
    made = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
