"""The operations by which a run changes files: recorded, replayed up to any of them, or made to fail."""

import os
import random
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import strategies
from execute.resume_help import digest, litter, write_spec

import tileconv
from tileconv.audit.status import status
from tileconv.errors import TileconvError
from tileconv.sources.open import open_source

LONG = os.environ.get("TILECONV_PROFILE") == "long"
SHAPE = (64, 64)
OUTPUTS = ("o.zarr", "o.zarr.tileconv", "o.zarr.pass0")


def seeded(seed):
    """Return a generator of random numbers that gives the same ones again."""
    return random.Random(seed)  # noqa: S311


def small(folder, stages, *, workers=1):
    """Write a spec of 16 tiles a pass, and return its path."""
    image = strategies.pixels((64, 64), "uint16", 3)
    return write_spec(folder, stages, image=image, run={"workers": workers, "memory": "2GiB"})


def clear(folder):
    """Take the output away."""
    for name in OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)


def claims(output):
    """Return who says that *output* is whole: ``status``, ``verify``, and whoever opens it as an image."""
    said = set()
    for name, ask in {
        "status": lambda: status(output).state == "complete",
        "verify": lambda: not tileconv.verify(output).damages,
        "open": lambda: open_source(output, missing_chunks="error").info.shape == SHAPE,
    }.items():
        try:
            said |= {name} if ask() else set()
        except TileconvError:
            continue
    return said


def check_whole(folder, expected):
    """Assert that the output in *folder* has the bytes *expected*, and that all agree on it."""
    assert digest(folder / "o.zarr") == expected
    assert litter(folder) == []
    assert claims(folder / "o.zarr") == {"status", "verify", "open"}
    assert not (folder / "o.zarr.tileconv" / "repair").exists()


@dataclass
class Operations:
    """Every change of a file below *root* passes through here, one at a time; ``before`` may raise instead.

    ``log`` holds (kind, path, bytes or second path). What ``before`` returns is written instead of the bytes, and
    then an OSError with that number is raised: ``(bytes, errno)``.
    """

    root: Path
    log: list = field(default_factory=list)
    before: object = None
    lock: object = field(default_factory=threading.RLock)
    descriptors: dict = field(default_factory=dict)

    def patch(self, monkeypatch):
        """Put this layer under everything that runs until the test ends."""
        for name in ("mkdir", "rmdir", "unlink"):
            monkeypatch.setattr(os, name, self._one(name, getattr(os, name)))
        monkeypatch.setattr(os, "replace", self._two("rename", os.replace))
        monkeypatch.setattr(os, "open", self._open(os.open))
        monkeypatch.setattr(os, "close", self._close(os.close))
        monkeypatch.setattr(os, "write", self._append(os.write))
        monkeypatch.setattr(os, "pwrite", self._append(os.pwrite))
        monkeypatch.setattr(os, "pwritev", _refused)  # every piece is to pass through ``pwrite``
        monkeypatch.setattr(os, "ftruncate", self._emptied(os.ftruncate))
        return self

    def _ours(self, path):
        return isinstance(path, str | Path) and Path(path).is_relative_to(self.root)

    def _refuse(self, kind, path, data=b""):
        return self.before(kind, str(path), data) if self.before else None

    def _one(self, kind, real):
        def call(path, *args, **words):
            with self.lock:
                if self._ours(path):
                    self._refuse(kind, path)
                made = real(path, *args, **words)
                if self._ours(path):
                    self.log.append((kind, str(path), b""))
                return made

        return call

    def _two(self, kind, real):
        def call(path, target, **words):
            with self.lock:
                if self._ours(path):
                    self._refuse(kind, path)
                real(path, target, **words)
                if self._ours(path):
                    self.log.append((kind, str(path), str(target)))

        return call

    def _open(self, real):
        def call(path, flags, *args, **words):
            with self.lock:
                new = self._ours(path) and flags & os.O_CREAT and not os.path.exists(path)  # noqa: PTH110
                if new:
                    self._refuse("open", path)
                descriptor = real(path, flags, *args, **words)
                self.descriptors.pop(descriptor, None)
                if self._ours(path) and flags & (os.O_WRONLY | os.O_RDWR):
                    self.descriptors[descriptor] = str(path)
                if new:
                    self.log.append(("file", str(path), b""))
                return descriptor

        return call

    def _close(self, real):
        def call(descriptor):
            with self.lock:
                self.descriptors.pop(descriptor, None)
                real(descriptor)

        return call

    def _append(self, real):
        """Every write goes on where the last one ended, by place or not."""

        def call(descriptor, data, *place):
            with self.lock:
                path = self.descriptors.get(descriptor)
                if path and (instead := self._refuse("append", path, bytes(data))):
                    real(descriptor, instead[0], *place)
                    raise OSError(instead[1], os.strerror(instead[1]))
                count = real(descriptor, data, *place)
                if path:
                    self.log.append(("append", path, bytes(data)))
                return count

        return call

    def _emptied(self, real):
        def call(descriptor, size):
            with self.lock:
                real(descriptor, size)
                if path := self.descriptors.get(descriptor):
                    self.log.append(("file", path, b""))

        return call


def _refused(*_):
    raise NotImplementedError


def replay(log, count, *, torn=False):
    """Do the first *count* operations of *log* again; with *torn* the last of them writes half of its bytes."""
    for number, (kind, path, data) in enumerate(log[:count]):
        half = torn and number == count - 1
        match kind:
            case "mkdir" | "rmdir" | "unlink":
                getattr(os, kind)(path)
            case "rename":
                os.replace(path, data)  # noqa: PTH105
            case "file" | "append":
                with open(path, "ab" if kind == "append" else "wb") as file:  # noqa: PTH123
                    file.write(data[: len(data) // 2] if half else data)
