// The files of a page: chosen, waiting, on their way, there. No DOM.

import { gettext } from "../texts/catalogue.js";
import { refusal, sort } from "./accept.js";
import { Conversation } from "./conversation.js";
import { Leftovers } from "./leftovers.js";
import { isToShrink, shrunk } from "./pictures.js";
import { Records } from "./records.js";
import { Roster } from "./roster.js";
import { Upload } from "./upload.js";
import { Lessons } from "../wire/pace.js";

// Files on their way at once; more would only share the same link.
const CONCURRENCY = 3;

const ENDINGS = new Set(["complete", "error", "cancelled"]);

/**
 * Fires "change" whenever an upload was added, removed or moved on; "progress" with its new status;
 * and "error" when it failed.
 */
export class Uploads extends EventTarget {
  slots = {};
  #roster = new Roster((type, detail) => this.#emit(type, detail));
  #records = new Records();
  #leftovers = new Leftovers(this.#records);
  #lessons = new Lessons();
  #socket = null;
  #conversation = null;

  /** Whether the slots of this connection are known, and with them what may be said on it. */
  #ready = false;

  // The connection

  /** Talk over this socket from now on. Returns whether it is another one than before. */
  connect(socket) {
    if (socket === this.#socket) return false;
    this.#socket = socket;
    this.#conversation?.end();
    this.#conversation = new Conversation(socket, {
      roster: this.#roster,
      records: this.#records,
      leftovers: this.#leftovers,
      lessons: this.#lessons,
      slotsChanged: (slots) => this.#slotsChanged(slots),
      again: () => this.#admitWaiting(),
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
    this.#conversation.askForSlots();
  }

  /** Note what can go on when this tab comes back to this page. */
  leave() {
    this.#leftovers.leave(this.#roster.all());
  }

  /** What can be resumed waits where it is. The server forgot the rest, which is sent again. */
  #disconnected() {
    this.#ready = false;
    for (const upload of inOrder([...this.#active(), ...this.#roster.in("complete", "queued")])) {
      upload.stop();
      if (upload.status === "queued") upload.status = "waiting"; // behind those that are sent again
      else if (upload.resumable) this.#roster.move(upload, "waiting");
      else upload.startOver();
    }
    this.#roster.changed();
  }

  /** The view has these slots now; what is on its way goes on. */
  #slotsChanged(slots) {
    const first = !this.#ready;
    this.slots = slots;
    this.#ready = true;
    if (first) {
      this.#conversation.askForCancelled();
      this.#restore();
    }
    this.#admitWaiting();
  }

  async #restore() {
    for await (const upload of this.#leftovers.uploads(Object.keys(this.slots))) {
      // The user may have chosen it, or others, meanwhile.
      if (this.#roster.find(upload.ref) || this.#free(upload.uploadName) < 1) continue;
      this.#roster.add(upload);
      this.#admitWaiting();
    }
    this.#roster.changed(); // of the others, the user is asked for their files
  }

  #leaveView() {
    this.leave();
    for (const upload of this.#roster.all()) this.#roster.drop(upload);
    this.#ready = false;
  }

  // What the page asks

  of(uploadName) {
    return this.#roster.of(uploadName);
  }

  /** Whether something is on its way or waits for the connection, and all of it can be resumed. */
  get resumable() {
    const interrupted = this.#roster.in("waiting").filter((upload) => upload.interrupted);
    const begun = [...this.#active(), ...interrupted];
    return begun.length > 0 && begun.every((upload) => upload.resumable);
  }

  /** Uploads that this tab began, and goes on with when the user chooses their files again. */
  missing(uploadName) {
    return this.#leftovers.missing(uploadName).filter(({ ref }) => !this.#roster.find(ref));
  }

  /** The user does not want to go on with one of those. */
  dismiss(ref) {
    this.#records.cancel(ref);
    if (this.#ready) this.#conversation.askForCancelled();
    this.#roster.changed();
  }

  /** Whether something would be lost if the page was left now. */
  get endangered() {
    const waiting = this.#roster.in("preparing", "waiting", "queued", "paused");
    return [...waiting, ...this.#active()].some(({ resumable }) => !resumable);
  }

  /** Whether something is on its way that would have to start over on another connection. */
  get fragile() {
    return this.#active().some((upload) => !upload.resumable);
  }

  #active() {
    return this.#roster.in("uploading", "finalizing", "resuming");
  }

  // What the page does

  /** Add files to a slot; those that it can't take are refused visibly. */
  add(uploadName, files) {
    const slot = this.slots[uploadName];
    const chosen = Array.from(files);
    // What failed before was seen; it would only hide what happens now.
    for (const upload of this.of(uploadName)) if (upload.error) this.#roster.remove(upload);
    if (slot?.max_entries === 1 && chosen.length && !refusal(chosen[0], slot)) {
      // In a slot for one file, a new choice takes the place of the old one.
      for (const upload of this.of(uploadName)) this.cancel(upload.ref);
    }
    const { taken, refused } = sort(chosen, slot, this.of(uploadName));
    const added = taken.map((file) => new Upload(uploadName, file));
    this.#roster.add(...added);
    for (const { file, code, message, others = 0 } of refused) {
      const upload = new Upload(uploadName, file);
      upload.others = others;
      this.#roster.add(upload);
      this.#roster.fail(upload, code, message);
    }
    this.#admitWaiting();
    return added;
  }

  #free(uploadName) {
    return (this.slots[uploadName]?.max_entries ?? Infinity) - this.#roster.count(uploadName);
  }

  /** Take an upload away, whatever it is doing. */
  cancel(ref) {
    const upload = this.#roster.find(ref);
    if (!upload) return;
    // Until the server says that it heard of it.
    if (upload.resumable && upload.live) this.#records.keep(upload, "cancelled");
    this.#conversation?.cancel(upload);
    this.#roster.drop(upload);
    this.#startQueued();
    this.#roster.changed();
  }

  /** Let an upload rest. The server keeps what it has, as long as it waits for any client. */
  pause(ref) {
    const upload = this.#roster.find(ref);
    if (!upload || upload.ended) return;
    upload.paused = true;
    upload.transfer?.pause();
    if (upload.status === "queued") upload.status = "paused";
    this.#startQueued();
    this.#roster.changed();
  }

  /** Let an upload that rests go on. */
  resume(ref) {
    const upload = this.#roster.find(ref);
    if (!upload?.paused) return;
    upload.paused = false;
    upload.transfer?.goOn();
    if (upload.status === "paused") upload.status = this.#ready ? "queued" : "waiting";
    this.#admitWaiting();
  }

  /** Send a file that failed once more, from its beginning. */
  retry(ref) {
    const upload = this.#roster.find(ref);
    if (!upload?.error) return;
    upload.startOver();
    this.#admitWaiting();
  }

  /** Send what waits for the form's submit. */
  start(uploadName) {
    const chosen = this.of(uploadName).filter((upload) => upload.status === "chosen");
    if (!chosen.length) return;
    for (const upload of chosen) upload.status = "queued";
    this.#startQueued();
    this.#roster.changed();
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

  // Which file is looked at, and begun, when

  /** Look at what was added, as soon as the slots are known. */
  #admitWaiting() {
    const waiting = this.#ready ? this.#roster.in("waiting") : [];
    for (const upload of waiting) this.#admit(upload, this.slots[upload.uploadName]);
    this.#startQueued();
    this.#roster.changed();
  }

  #admit(upload, slot) {
    // Looked at again: it may have been chosen before the slots were known.
    const refused = slot ? refusalOf(upload, slot) : unknownSlot();
    if (refused) this.#refuse(upload, refused);
    // Not queued: what is before it may take long, and the server may have all of this one.
    else if (upload.resumable) this.#conversation.resume(upload);
    else if (!upload.prepared && isToShrink(upload.file, slot)) this.#prepare(upload, slot);
    else upload.status = slot.auto_upload === false ? "chosen" : "queued";
  }

  /** Make a picture as small as its slot wants it. */
  async #prepare(upload, slot) {
    upload.status = "preparing";
    upload.become(await shrunk(upload.file, slot.image_max_size));
    if (upload.status !== "preparing") return; // it was cancelled
    upload.status = "waiting";
    this.#admitWaiting();
  }

  #refuse(upload, { code, message }) {
    this.#records.forget(upload.ref);
    this.#roster.fail(upload, code, message);
  }

  #startQueued() {
    if (!this.#ready || !this.#conversation.open) return;
    let active = this.#active().filter(({ paused }) => !paused).length;
    for (; active < CONCURRENCY; active += 1) {
      const upload = this.#roster.first("queued");
      if (!upload) return;
      this.#begin(upload);
    }
  }

  #begin(upload) {
    const resumable = this.slots[upload.uploadName]?.resumable === true;
    const record = resumable && this.#records.match(upload, (ref) => this.#roster.find(ref));
    if (record) {
      upload.resumeAs(record.ref);
      this.#conversation.resume(upload);
    } else {
      this.#conversation.register(upload, resumable);
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    // A place is free for the next one.
    if (type === "progress" && ENDINGS.has(detail.status)) this.#startQueued();
  }
}

function refusalOf({ file, resumable, prepared }, slot) {
  return resumable ? null : refusal(file, slot, prepared || undefined);
}

function unknownSlot() {
  const message = gettext("This page does not take files here. Please reload it.");
  return { code: "unknown_slot", message };
}

function inOrder(uploads) {
  return uploads.sort((one, other) => one.number - other.number);
}
