// The other end of a page's socket, in the page itself: a test says what the server says, and looks
// at what it was sent.

import { Uploads } from "/static/djust_uploads/uploads/uploads.js";
import { Directives } from "/static/djust_uploads/page/directives.js";
import { tellWindow } from "/static/djust_uploads/page/window_events.js";

export const SLOT = {
  name: "files",
  accept: "",
  max_entries: 10,
  max_file_size: 1_000_000_000,
  chunk_size: 10,
  auto_upload: true,
  resumable: true,
};

export class FakeSocket extends EventTarget {
  readyState = WebSocket.OPEN;
  bufferedAmount = 0;
  sent = [];

  /** Whether it is one that the page may send Blobs over. */
  takesBlobs = true;

  send(data) {
    if (data instanceof Blob && !this.takesBlobs) throw new TypeError("no Blobs");
    if (data instanceof Blob) this.sent.push(blobFrame(data));
    else if (typeof data === "string") this.sent.push(JSON.parse(data));
    else this.sent.push(frame(new Uint8Array(data)));
    this.dispatchEvent(new Event("sent"));
  }

  close() {
    this.readyState = WebSocket.CLOSING;
  }

  hear(message) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }

  /** The connection is lost. */
  lose() {
    this.readyState = WebSocket.CLOSED;
    this.dispatchEvent(new CloseEvent("close"));
  }

  /** What was sent of this type, "chunk", "complete" and "cancel" being those of frames. */
  of(type) {
    return this.sent.filter((message) => message.type === type);
  }

  /** Resolves to what was sent of this type, as soon as there are so many of it. */
  async wait(type, count = 1) {
    while (this.of(type).length < count) {
      await new Promise((resolve) => this.addEventListener("sent", resolve, { once: true }));
    }
    return this.of(type);
  }
}

/** A chunk whose bytes the browser would read; `index` is a promise. */
function blobFrame(blob) {
  const index = blob.slice(17, 21).arrayBuffer().then((bytes) => new DataView(bytes).getUint32(0));
  return { type: "chunk", blob, size: blob.size - 21, index };
}

function frame(bytes) {
  const hex = Array.from(bytes.slice(1, 17), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const ref = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  const type = ["", "chunk", "complete", "cancel"][bytes[0]];
  if (type !== "chunk") return { type, ref };
  const index = new DataView(bytes.buffer).getUint32(17);
  return { type, ref, index, text: new TextDecoder().decode(bytes.slice(21)) };
}

/** A page with its uploads, whose server is the test. */
export class Page {
  constructor() {
    this.uploads = new Uploads();
    tellWindow(this.uploads);
    new Directives(this.uploads).start();
  }

  connect(slot = {}, slots = { files: { ...SLOT, ...slot } }) {
    this.socket = new FakeSocket();
    this.uploads.connect(this.socket);
    this.uploads.setSlots(slots);
    return this.socket;
  }

  get all() {
    return this.uploads.of("files");
  }

  /** Register the file and let the server have its first bytes; `limit` is where it then stands. */
  async begin(file, { limit = 30, resumable = true } = {}) {
    const known = this.socket.of("upload_register").length;
    const [upload] = this.uploads.add("files", [file]);
    await this.socket.wait("upload_register", known + 1);
    const { ref } = upload;
    this.socket.hear({
      type: "upload_registered", ref, upload_name: "files", offset: 0, limit, chunk_size: 10,
      resumable,
    });
    if (limit >= file.size) await this.socket.wait("complete");
    else await this.socket.wait("chunk", limit / 10);
    this.progress(upload, "uploading", Math.floor(100 * limit / file.size));
    return upload;
  }

  progress({ ref }, status, progress, more = {}) {
    this.socket.hear({
      type: "upload_progress", ref, upload_name: "files", status, progress, offset: 0, ...more,
    });
  }

  resumed({ ref }, status = "resumed", more = {}) {
    this.socket.hear({
      type: "upload_resumed", ref, upload_name: "files", status, offset: 0, limit: 1000,
      chunk_size: 10, progress: 0, bytes_received: 0, chunks_received: [], ...more,
    });
  }

  fail({ ref }, code, error) {
    this.socket.hear({
      type: "upload_progress", ref, upload_name: "files", status: "error", progress: 0, code, error,
    });
  }
}

/** A file of so many bytes, each with its own letter in its place. */
export function textFile(size = 100, name = "notes.txt", lastModified = 1_700_000_000_000) {
  const text = Array.from({ length: size }, (_, at) => String.fromCharCode(97 + at % 26)).join("");
  return new File([text], name, { type: "text/plain", lastModified });
}

export const records = () => Object.keys(localStorage)
  .filter((key) => key.startsWith("djust_uploads:"))
  .map((key) => JSON.parse(localStorage[key]));

/** Until the page has drawn what happened, and every promise that could go on did. */
export const drawn = () => new Promise((resolve) => {
  requestAnimationFrame(() => setTimeout(resolve));
});
