// What zarrita.js under Node makes of results: the same lines of JSON as readers.py.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as zarr from "zarrita";
import { FileSystemStore } from "@zarrita/storage";

async function judged(store) {
  const group = await zarr.open(zarr.root(new FileSystemStore(store)), { kind: "group" });
  const array = await zarr.open(group.resolve("0"), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  const digest = createHash("sha256").update(Buffer.from(data.buffer, data.byteOffset, data.byteLength)).digest("hex");
  const omero = (group.attrs.ome ?? group.attrs).omero;
  const file = new URL("../../package.json", import.meta.resolve("zarrita"));
  const version = JSON.parse(readFileSync(file)).version;
  return { version, shape, digest, names: omero.channels.map((channel) => channel.label) };
}

for (const store of process.argv.slice(2)) {
  console.log(JSON.stringify(await judged(store).catch((error) => ({ error: String(error) }))));
}
