"""What workers of a cluster are made to do before they store a tile, by a text that ``dask worker --preload`` runs.

For each tile that they store they append a byte to ``tiles-PID`` in their folder.
"""

FRAME = """
import ctypes, os, time
def dask_setup(worker):
    import tileconv.tiles.windows as windows
    store = windows.Job.store
    def stores(self, tile, *made):
        {does}
        with open(f"tiles-{{os.getpid()}}", "a") as file:
            file.write("x")
        return store(self, tile, *made)
    windows.Job.store = stores
"""

SLOW = "time.sleep(0.15)"
"""A slow disk: 1,000 tiles take two minutes and a half on one thread."""


def deadly(tile):
    """End the process by a segmentation fault at the tile that begins at *tile*."""
    return f"tile.start != {tile} or ctypes.string_at(0)"


def hungry(tiles, mib):
    """Hold so many *mib* for two seconds at each of *tiles*, which is time enough for a nanny to see it."""
    return f"tile.start not in {tiles} or (bytearray(b'x') * ({mib} << 20), time.sleep(2))"


def preload(folder, does):
    """Write what each tile *does* first, and return the options of workers."""
    (folder / "preload.py").write_text(FRAME.format(does=does))
    return "--preload", str(folder / "preload.py")


def stored(folder):
    """Return how many tiles each process has stored, by its number."""
    return {int(path.name.partition("-")[2]): path.stat().st_size for path in folder.glob("tiles-*")}
