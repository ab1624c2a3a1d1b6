// s3rver on loopback whose answers come late: node s3rver.cjs MODULES FOLDER PORT WAIT_MS
const [modules, directory, port, wait] = process.argv.slice(2);
const S3rver = require(`${modules}/s3rver`);
const options = { directory, port: Number(port), address: "127.0.0.1", silent: true, configureBuckets: [{ name: "bucket" }] };
const server = new S3rver(options);
if (Number(wait)) {
  server.middleware.unshift(async (_, next) => {
    await new Promise((resolve) => setTimeout(resolve, Number(wait)));
    await next();
  });
}
server.run();
