// What outlives the page: which uploads the server may go on with, and which files they were of.

import { forgetHandle, keepHandle } from "./handles.js";

// A key for each record, so that two tabs never write the same one.
const PREFIX = "djust_uploads:";

// The refs that a page of this tab had when it was left.
const LEFT = "djust_uploads";

// As long as the server keeps an upload, unless RESUME_TTL says otherwise.
const LIFETIME = 24 * 60 * 60 * 1000;

const MOST = 1000;

/**
 * A record is {ref, path, uploadName, name, size, type, lastModified, relativePath, status, at}.
 * `status` is "uploading"; "sent", when the server has all of it; or "cancelled", until the server
 * has heard of that.
 */
export class Records {
  #records = storage("localStorage");
  #tab = storage("sessionStorage");

  constructor() {
    this.#sweep();
  }

  keep(upload, status) {
    const { ref, uploadName, size, file } = upload;
    write(this.#records, PREFIX + ref, {
      path: path(),
      ...fingerprint(file),
      ...this.get(ref),
      ref,
      uploadName,
      size,
      status,
      at: Date.now(),
    });
    if (status === "uploading") keepHandle(ref, file);
    else forgetHandle(ref);
    // Counting ours among all of them takes longer.
    if (!(this.#records.length <= MOST) && this.#keys().length > MOST) this.#sweep();
  }

  get(ref) {
    return parsed(this.#records[PREFIX + ref]);
  }

  /** Note that the user does not want it, until the server has heard of that. */
  cancel(ref) {
    const record = this.get(ref);
    if (record) write(this.#records, PREFIX + ref, { ...record, status: "cancelled", at: Date.now() });
  }

  forget(ref) {
    // Most uploads have no record, and what follows takes a while.
    if (!this.#records[PREFIX + ref]) return;
    delete this.#records[PREFIX + ref];
    forgetHandle(ref);
  }

  /**
   * The latest upload of this very file into this slot that was not all sent. `isTaken(ref)` says
   * whether the page has it already.
   */
  match({ uploadName, file }, isTaken) {
    const print = fingerprint(file);
    const matches = ({ ref, ...record }) => record.uploadName === uploadName
      && record.status === "uploading" && !isTaken(ref) && same(record, print);
    // Of a thousand records, only those with this name are parsed.
    const name = JSON.stringify(file.name);
    const keys = this.#keys().filter((key) => this.#records[key]?.includes(name));
    return this.#parsed(keys).filter(isHere).filter(matches).at(-1);
  }

  /** Those that were cancelled on this page, and perhaps without the server's knowing it. */
  cancelled() {
    return this.#here().filter(({ status }) => status === "cancelled");
  }

  /** Note what this tab has on its way while it leaves the page. */
  leave(refs) {
    this.#setLeft([...new Set([...this.#left(), ...refs])]);
  }

  /**
   * What this tab had in these slots of this page when it left it, in the order of then: told once.
   * Another tab's are not among them; it may still have them on their way.
   */
  takeLeft(uploadNames) {
    const left = this.#left().map((ref) => this.get(ref)).filter(Boolean);
    const taken = left.filter(({ path: here, uploadName }) => {
      return here === path() && uploadNames.includes(uploadName);
    });
    this.#setLeft(left.filter((record) => !taken.includes(record)).map(({ ref }) => ref));
    return taken.filter(({ status }) => status !== "cancelled");
  }

  #left() {
    return parsed(this.#tab[LEFT]) ?? [];
  }

  #setLeft(refs) {
    write(this.#tab, LEFT, refs);
  }

  #here() {
    return this.#all().filter(isHere);
  }

  /** The oldest first. */
  #all() {
    return this.#parsed(this.#keys());
  }

  #parsed(keys) {
    return keys.map((key) => this.#record(key)).sort((one, other) => one.at - other.at);
  }

  #keys() {
    return Object.keys(this.#records).filter((key) => key.startsWith(PREFIX));
  }

  /** What can't be read expired long ago. */
  #record(key) {
    return parsed(this.#records[key]) ?? { ref: key.slice(PREFIX.length), at: 0 };
  }

  #sweep() {
    const all = this.#all();
    const expired = all.filter(({ at }) => at < Date.now() - LIFETIME);
    const surplus = all.slice(0, Math.max(0, all.length - MOST));
    for (const { ref } of [...expired, ...surplus]) this.forget(ref);
  }
}

/** What tells a file from another one without reading it. */
function fingerprint(file) {
  const { name, size, type, lastModified } = file;
  const relativePath = file.webkitRelativePath || file.relativePath || "";
  return { name, size, type, lastModified, relativePath };
}

/** Whether a record is of this file. */
export function isOf(record, file) {
  return same(record, fingerprint(file));
}

function same(record, print) {
  return Object.entries(print).every(([name, value]) => record[name] === value);
}

function write(storage, key, value) {
  try {
    storage[key] = JSON.stringify(value);
  } catch {
    // It is full. What has no record can't go on after a reload, and that is all.
  }
}

function parsed(text) {
  try {
    return JSON.parse(text ?? null);
  } catch {
    return null;
  }
}

/** The browser's, or an object that is used the same way where it is forbidden. */
function storage(name) {
  try {
    return globalThis[name] ?? {};
  } catch {
    return {};
  }
}

function isHere(record) {
  return record.path === path();
}

/** The page that has the uploads; nobody else goes on with them. */
function path() {
  return globalThis.location?.pathname ?? "";
}
