// The files of a page: chosen, waiting, on their way, there. No DOM but the events on `window`.

import { refusal } from "./accept.js";
import { cancelFrame, newRef } from "./frames.js";
import { Line } from "./line.js";
import { Transfer } from "./transfer.js";

// Files on their way at once; more would only share the same link.
const CONCURRENCY = 3;

// A dropped folder may hold thousands of files that a slot can't take; so many are told of.
const MOST_REFUSALS = 20;

const UNKNOWN_SLOT = {
  code: "unknown_slot",
  message: "This page does not take files here. Please reload it.",
};

const ENDED = new Set(["complete", "error", "cancelled", "consumed"]);

/**
 * One file. `status` is what the server says ("uploading", "finalizing", "complete", "error",
 * "cancelled"), or, before it said anything, "waiting" (for the slots), "chosen" (waits for the form's
 * submit) or "queued".
 */
export class Upload {
  ref = newRef();
  status = "waiting";
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
    if (!this.#fresh) [...this.#uploads].forEach((upload) => this.#drop(upload));
    this.#fresh = false;
    this.#admitWaiting();
  }

  /** Ask for the slots, where the message that declared them was missed. */
  askForSlots() {
    this.#line.sendMessage({ type: "upload_configs" });
  }

  of(uploadName) {
    return this.#uploads.filter((upload) => upload.uploadName === uploadName);
  }

  /** The view changed its slots; what is on its way goes on. */
  #slotsChanged(slots) {
    this.slots = slots;
    this.#fresh = false;
    this.#admitWaiting();
  }

  /** Add files to a slot; those that it can't take are refused visibly. */
  add(uploadName, files) {
    const slot = this.slots[uploadName];
    const chosen = Array.from(files);
    // What failed before was seen; it would only hide what happens now.
    this.#remove((upload) => upload.uploadName === uploadName && upload.error);
    if (slot?.max_entries === 1 && chosen.length && !refusal(chosen[0], slot)) {
      // In a slot for one file, a new choice takes the place of the old one.
      for (const upload of this.of(uploadName)) this.cancel(upload.ref);
    }
    const { taken, refused, left } = this.#sort(uploadName, slot, chosen);
    const added = taken.map((file) => new Upload(uploadName, file));
    this.#uploads.push(...added);
    for (const { file, code, message } of refused.slice(0, MOST_REFUSALS)) {
      this.#refuse(uploadName, file, code, message);
    }
    if (left.length) this.#refuse(uploadName, left[0], "too_many_files", tooMany(slot, left.length));
    this.#admitWaiting();
    return added;
  }

  /** Which files the slot has places for, which it can't take, and which are too many. */
  #sort(uploadName, slot, files) {
    const judged = files.map((file) => ({ file, ...(slot && refusal(file, slot)) }));
    const good = judged.filter(({ code }) => !code).map(({ file }) => file);
    const free = (slot?.max_entries ?? Infinity) - this.of(uploadName).length;
    return {
      taken: good.slice(0, free),
      refused: judged.filter(({ code }) => code),
      left: good.slice(free),
    };
  }

  #refuse(uploadName, file, code, message) {
    const upload = new Upload(uploadName, file);
    this.#uploads.push(upload);
    this.#fail(upload, code, message);
  }

  /** Look at what was added, as soon as the slots are known. */
  #admitWaiting() {
    const known = this.#socket && !this.#fresh;
    for (const upload of this.#uploads) {
      const slot = this.slots[upload.uploadName];
      if (upload.status !== "waiting" || !known) continue;
      // Looked at again: it may have been chosen before the slots were known.
      const refused = slot ? refusal(upload.file, slot) : UNKNOWN_SLOT;
      if (refused) this.#fail(upload, refused.code, refused.message);
      else upload.status = slot.auto_upload === false ? "chosen" : "queued";
    }
    this.#startQueued();
    this.#changed();
  }

  /** Take an upload away, whatever it is doing. */
  cancel(ref) {
    const upload = this.#find(ref);
    if (!upload) return;
    if (upload.active || upload.status === "complete") this.#line?.send(cancelFrame(ref));
    this.#drop(upload);
    this.#startQueued();
    this.#changed();
  }

  #drop(upload) {
    this.#remove((other) => other === upload);
    upload.transfer?.stop();
    // A failed one had its ending already; this only takes the row away.
    if (!upload.error) this.#move(upload, "cancelled");
  }

  /** Send what waits for the form's submit. */
  start(uploadName) {
    const chosen = this.of(uploadName).filter((upload) => upload.status === "chosen");
    if (!chosen.length) return;
    for (const upload of chosen) upload.status = "queued";
    this.#startQueued();
    this.#changed();
  }

  /**
   * Resolves when every upload of these slots ended, those that are added meanwhile included: to
   * whether none of them failed on the way.
   */
  async settle(uploadNames) {
    const all = () => uploadNames.flatMap((name) => this.of(name));
    const failed = new Set(all().filter((upload) => upload.error));
    for (;;) {
      uploadNames.forEach((name) => this.start(name));
      if (all().every((upload) => upload.ended)) break;
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return all().every((upload) => !upload.error || failed.has(upload));
  }

  #find(ref) {
    return this.#uploads.find((upload) => upload.ref === ref);
  }

  #startQueued() {
    if (!this.#line?.open) return;
    let active = this.#uploads.filter((upload) => upload.active).length;
    for (const upload of this.#uploads) {
      if (active >= CONCURRENCY) return;
      if (upload.status !== "queued") continue;
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
    if (message.type === "upload_configs") this.#slotsChanged(message.upload_configs);
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
      upload.status = "waiting";
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

function tooMany({ max_entries: places }, count) {
  const files = places === 1 ? "file" : "files";
  const others = count > 1 ? ` ${count} were left out.` : "";
  return `Only ${places} ${files} can be added here. Remove one to add another.${others}`;
}
