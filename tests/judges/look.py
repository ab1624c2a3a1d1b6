"""A picture of what neuroglancer shows of a result in headless Chromium, to be looked at.

``python tests/judges/look.py STORE PNG``, in the environment of the judges with ``neuroglancer`` installed; Chromium
is that of Debian (``apt-get install chromium``). Everything is served on loopback.
"""

import functools
import http.server
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SHADER = "void main() { emitGrayscale(normalized()); }"


class Files(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, for any page; a chunk that is not there is 404."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *_):
        pass


def main(store, png):
    import neuroglancer  # which the tests, that look for examples here, do without

    store = Path(store).absolute()
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(store.parent)))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    version = "3" if (store / "zarr.json").exists() else "2"
    said = json.loads((store / ("zarr.json" if version == "3" else ".zattrs")).read_text())
    omero = (said["attributes"]["ome"] if version == "3" else said)["omero"]
    shown = omero["channels"][0]["window"]  # which neuroglancer does not read by itself
    shader = f"#uicontrol invlerp normalized(range=[{shown['start']}, {shown['end']}])\n" + SHADER
    with viewer.txn() as state:
        source = f"http://127.0.0.1:{files.server_port}/{store.name}/|zarr{version}:"
        state.layers["result"] = neuroglancer.ImageLayer(source=source, shader=shader)
        state.layout = "xy"
        state.display_dimensions = ["x", "y"]
    with tempfile.TemporaryDirectory() as profile:
        words = ["chromium", "--headless=new", "--no-sandbox", f"--user-data-dir={profile}", "--window-size=900,700"]
        browser = subprocess.Popen([*words, viewer.get_viewer_url()], stderr=subprocess.DEVNULL)
        try:
            Path(png).write_bytes(viewer.screenshot(size=[900, 700]).screenshot.image)
        finally:
            browser.terminate()
            browser.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
