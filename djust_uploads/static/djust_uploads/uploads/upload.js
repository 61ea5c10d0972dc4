// One file of a page and where it stands. No DOM, no socket.

import { sizeOf } from "./sizes.js";
import { Speed, secondsFor } from "./speed.js";
import { newRef } from "../wire/frames.js";

const ENDED = new Set(["complete", "error", "cancelled", "consumed"]);
const ACTIVE = new Set(["uploading", "finalizing", "resuming"]);

// What the user can pause. Of what the server is asked about, nobody knows where it stands.
const PAUSABLE = new Set(["uploading", "queued", "waiting"]);

/**
 * `status` is what the server says ("uploading", "finalizing", "complete", "error", "cancelled"),
 * or "waiting" (for the connection), "chosen" (waits for the form's submit), "preparing" (it is made
 * smaller), "queued", "paused" (by the user), or "resuming" (the server was asked where it stands).
 */
export class Upload {
  static #count = 0;

  /** Counts up in the order of selection. */
  number = Upload.#count++;

  #ref = newRef();
  #status = "waiting";

  /** In percent, and in bytes, what the server has. */
  progress = 0;
  loaded = 0;

  error = null;
  code = null;
  transfer = null;

  /** Whether the server knows it, on this connection. */
  announced = false;

  /** Whether the server keeps it when the connection is lost, as far as is known. */
  resumable = false;

  /** Whether the form was submitted, where files wait for that. The wait is over for good. */
  started = false;

  /** Whether `file` is what is sent: a picture may have been made smaller. */
  prepared = false;

  /** Whether `size` is known. A page that was given thousands of files asks for them later. */
  measured = false;

  size = 0;

  /** How many more files were refused with it, for the same reason. */
  others = 0;

  /** How often the server said that somebody else has it, since it last went on. */
  lockedCount = 0;

  /** Whether it is too early to ask the server again, because somebody else has it. */
  resting = false;

  /** Whether `file` has only the name: the page was loaded again after its bytes were sent. */
  standIn = false;

  #speed = new Speed();

  /** The one that has it, and hears of every new ref and status. */
  roster = null;

  constructor(uploadName, file) {
    this.uploadName = uploadName;
    this.file = file;
    this.name = file.name;
  }

  measure() {
    this.size = sizeOf(this.file);
    this.measured = true;
  }

  /** What a page that is gone had begun; without its file if that is `null`. */
  static restored(record, file) {
    const { name, type, lastModified } = record;
    const standIn = new File([], name, { type, lastModified });
    const upload = new Upload(record.uploadName, file ?? standIn);
    upload.standIn = !file;
    upload.size = record.size;
    upload.measured = true;
    upload.resumeAs(record.ref);
    return upload;
  }

  get ref() {
    return this.#ref;
  }

  set ref(ref) {
    const before = this.#ref;
    this.#ref = ref;
    this.roster?.renamed(this, before);
  }

  get status() {
    return this.#status;
  }

  set status(status) {
    const before = this.#status;
    this.#status = status;
    this.roster?.moved(this, before);
  }

  get ended() {
    return ENDED.has(this.status);
  }

  get active() {
    return ACTIVE.has(this.status);
  }

  /** Takes a place in its slot: anything but a failure. */
  get live() {
    return !this.ended || this.status === "complete";
  }

  get pausable() {
    return PAUSABLE.has(this.status);
  }

  get paused() {
    return this.status === "paused";
  }

  /** Whether the server has it, and on this connection. */
  get attached() {
    return this.status === "complete" || this.announced;
  }

  /** Bytes a second, the mean of some seconds; 0 if it is not known. */
  get rate() {
    return this.status === "uploading" ? this.#speed.rate : 0;
  }

  /** How long it takes still, or null if that is not known. */
  get secondsLeft() {
    return secondsFor(this.size - this.loaded, this.rate);
  }

  /** Waits for the connection, with what the server has of it. */
  get interrupted() {
    return this.status === "waiting" && this.resumable;
  }

  /** Send this file in place of the one that was chosen. */
  become(file) {
    this.file = file;
    this.measure();
    this.prepared = true;
  }

  resumeAs(ref) {
    this.ref = ref;
    this.resumable = true;
  }

  /** The server has nothing of it any more. */
  startOver() {
    this.roster?.startsOver(this);
    this.ref = newRef();
    this.status = "waiting";
    this.resumable = false;
    this.progress = this.loaded = 0;
    this.error = this.code = null;
    this.lockedCount = 0;
    this.#speed.reset();
  }

  /**
   * Note what the server has. One that was killed may have less than it had told; the user sees no
   * step back.
   */
  moveTo({ progress, taken = this.size * progress / 100 }) {
    const before = this.loaded;
    this.progress = Math.max(this.progress, progress);
    this.loaded = Math.max(this.loaded, taken);
    this.#speed.add(this.loaded);
    this.roster?.arrived(this, this.loaded - before);
  }

  stop() {
    this.transfer?.stop();
    this.transfer = null;
    this.announced = false;
    this.#speed.reset();
  }
}
