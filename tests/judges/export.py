"""Programs that people use on exported files, as judges of these: ``python -m tests.judges.export``.

The environment that it makes needs PyPI, and Python 3.12 or newer. It ends with 1 if a reader shows other pixels than
the store has, or a validator finds anything wrong.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from formats.export_help import store_of

from tests.judges.environments import HERE, python_of
from tileconv.execute.export import export
from tileconv.georeference import Georeference
from tileconv.sources.open import open_source

CODECS = ("deflate", "zstd", "lzw", "none")
UTM = Georeference("EPSG:32633", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0))
DEGREES = Georeference("EPSG:4326", (0.001, 0.0, 5.0, 0.0, -0.001, 48.0))
OWN = Georeference(
    'PROJCS["own",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",11.5],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]',
    (5.0, 0.0, 100.0, 0.0, -5.0, 900.0),
)
STORES = {
    "slide": {
        **{"shape": (3, 1537, 2050), "dtype": "uint8", "axes": "cyx", "channels": ("red", "green", "blue")},
        **{"units": ("", "micrometer", "micrometer"), "scale": (1.0, 0.5, 0.5), "chunks": (1, 512, 512)},
    },
    "stack": {
        **{"shape": (2, 2, 3, 700, 611), "dtype": "uint16", "axes": "tczyx", "channels": ("DAPI", "GFP")},
        **{"units": ("second", "", *["micrometer"] * 3), "scale": (2.0, 1.0, 1.5, 0.3, 0.3)},
        **{"colours": ("0000FF", "00FF00")},
    },
    "bands": {"shape": (4, 1100, 1299), "dtype": "int16", "axes": "cyx", "georeference": UTM, "nodata": -9999},
    "degrees": {"shape": (1100, 1299), "dtype": "float32", "axes": "yx", "georeference": DEGREES},
    "own": {"shape": (600, 700), "dtype": "uint16", "axes": "yx", "georeference": OWN},
}  # fmt: skip
OME, TIFF = ".ome.tif", ".tif"


def files(folder):
    """Write every store, and what it is exported as; yield what each file is to show."""
    for name, words in STORES.items():
        store = folder / f"{name}.ome.zarr"
        pixels = store_of(store, provenance={"fingerprint": "f00"}, **words)
        np.save(folder / f"{name}.npy", pixels)
        place = words.get("georeference")
        kinds = [TIFF] * (name != "stack") + [OME] * (place is None)
        for kind in kinds:
            for codec in [*CODECS, *["jpeg"] * (name == "slide")]:
                file = folder / f"{name}-{codec}{kind}"
                made = export(store, file, codec=codec)
                told = open_source(file).info
                yield {
                    **{"file": str(file), "pixels": str(folder / f"{name}.npy"), "ome": kind == OME},
                    **{"levels": made.levels, "exact": codec != "jpeg", "axes": words["axes"]},
                    **{"scale": told.scale, "names": words.get("channels"), "nodata": words.get("nodata")},
                    "place": place and {"crs": place.crs, "transform": place.transform},
                }


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.judges.export", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".venv-judges"), help="where environment and files lie")
    folder = parser.parse_args().folder.absolute()
    exported = folder / "exported"
    shutil.rmtree(exported, ignore_errors=True)
    exported.mkdir(parents=True)
    listed = exported / "files.json"
    listed.write_text(json.dumps([*files(exported)]))
    return subprocess.run([python_of(folder, "export"), HERE / "export_readers.py", listed], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
