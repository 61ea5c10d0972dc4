// The files of a page: chosen, waiting, on their way, there. No DOM but the events on `window`.

import { refusal } from "./accept.js";
import { cancelFrame, newRef } from "./frames.js";
import { Line } from "./line.js";
import { Transfer } from "./transfer.js";

// Files on their way at once; more would only share the same link.
const CONCURRENCY = 3;

const ENDED = new Set(["complete", "error", "cancelled", "consumed"]);

/**
 * One file. `status` is what the server says ("uploading", "finalizing", "complete", "error",
 * "cancelled"), or, before it said anything, "chosen" (waits for the form's submit) or "queued".
 */
export class Upload {
  ref = newRef();
  status = "queued";
  progress = 0;
  error = null;
  code = null;
  transfer = null;

  constructor(uploadName, file) {
    this.uploadName = uploadName;
    this.file = file;
  }

  get ended() {
    return ENDED.has(this.status);
  }

  get active() {
    return this.status === "uploading" || this.status === "finalizing";
  }

  /** Takes a place in its slot: anything but a failure. */
  get live() {
    return !this.ended || this.status === "complete";
  }
}

/** Fires "change" whenever an upload was added, removed or moved on. */
export class Uploads extends EventTarget {
  slots = {};
  #uploads = [];
  #line = null;
  #socket = null;
  #fresh = false;

  /** Talk over this socket from now on. Called for every new connection. */
  connect(socket) {
    if (socket === this.#socket) return;
    this.#socket = socket;
    this.#line = new Line(socket);
    this.#fresh = true;
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#disconnected();
    });
  }

  /** The server declared its slots: at the start, after a reconnect, for another view. */
  setSlots(slots) {
    this.slots = slots ?? {};
    // A second view on the same connection: the first one's files went with it.
    this.#remove((upload) => !this.#fresh || !(upload.uploadName in this.slots));
    this.#fresh = false;
    this.#startQueued();
    this.#changed();
  }

  /** Ask for the slots, where the message that declared them was missed. */
  askForSlots() {
    this.#line.sendMessage({ type: "upload_configs" });
  }

  of(uploadName) {
    return this.#uploads.filter((upload) => upload.uploadName === uploadName);
  }

  /** Add files to a slot; those that it can't take are refused visibly. */
  add(uploadName, files) {
    const slot = this.slots[uploadName];
    // What failed before was seen; it would only hide what happens now.
    this.#remove((upload) => upload.uploadName === uploadName && upload.error);
    if (slot?.max_entries === 1 && files.length) this.#replace(uploadName);
    const added = Array.from(files, (file) => this.#addOne(uploadName, slot, file));
    this.#startQueued();
    this.#changed();
    return added;
  }

  /** In a slot for one file, a new choice takes the place of the old one. */
  #replace(uploadName) {
    for (const upload of this.of(uploadName)) this.cancel(upload.ref);
  }

  #addOne(uploadName, slot, file) {
    const upload = new Upload(uploadName, file);
    const places = slot ? slot.max_entries : Infinity;
    const full = this.of(uploadName).filter((other) => other.live).length >= places;
    this.#uploads.push(upload);
    if (slot?.auto_upload === false) upload.status = "chosen";
    if (full) {
      this.#fail(upload, "too_many_files", `Only ${places} ${places === 1 ? "file" : "files"} can `
        + "be added here. Remove one to add another.");
    } else if (slot) {
      const refused = refusal(file, slot);
      if (refused) this.#fail(upload, refused.code, refused.message);
    }
    return upload;
  }

  /** Take an upload away, whatever it is doing. */
  cancel(ref) {
    const upload = this.#find(ref);
    if (!upload) return;
    upload.transfer?.stop();
    if (upload.active || upload.status === "complete") this.#line?.send(cancelFrame(ref));
    const failed = upload.error;
    this.#remove((other) => other === upload);
    // A failed one had its ending already; this only takes the row away.
    if (!failed) this.#move(upload, "cancelled");
    this.#startQueued();
    this.#changed();
  }

  /** Send what waits for the form's submit. */
  start(uploadName) {
    for (const upload of this.of(uploadName)) {
      if (upload.status === "chosen") upload.status = "queued";
    }
    this.#startQueued();
    this.#changed();
  }

  /** Resolves when every upload of these slots ended: to whether all of them are complete. */
  async settled(uploadNames) {
    const waited = uploadNames.flatMap((name) => this.of(name)).filter((upload) => !upload.ended);
    while (waited.some((upload) => !upload.ended)) {
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return waited.every((upload) => ["complete", "cancelled"].includes(upload.status));
  }

  #find(ref) {
    return this.#uploads.find((upload) => upload.ref === ref);
  }

  #startQueued() {
    if (!this.#line?.open) return;
    let active = this.#uploads.filter((upload) => upload.active).length;
    for (const upload of this.#uploads) {
      if (active >= CONCURRENCY) return;
      if (upload.status !== "queued" || !(upload.uploadName in this.slots)) continue;
      this.#register(upload);
      active += 1;
    }
  }

  #register(upload) {
    upload.status = "uploading";
    this.#line.sendMessage({
      type: "upload_register",
      upload_name: upload.uploadName,
      ref: upload.ref,
      client_name: upload.file.name,
      client_type: upload.file.type,
      client_size: upload.file.size,
      client_relative_path: upload.file.webkitRelativePath || upload.file.relativePath || "",
      resumable: false,
    });
  }

  #receive(text) {
    // Most messages are the host's, and may be long: don't parse those.
    if (typeof text !== "string" || !text.includes('"upload_')) return;
    const message = JSON.parse(text);
    if (message.type === "upload_configs") this.setSlots(message.upload_configs);
    if (message.type === "upload_registered") this.#registered(message);
    if (message.type === "upload_progress") this.#progressed(message);
    if (message.type === "upload_consumed") this.#consumed(message);
  }

  async #registered(message) {
    const upload = this.#find(message.ref);
    if (!upload || upload.ended) return;
    const transfer = new Transfer(this.#line, upload.file, message);
    upload.transfer = transfer;
    try {
      await transfer.send();
    } catch (error) {
      // The file was deleted, changed or became unreadable after it was chosen.
      this.#line.send(cancelFrame(upload.ref));
      this.#fail(upload, "unreadable", "The file can't be read any more. Please choose it again.");
      console.error("djust_uploads:", error);
    }
  }

  #progressed(message) {
    const upload = this.#find(message.ref);
    if (!upload || upload.error) return;
    upload.transfer?.allow(message.limit);
    if (message.status === "error") {
      this.#fail(upload, message.code, message.error);
    } else {
      upload.progress = message.progress;
      if (message.status === "cancelled") this.#remove((other) => other === upload);
      this.#move(upload, message.status);
    }
  }

  #consumed({ refs }) {
    for (const upload of this.#uploads) {
      if (refs.includes(upload.ref)) upload.status = "consumed";
    }
    this.#remove((upload) => upload.status === "consumed");
    this.#changed();
  }

  #fail(upload, code, error) {
    upload.code = code;
    upload.error = error ?? "The upload failed. Please try again.";
    upload.progress = 0;
    this.#move(upload, "error");
    this.#dispatch("djust:upload:error", {
      file: upload.file.name,
      error: upload.error,
      code,
      ref: upload.ref,
      uploadName: upload.uploadName,
    });
  }

  #move(upload, status) {
    upload.status = status;
    if (upload.ended) upload.transfer?.stop();
    const { ref, progress, uploadName } = upload;
    this.#dispatch("djust:upload:progress", { ref, progress, status, uploadName });
    if (upload.ended) this.#startQueued();
    this.#changed();
  }

  /** The server forgot everything that was not consumed; send it again when it is back. */
  #disconnected() {
    for (const upload of this.#uploads) {
      upload.transfer?.stop();
      if (!upload.active && upload.status !== "complete") continue;
      upload.transfer = null;
      upload.ref = newRef();
      upload.status = "queued";
      upload.progress = 0;
    }
    this.#changed();
  }

  #remove(matches) {
    this.#uploads = this.#uploads.filter((upload) => !matches(upload));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #dispatch(type, detail) {
    window.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
