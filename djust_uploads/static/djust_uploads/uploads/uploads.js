// The files of a page: chosen, waiting, on their way, there. No DOM but the events on `window`.

import { refusal, sort } from "./accept.js";
import { Leftovers } from "./leftovers.js";
import { Records } from "./records.js";
import { Transfer } from "./transfer.js";
import { Upload } from "./upload.js";
import { Wire } from "../wire/wire.js";

// Files on their way at once; more would only share the same link.
const CONCURRENCY = 3;

// Milliseconds between the questions for an upload that is locked: by a handler that reads its file,
// or, for ten seconds at most, by a process that died.
const LOCKED_PAUSES = [1000, 2000, 4000, 8000];

const UNKNOWN_SLOT = {
  code: "unknown_slot",
  message: "This page does not take files here. Please reload it.",
};

/** Fires "change" whenever an upload was added, removed or moved on. */
export class Uploads extends EventTarget {
  slots = {};
  #uploads = [];
  #records = new Records();
  #leftovers = new Leftovers(this.#records);
  #socket = null;
  #wire = null;

  /** Whether the slots of this connection are known, and with them what may be said on it. */
  #ready = false;

  #heard = {
    upload_configs: (message) => this.#slotsChanged(message.upload_configs),
    upload_registered: (message) => this.#registered(message),
    upload_resumed: (message) => this.#resumed(message),
    upload_progress: (message) => this.#progressed(message),
    upload_consumed: (message) => this.#consumed(message),
  };

  constructor() {
    super();
    window.addEventListener("pagehide", () => this.#leftovers.leave(this.#uploads));
  }

  /** Talk over this socket from now on. Returns whether it is another one than before. */
  connect(socket) {
    if (socket === this.#socket) return false;
    this.#socket = socket;
    this.#wire = new Wire(socket, (message) => {
      if (socket === this.#socket) this.#heard[message.type]?.(message);
    });
    this.#ready = false;
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#disconnected();
    });
    return true;
  }

  /** The server declared its slots: at the start, after a reconnect, for another view. */
  setSlots(slots) {
    // A second view on the same connection: the first one's files went with it.
    if (this.#ready) this.#leaveView();
    this.#slotsChanged(slots ?? {});
  }

  /** Ask for the slots, where the message that declared them was missed. */
  askForSlots() {
    this.#wire.askForSlots();
  }

  of(uploadName) {
    return this.#uploads.filter((upload) => upload.uploadName === uploadName);
  }

  /** Whether something is on its way or waits for the connection, and all of it can be resumed. */
  get resumable() {
    const begun = this.#uploads.filter((upload) => upload.active || upload.interrupted);
    return begun.length > 0 && begun.every((upload) => upload.resumable);
  }

  /** Whether something is on its way that would have to start over on another connection. */
  get fragile() {
    return this.#uploads.some((upload) => upload.active && !upload.resumable);
  }

  /** The view has these slots now; what is on its way goes on. */
  #slotsChanged(slots) {
    const first = !this.#ready;
    this.slots = slots;
    this.#ready = true;
    if (first) {
      this.#leftovers.askForCancelled(this.#wire);
      this.#restore();
    }
    this.#admitWaiting();
  }

  async #restore() {
    for await (const upload of this.#leftovers.uploads(Object.keys(this.slots))) {
      // The user may have chosen it, or others, meanwhile.
      if (this.#find(upload.ref) || this.#free(upload.uploadName) < 1) continue;
      this.#uploads.push(upload);
      this.#admitWaiting();
    }
  }

  #leaveView() {
    this.#leftovers.leave(this.#uploads);
    for (const upload of this.#uploads) this.#drop(upload);
    this.#ready = false;
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
    const { taken, refused } = sort(chosen, slot, this.#free(uploadName));
    const added = taken.map((file) => new Upload(uploadName, file));
    this.#uploads.push(...added);
    for (const { file, code, message } of refused) {
      const upload = new Upload(uploadName, file);
      this.#uploads.push(upload);
      this.#fail(upload, code, message);
    }
    this.#admitWaiting();
    return added;
  }

  #free(uploadName) {
    return (this.slots[uploadName]?.max_entries ?? Infinity) - this.of(uploadName).length;
  }

  /** Look at what was added, as soon as the slots are known. */
  #admitWaiting() {
    const waiting = this.#uploads.filter(({ status }) => this.#ready && status === "waiting");
    for (const upload of waiting) this.#admit(upload, this.slots[upload.uploadName]);
    this.#startQueued();
    this.#changed();
  }

  #admit(upload, slot) {
    // Looked at again: it may have been chosen before the slots were known.
    const refused = slot ? !upload.resumable && refusal(upload.file, slot) : UNKNOWN_SLOT;
    if (refused) this.#fail(upload, refused.code, refused.message);
    // Not queued: what is before it may take long, and the server may have all of this one.
    else if (upload.resumable) this.#resume(upload);
    else upload.status = slot.auto_upload === false ? "chosen" : "queued";
  }

  /** Take an upload away, whatever it is doing. */
  cancel(ref) {
    const upload = this.#find(ref);
    if (!upload) return;
    // Until the server says that it heard of it.
    if (upload.resumable && upload.live) this.#records.keep(upload, "cancelled");
    if (upload.attached) this.#wire.cancel(ref);
    this.#drop(upload);
    this.#startQueued();
    this.#changed();
  }

  #drop(upload) {
    this.#remove((other) => other === upload);
    upload.stop();
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
    if (!this.#ready || !this.#wire.open) return;
    let active = this.#uploads.filter((upload) => upload.active).length;
    for (const upload of this.#uploads) {
      if (active >= CONCURRENCY) return;
      if (upload.status !== "queued") continue;
      this.#begin(upload);
      active += 1;
    }
  }

  #begin(upload) {
    const resumable = this.slots[upload.uploadName]?.resumable === true;
    const record = resumable && this.#records.match(upload, this.#uploads.map(({ ref }) => ref));
    if (record) {
      upload.resumeAs(record.ref);
      this.#resume(upload);
      return;
    }
    upload.status = "uploading";
    // Until the answer says whether it really is. If that gets lost, the server may have it.
    upload.resumable = resumable;
    this.#wire.register(upload);
  }

  #resume(upload) {
    upload.status = "resuming";
    this.#wire.resume(upload);
  }

  #registered(message) {
    const upload = this.#find(message.ref);
    if (!upload?.active || upload.transfer) return;
    upload.resumable = message.resumable === true;
    if (upload.resumable) this.#records.keep(upload, "uploading");
    this.#send(upload, message);
  }

  #resumed(message) {
    const upload = this.#find(message.ref);
    if (!upload) this.#leftovers.resumed(message, this.#wire);
    if (!upload?.active || upload.transfer) return;
    if (message.status === "resumed") this.#goOn(upload, message);
    else if (message.status === "not_found") this.#startOver(upload);
    else this.#askAgain(upload);
  }

  #goOn(upload, message) {
    const sent = message.bytes_received === upload.size;
    upload.moveTo(message.progress);
    upload.lockedCount = 0;
    this.#move(upload, sent ? "finalizing" : "uploading");
    // The rest of it is in a file that only the user can choose again.
    if (upload.standIn && !sent) this.cancel(upload.ref);
    // Here, or by who heard of the move.
    if (upload.ended) return;
    this.#records.keep(upload, sent ? "sent" : "uploading");
    this.#send(upload, message);
  }

  #askAgain(upload) {
    const pause = LOCKED_PAUSES[upload.lockedCount];
    upload.lockedCount += 1;
    if (pause) {
      this.#move(upload, "waiting");
      setTimeout(() => this.#admitWaiting(), pause);
    } else {
      this.#fail(upload, "locked", "This upload goes on in another window.");
    }
  }

  #startOver(upload) {
    this.#records.forget(upload.ref);
    if (upload.standIn) {
      this.#drop(upload);
      return;
    }
    upload.startOver();
    this.#admitWaiting();
  }

  async #send(upload, message) {
    const transfer = new Transfer(this.#wire.line, upload.file, message);
    upload.transfer = transfer;
    try {
      await transfer.send();
    } catch (error) {
      if (upload.transfer !== transfer) return;
      // The file was deleted, changed or became unreadable after it was chosen.
      this.#wire.cancel(upload.ref);
      this.#fail(upload, "unreadable", "The file can't be read any more. Please choose it again.");
      console.error("djust_uploads:", error);
    }
  }

  #progressed(message) {
    const upload = this.#find(message.ref);
    if (!upload) this.#leftovers.progressed(message);
    if (!upload || upload.error) return;
    upload.transfer?.allow(message.limit);
    if (message.status === "error") {
      this.#fail(upload, message.code, message.error);
      return;
    }
    upload.moveTo(message.progress);
    const sent = ["finalizing", "complete"].includes(message.status);
    if (sent && upload.resumable) this.#records.keep(upload, "sent");
    if (message.status === "cancelled") {
      this.#records.forget(upload.ref);
      this.#remove((other) => other === upload);
    }
    this.#move(upload, message.status);
  }

  #consumed({ refs }) {
    const consumed = this.#uploads.filter(({ ref }) => refs.includes(ref));
    for (const upload of consumed) {
      upload.status = "consumed";
      upload.stop();
    }
    this.#remove((upload) => consumed.includes(upload));
    refs.forEach((ref) => this.#records.forget(ref));
    this.#changed();
  }

  #fail(upload, code, error) {
    upload.code = code;
    upload.error = error ?? "The upload failed. Please try again.";
    upload.progress = 0;
    // One that is locked is another window's now, and so is its record.
    if (code !== "locked") this.#records.forget(upload.ref);
    this.#move(upload, "error");
    this.#dispatch("djust:upload:error", {
      file: upload.name,
      error: upload.error,
      code,
      ref: upload.ref,
      uploadName: upload.uploadName,
    });
  }

  #move(upload, status) {
    upload.status = status;
    if (upload.ended) upload.stop();
    const { ref, progress, uploadName } = upload;
    this.#dispatch("djust:upload:progress", { ref, progress, status, uploadName });
    if (upload.ended) this.#startQueued();
    this.#changed();
  }

  /** What can be resumed waits where it is. The server forgot the rest, which is sent again. */
  #disconnected() {
    this.#ready = false;
    for (const upload of this.#uploads) {
      if (!upload.active && upload.status !== "complete") continue;
      upload.stop();
      if (upload.resumable) this.#move(upload, "waiting");
      else upload.startOver();
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
