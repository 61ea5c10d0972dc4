// @tus/server with its file store: tus_server.mjs NODE_MODULES PORT DIRECTORY [EXPIRATION_MS]
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, port, directory, expiration] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/any.js`));
const { Server } = await import(pathToFileURL(require.resolve("@tus/server")));
const { FileStore } = await import(pathToFileURL(require.resolve("@tus/file-store")));

const datastore = new FileStore({
  directory,
  expirationPeriodInMilliseconds: Number(expiration ?? 0),
});
new Server({ path: "/files", datastore }).listen(Number(port), "127.0.0.1");
