// Which uploads a page has, in which slot, and where each one stands. No DOM, no socket.

import { Speed } from "./speed.js";
import { gettext } from "../texts/catalogue.js";

/**
 * Calls `emit(type, detail)` with "progress" and "error", and with "change" whenever an upload was
 * added, removed or moved on; its `onlyBytes` says that no upload has another status.
 *
 * A slot may have thousands of files, so nothing here looks through all of them to find one.
 */
export class Roster {
  #emit;
  #isChanged = false;
  #onlyBytes = true;
  #holding = 0;
  #byRef = new Map();
  #bySlot = new Map();
  #byStatus = new Map();

  /** By slot: the bytes that have ever arrived, and how fast they do. */
  #arrived = new Map();
  #speeds = new Map();

  constructor(emit) {
    this.#emit = emit;
  }

  add(uploads) {
    for (const upload of uploads) {
      upload.roster = this;
      this.#byRef.set(upload.ref, upload);
      members(this.#bySlot, upload.uploadName).add(upload);
      members(this.#byStatus, upload.status).add(upload);
    }
  }

  remove(upload) {
    upload.roster = null;
    this.#byRef.delete(upload.ref);
    members(this.#bySlot, upload.uploadName).delete(upload);
    members(this.#byStatus, upload.status).delete(upload);
  }

  // An upload calls these after it has changed.

  arrived({ uploadName }, bytes) {
    const arrived = (this.#arrived.get(uploadName) ?? 0) + bytes;
    this.#arrived.set(uploadName, arrived);
    this.speed(uploadName).add(arrived);
  }

  renamed(upload, before) {
    this.#byRef.delete(before);
    this.#byRef.set(upload.ref, upload);
  }

  /** Tell of the end of a ref: whoever follows it will hear of another one from now on. */
  startsOver({ ended, ref, progress, uploadName }) {
    if (!ended) this.#emit("progress", { ref, progress, status: "cancelled", uploadName });
  }

  moved(upload, before) {
    members(this.#byStatus, before).delete(upload);
    members(this.#byStatus, upload.status).add(upload);
  }

  /** How fast the files of a slot arrive together. */
  speed(uploadName) {
    if (!this.#speeds.has(uploadName)) this.#speeds.set(uploadName, new Speed());
    return this.#speeds.get(uploadName);
  }

  find(ref) {
    return this.#byRef.get(ref);
  }

  has(upload) {
    return upload.roster === this;
  }

  all() {
    return Array.from(this.#byRef.values());
  }

  /** The uploads of a slot, in the order in which they were chosen. */
  of(uploadName) {
    return Array.from(members(this.#bySlot, uploadName));
  }

  count(uploadName) {
    return members(this.#bySlot, uploadName).size;
  }

  /** The uploads with one of these statuses, in the order in which they got it. */
  in(...statuses) {
    return statuses.flatMap((status) => Array.from(members(this.#byStatus, status)));
  }

  /** The first of them, or undefined. */
  first(status) {
    return members(this.#byStatus, status).values().next().value;
  }

  changed({ onlyBytes = false } = {}) {
    this.#isChanged = true;
    this.#onlyBytes &&= onlyBytes;
    if (!this.#holding) this.#tell();
  }

  /** Tell only once of all that `change` changes. */
  together(change) {
    this.#holding += 1;
    try {
      change();
    } finally {
      this.#holding -= 1;
      if (!this.#holding && this.#isChanged) this.#tell();
    }
  }

  #tell() {
    const onlyBytes = this.#onlyBytes;
    this.#isChanged = false;
    this.#onlyBytes = true;
    this.#emit("change", { onlyBytes });
  }

  /** Give an upload its next status, and tell of it. */
  move(upload, status) {
    const before = upload.status;
    upload.status = status;
    if (upload.ended) upload.stop();
    const { ref, progress, uploadName } = upload;
    this.#emit("progress", { ref, progress, status, uploadName });
    this.changed({ onlyBytes: status === before });
  }

  fail(upload, code, error) {
    upload.code = code;
    upload.error = error ?? gettext("The upload failed. Please try again.");
    upload.progress = 0;
    this.move(upload, "error");
    const { name: file, ref, uploadName } = upload;
    this.#emit("error", { file, error: upload.error, code, ref, uploadName });
  }

  /** Take an upload away, whatever it is doing. */
  drop(upload) {
    this.remove(upload);
    upload.stop();
    // A failed one had its ending already; this only takes it away.
    if (!upload.error) this.move(upload, "cancelled");
  }
}

function members(sets, key) {
  if (!sets.has(key)) sets.set(key, new Set());
  return sets.get(key);
}
