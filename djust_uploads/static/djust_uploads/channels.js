// The entry for a page of a plain Channels consumer: connects, and serves dj-click and dj-submit.

import { Directives } from "./page/directives.js";
import { Socket } from "./doors/socket.js";
import { Connection } from "./wire/connection.js";
import { Uploads } from "./uploads/uploads.js";
import { tellWindow } from "./page/window_events.js";

const uploads = new Uploads();
const path = document.querySelector("script[data-upload-socket]").dataset.uploadSocket;
const connection = new Connection(path, uploads);

window.djust ??= {};
window.djust.uploads = { cancelUpload: (ref) => uploads.cancel(ref) };
/** Call an event handler of the consumer; resolves when it returned. */
window.djust.sendEvent = (name, params) => connection.sendEvent(name, params);

tellWindow(uploads);
new Directives(uploads).start();
new Socket(connection).start();
