// What zarrita.js under Node makes of results: the same lines of JSON as readers.py.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as zarr from "zarrita";
import { FileSystemStore } from "@zarrita/storage";

async function judged(store) {
  const group = await zarr.open(zarr.root(new FileSystemStore(store)), { kind: "group" });
  const { omero, multiscales } = group.attrs.ome ?? group.attrs;
  const [shapes, digests, scales, translations] = [[], [], [], []];
  for (const { path, coordinateTransformations } of multiscales[0].datasets) {
    const { data, shape } = await zarr.get(await zarr.open(group.resolve(path), { kind: "array" }));
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const [{ scale }, at] = coordinateTransformations;
    shapes.push(shape);
    digests.push(createHash("sha256").update(bytes).digest("hex"));
    scales.push(scale);
    translations.push(at?.translation ?? scale.map(() => 0));
  }
  const file = new URL("../../package.json", import.meta.resolve("zarrita"));
  const version = JSON.parse(readFileSync(file)).version;
  const names = omero.channels.map((channel) => channel.label);
  const colours = omero.channels.map((channel) => channel.color);
  return { version, shapes, digests, scales, translations, names, colours, axes: multiscales[0].axes.map((axis) => axis.name) };
}

for (const store of process.argv.slice(2)) {
  console.log(JSON.stringify(await judged(store).catch((error) => ({ error: String(error) }))));
}
