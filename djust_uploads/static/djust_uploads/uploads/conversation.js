// What is said and heard about uploads over one connection.

import { unreadable } from "./accept.js";
import { Registrations } from "./registrations.js";
import { gettext } from "../texts/catalogue.js";
import { Transfer } from "./transfer.js";
import { Wire } from "../wire/wire.js";

// Milliseconds between the questions for an upload that is locked: by a handler that reads its file,
// or, for ten seconds at most, by a process that died.
const LOCKED_PAUSES = [1000, 2000, 4000, 8000];

// https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const MESSAGE_TOO_BIG = 1009;

// Milliseconds between two signs of life of paused uploads. The server ends an upload of which it
// hears nothing for five minutes.
const KEEP_INTERVAL = 60_000;

// After these errors, the server still has the upload. It goes on in another window, or when its user
// has logged in again and tries again.
const KEPT = new Set(["locked", "session_ended"]);

/**
 * `slotsChanged(slots)` is called when the server says which slots the view has now, and `again()`
 * when an upload waits to be looked at again.
 */
export class Conversation {
  #roster;
  #records;
  #leftovers;
  #wire;
  #again;
  #lessons;
  #registrations;
  #over = false;

  constructor(socket, { roster, records, leftovers, lessons, slotsChanged, again }) {
    this.#roster = roster;
    this.#records = records;
    this.#leftovers = leftovers;
    this.#lessons = lessons;
    this.#again = again;
    const timer = setInterval(() => this.#keep(), KEEP_INTERVAL);
    socket.addEventListener("close", ({ code }) => {
      clearInterval(timer);
      if (code === MESSAGE_TOO_BIG) lessons.tooLarge();
    });
    const heard = {
      upload_configs: (message) => slotsChanged(message.upload_configs),
      upload_registered: (message) => this.#registered(message),
      upload_resumed: (message) => this.#resumed(message),
      upload_progress: (message) => this.#progressed(message),
      upload_consumed: (message) => this.#consumed(message),
    };
    this.#wire = new Wire(socket, (messages) => {
      if (this.#over) return;
      roster.together(() => messages.forEach((message) => heard[message.type]?.(message)));
    });
    this.#registrations = new Registrations(this.#wire, (...args) => this.#send(...args));
  }

  get open() {
    return this.#wire.open;
  }

  /** Another connection has taken the place of this one: what comes late means nothing. */
  end() {
    this.#over = true;
  }

  askForSlots() {
    this.#wire.askForSlots();
  }

  askForCancelled() {
    this.#leftovers.askForCancelled(this.#wire);
  }

  /** Announce a file. */
  register(upload, slot) {
    // Until the answer says whether it really is. If that gets lost, the server may have it.
    upload.resumable = slot?.resumable === true;
    this.#registrations.add(upload, slot);
  }

  /** Ask where the server stands with an upload of another connection. */
  resume(upload) {
    upload.status = "resuming";
    this.#wire.resume(upload);
  }

  cancel(upload) {
    if (upload.attached) this.#wire.cancel(upload.ref);
  }

  /** Tell the server that what is paused is not forgotten. */
  #keep() {
    const refs = this.#roster.in("paused").filter((upload) => upload.announced).map(refOf);
    if (refs.length) this.#wire.keep(refs);
  }

  #registered(message) {
    const upload = this.#roster.find(message.ref);
    const sentAlong = this.#registrations.answered(message.ref);
    if (!upload?.announced || (upload.transfer && !sentAlong)) return;
    upload.resumable = message.resumable === true;
    if (upload.resumable) this.#records.keep(upload, "uploading");
    if (!sentAlong) this.#send(upload, message);
    this.#again();
  }

  #resumed(message) {
    const upload = this.#roster.find(message.ref);
    if (!upload) this.#leftovers.resumed(message, this.#wire);
    if (!upload?.active || upload.transfer) return;
    if (message.status === "resumed") this.#goOn(upload, message);
    else if (message.status === "not_found") this.#startOver(upload);
    else this.#askAgain(upload);
  }

  #goOn(upload, message) {
    const sent = message.bytes_received === upload.size;
    upload.moveTo(message);
    upload.lockedCount = 0;
    upload.announced = true;
    this.#roster.move(upload, sent ? "finalizing" : "uploading");
    // The rest of it is in a file that only the user can choose again.
    if (upload.standIn && !sent && !upload.ended) this.#giveUp(upload);
    // Here, or by who heard of the move.
    if (upload.ended) return;
    this.#records.keep(upload, sent ? "sent" : "uploading");
    this.#send(upload, message);
  }

  #giveUp(upload) {
    this.#records.keep(upload, "cancelled");
    this.cancel(upload);
    this.#roster.drop(upload);
  }

  #askAgain(upload) {
    const pause = LOCKED_PAUSES[upload.lockedCount];
    upload.lockedCount += 1;
    if (pause) {
      upload.resting = true;
      this.#roster.move(upload, "waiting");
      setTimeout(() => {
        upload.resting = false;
        this.#again();
      }, pause);
    } else {
      // It is another window's now, and so is its record.
      this.#roster.fail(upload, "locked", gettext("This upload goes on in another window."));
    }
  }

  #startOver(upload) {
    this.#records.forget(upload.ref);
    if (upload.standIn) {
      this.#roster.drop(upload);
      return;
    }
    upload.startOver();
    this.#again();
  }

  async #send(upload, message) {
    const transfer = new Transfer(this.#wire.line, upload.file, this.#lessons, message);
    upload.transfer = transfer;
    if (upload.paused) transfer.pause();
    try {
      await transfer.send();
    } catch (error) {
      if (upload.transfer !== transfer) return;
      this.#wire.cancel(upload.ref);
      this.#records.forget(upload.ref);
      const { code, message } = unreadable();
      this.#roster.fail(upload, code, message);
      console.error("djust_uploads:", error);
    }
  }

  #progressed(message) {
    const upload = this.#roster.find(message.ref);
    this.#registrations.answered(message.ref);
    if (!upload) this.#leftovers.progressed(message);
    if (!upload || upload.error) return;
    upload.transfer?.allow(message.limit);
    if (message.status === "error") {
      if (!KEPT.has(message.code)) this.#records.forget(upload.ref);
      this.#roster.fail(upload, message.code, message.error);
      return;
    }
    upload.moveTo(message);
    const sent = ["finalizing", "complete"].includes(message.status);
    if (sent && upload.resumable) this.#records.keep(upload, "sent");
    if (message.status === "cancelled") {
      this.#records.forget(upload.ref);
      this.#roster.remove(upload);
    }
    // What was on its way when the user paused it still arrives.
    const paused = upload.paused && message.status === "uploading";
    this.#roster.move(upload, paused ? "paused" : message.status);
  }

  #consumed({ refs }) {
    for (const ref of refs) {
      const upload = this.#roster.find(ref);
      if (upload) {
        upload.status = "consumed";
        upload.stop();
        this.#roster.remove(upload);
      }
      this.#records.forget(ref);
    }
    this.#roster.changed();
  }
}

function refOf({ ref }) {
  return ref;
}
