// The files of a page: chosen, waiting, on their way, there. No DOM.

import { gettext } from "../texts/catalogue.js";
import { refusal, sort, summedUp, together, tooLarge } from "./accept.js";
import { hasPlace } from "./concurrency.js";
import { Conversation } from "./conversation.js";
import { Leftovers } from "./leftovers.js";
import { isToShrink, shrunk } from "./pictures.js";
import { Records } from "./records.js";
import { Roster } from "./roster.js";
import { FEW, measured } from "./sizes.js";
import { totalOf } from "./total.js";
import { Upload } from "./upload.js";
import { Lessons } from "../wire/pace.js";

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
    const others = this.#roster.in("complete", "queued", "paused");
    for (const upload of inOrder([...this.#active(), ...others])) this.#interrupt(upload);
    this.#roster.changed();
  }

  #interrupt(upload) {
    const { status, announced } = upload;
    upload.stop();
    if (status === "queued") upload.status = "waiting"; // behind those that are sent again
    else if (status === "paused" && !announced) return;
    else if (!upload.resumable) upload.startOver();
    else if (status !== "paused") this.#roster.move(upload, "waiting");
    if (status === "paused") upload.status = "paused";
  }

  /** The view has these slots now; what is on its way goes on. */
  #slotsChanged(slots) {
    const first = !this.#ready;
    this.slots = slots;
    this.#lessons.checksums = Object.values(slots).some(({ checksums }) => checksums);
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
      this.#roster.add([upload]);
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
    const begun = [...this.#begun(), ...interrupted];
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
    return this.#begun().some((upload) => !upload.resumable);
  }

  #begun() {
    const paused = this.#roster.in("paused").filter((upload) => upload.announced);
    return [...this.#active(), ...paused];
  }

  /** What a slot has altogether. */
  total(uploadName) {
    return totalOf(this.of(uploadName), this.#roster.speed(uploadName).rate);
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
    const seen = this.of(uploadName).filter(({ error }) => error && chosen.length);
    for (const upload of seen) this.#roster.remove(upload);
    if (slot?.max_entries === 1 && chosen.length && !refusal(chosen[0], slot)) {
      // In a slot for one file, a new choice takes the place of the old one.
      for (const upload of this.of(uploadName)) this.cancel(upload.ref);
    }
    const bySize = chosen.length <= FEW;
    const { taken, refused } = sort(chosen, slot, this.of(uploadName), { bySize });
    const added = taken.map((file) => new Upload(uploadName, file));
    this.#roster.add(added);
    for (const { file, ...why } of refused) {
      const upload = new Upload(uploadName, file);
      if (bySize) upload.measure();
      this.#roster.add([upload]);
      this.#failed(upload, why);
    }
    if (bySize) {
      for (const upload of added) upload.measure();
      this.#admitWaiting();
    } else {
      this.#measure(uploadName, added);
    }
    return added;
  }

  #failed(upload, { code, message, others = 0 }) {
    upload.others = others;
    this.#roster.fail(upload, code, message);
  }

  /** Ask for the sizes of thousands of files, while the page goes on and the first ones are sent. */
  async #measure(uploadName, uploads) {
    this.#roster.changed();
    const refused = [];
    let bytes = together(this.of(uploadName));
    for await (const some of measured(uploads)) {
      const slot = this.slots[uploadName];
      const waiting = some.filter((upload) => this.#roster.has(upload));
      const large = slot ? tooLarge(waiting, slot, bytes) : [];
      for (const { upload } of large) upload.status = "preparing";
      refused.push(...large);
      bytes += together(waiting) - together(large.map(({ upload }) => upload));
      this.#admitWaiting();
    }
    const told = new Set(summedUp(refused));
    for (const one of refused) {
      if (told.has(one)) this.#failed(one.upload, one);
      else this.#roster.remove(one.upload);
    }
    this.#roster.changed();
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

  /** Send no more of an upload, until resume(). */
  pause(ref) {
    const upload = this.#roster.find(ref);
    if (!upload?.pausable) return;
    upload.transfer?.pause();
    this.#roster.move(upload, "paused");
    this.#startQueued();
  }

  /** Go on with a paused upload. */
  resume(ref) {
    const upload = this.#roster.find(ref);
    if (!upload?.paused) return;
    upload.transfer?.goOn();
    this.#roster.move(upload, upload.announced ? "uploading" : "waiting");
    this.#admitWaiting();
  }

  /** Send a failed file again, from its beginning. */
  retry(ref) {
    const upload = this.#roster.find(ref);
    if (!upload?.error) return;
    upload.startOver();
    this.#roster.move(upload, "waiting");
    this.#admitWaiting();
  }

  pauseAll(uploadName) {
    for (const { ref } of this.of(uploadName)) this.pause(ref);
  }

  resumeAll(uploadName) {
    for (const { ref } of this.of(uploadName)) this.resume(ref);
  }

  retryAll(uploadName) {
    for (const { ref } of this.of(uploadName)) this.retry(ref);
  }

  cancelAll(uploadName) {
    for (const { ref } of this.of(uploadName)) this.cancel(ref);
  }

  /** Send what waits for the form's submit. */
  start(uploadName) {
    const chosen = this.of(uploadName).filter((upload) => upload.status === "chosen");
    if (!chosen.length) return;
    for (const upload of chosen) {
      upload.started = true;
      upload.status = "queued";
    }
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
      const unfinished = all().find((upload) => !upload.ended);
      if (!unfinished) break;
      // Of thousands of files, only this one is looked at with every change.
      await this.#until(() => unfinished.ended || !this.#roster.has(unfinished));
    }
    return all().every((upload) => !upload.error || failed.has(upload));
  }

  async #until(condition) {
    while (!condition()) {
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
  }

  // Which file is looked at, and begun, when

  /** Look at what was added, as soon as the slots are known. */
  #admitWaiting() {
    const waiting = this.#ready ? this.#roster.in("waiting") : [];
    for (const upload of waiting) {
      if (upload.measured && !upload.resting) this.#admit(upload, this.slots[upload.uploadName]);
    }
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
    else upload.status = slot.auto_upload === false && !upload.started ? "chosen" : "queued";
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
    for (;;) {
      const upload = this.#roster.first("queued");
      const slot = this.slots[upload?.uploadName];
      if (!upload || !hasPlace(upload, slot, this.#active())) return;
      this.#begin(upload, slot);
    }
  }

  #begin(upload, slot) {
    const isTaken = (ref) => this.#roster.find(ref);
    const record = slot?.resumable === true && this.#records.match(upload, isTaken);
    if (record) {
      upload.resumeAs(record.ref);
      this.#conversation.resume(upload);
    } else {
      this.#conversation.register(upload, slot);
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
