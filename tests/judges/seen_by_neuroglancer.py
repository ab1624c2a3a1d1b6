"""A picture of what neuroglancer shows of a result in headless Chromium: ``python seen_by_neuroglancer.py STORE PNG``.

It prints the version, what its layers are called, how large it takes a pixel to be and which is in the middle, and the
share of pixels in colour; Chromium is that of Debian (``apt-get install chromium``). All is served on loopback.
"""

import functools
import http.server
import io
import json
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path

SIZE = [900, 700]
GRAY = 32


class Files(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, for any page; a chunk that is not there is 404."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *_):
        pass


def looked_at(viewer):
    """Return a picture of *viewer* once all of its layers have their ranges."""
    while True:
        picture = viewer.screenshot(size=SIZE).screenshot.image
        layers = viewer.state.to_json()["layers"]
        if all(any("range" in of for of in layer.get("shaderControls", {}).values()) for layer in layers):
            return picture, [layer["name"] for layer in layers]


def main(store, png):
    import neuroglancer  # which the tests, that look for examples here, do without
    import numpy as np
    from PIL import Image

    store = Path(store).absolute()
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(store.parent)))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    source = f"http://127.0.0.1:{files.server_port}/{store.name}/|zarr:"
    layer = {"type": "auto", "name": "result", "source": source}  # as the page has it that takes a source
    viewer.set_state({"layers": [layer], "layout": "xy", "displayDimensions": ["x", "y"]})
    with tempfile.TemporaryDirectory() as profile:
        words = ["chromium", "--headless=new", "--no-sandbox", f"--user-data-dir={profile}", "--window-size=900,700"]
        browser = subprocess.Popen([*words, viewer.get_viewer_url()], stderr=subprocess.DEVNULL)
        try:
            picture, names = looked_at(viewer)
        finally:
            browser.terminate()
            browser.wait()
    Path(png).write_bytes(picture)
    coloured = np.ptp(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")), -1) > GRAY
    state = viewer.state.to_json()
    told = {"version": version("neuroglancer"), "layers": names, "coloured": float(coloured.mean())}
    told |= {key: state.get(key) for key in ("dimensions", "position")}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
