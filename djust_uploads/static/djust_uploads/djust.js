// The entry for a djust page: takes the place of `window.djust.uploads`.

import { Directives } from "./page/directives.js";
import { Reconnecting } from "./doors/djust_reconnecting.js";
import { Uploads } from "./uploads/uploads.js";
import { tellWindow } from "./page/window_events.js";

const uploads = new Uploads();
const reconnecting = new Reconnecting(uploads);

function connect() {
  const { ws } = window.djust.liveViewInstance;
  if (uploads.connect(ws)) reconnecting.watch(ws);
}

/** djust's client calls these; the names and what they do for a page are its own. */
const api = {
  /** Called with every mount, so the socket is the one that the slots belong to. */
  setConfigs(configs) {
    connect();
    uploads.setSlots(configs);
  },
  handleProgress() {}, // heard on the socket itself
  handleResumed() {},
  bindHandlers() {}, // nothing is bound to elements
  cancelUpload: (ref) => uploads.cancel(ref),
  get activeUploads() {
    const all = Object.keys(uploads.slots).flatMap((name) => uploads.of(name));
    return new Map(all.filter((upload) => upload.active).map((upload) => [upload.ref, upload]));
  },
  queueClipboardFiles(element, files) {
    const name = element.getAttribute("dj-upload");
    if (name) uploads.add(name, files);
  },
  uploadFile: (file, uploadName) => uploads.add(uploadName, [file])[0],
};

// djust's script may run before or after this one, and sets the property when it does.
window.djust ??= {};
Object.defineProperty(window.djust, "uploads", { get: () => api, set() {}, configurable: true });

/** djust's client bound its own upload listeners, if it ran first; one file is uploaded once. */
function unbindStock() {
  for (const input of document.querySelectorAll("[dj-upload]")) {
    input.removeEventListener("change", input._djUploadChangeHandler);
  }
  for (const zone of document.querySelectorAll("[dj-upload-drop]")) {
    for (const [type, handler] of zone._djDropHandlers ?? []) zone.removeEventListener(type, handler);
  }
}

unbindStock();
tellWindow(uploads);
new Directives(uploads).start();
reconnecting.start();
if (window.djust.liveViewInstance?.viewMounted) {
  connect();
  uploads.askForSlots();
}
