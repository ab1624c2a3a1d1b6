// What zarrita.js under Node makes of a result: the same line of JSON as readers.py.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as zarr from "zarrita";
import { FileSystemStore } from "@zarrita/storage";

try {
  const group = await zarr.open(zarr.root(new FileSystemStore(process.argv[2])), { kind: "group" });
  const array = await zarr.open(group.resolve("0"), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  const digest = createHash("sha256").update(Buffer.from(data.buffer, data.byteOffset, data.byteLength)).digest("hex");
  const omero = (group.attrs.ome ?? group.attrs).omero;
  const file = new URL("package.json", new URL("../", import.meta.resolve("zarrita")));
  const version = JSON.parse(readFileSync(file)).version;
  console.log(JSON.stringify({ version, shape, digest, names: omero.channels.map((channel) => channel.label) }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
}
