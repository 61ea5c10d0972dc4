// @tus/server with files on the disk, and the page of tus-js-client:
// node tus.mjs PEERS PORT DIRECTORY PAGE PAGES, where PEERS and PAGES are directories.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [peers, port, directory, page, pages] = process.argv.slice(2);
const require = createRequire(join(peers, "x.js"));
const { Server } = require("@tus/server");
const { FileStore } = require("@tus/file-store");

const tus = new Server({ path: "/files", datastore: new FileStore({ directory }) });
const places = { "/peers/": peers, "/pages/": pages };

createServer((request, response) => {
  if (request.url.startsWith("/files")) {
    tus.handle(request, response);
    return;
  }
  const place = Object.keys(places).find((prefix) => request.url.startsWith(prefix));
  if (place) {
    response.setHeader("content-type", "text/javascript");
    response.end(readFileSync(join(places[place], request.url.slice(place.length))));
  } else {
    response.setHeader("content-type", "text/html");
    response.end(readFileSync(page));
  }
}).listen(Number(port), "127.0.0.1");
