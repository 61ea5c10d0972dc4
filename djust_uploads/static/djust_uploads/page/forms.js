// Forms with uploads: a submit waits for the files, and the page says what it waits for.

import { fill, gettext, ngettext } from "../texts/catalogue.js";
import { number } from "../texts/format.js";
import { missingFrom } from "./hints.js";
import { isPaused } from "./states.js";

// Milliseconds for which "Saved" stands.
const SHOWN = 6000;

// What a form may have beside uploads without anything to save in it.
const VALUELESS = "input:is([dj-upload], [type=hidden], [type=submit], [type=button], [type=reset], "
  + "[type=image]), button, fieldset, output, object";

export class Forms {
  #uploads;
  #notes;
  #changed;
  #released = new WeakSet();
  #waiting = new Set();
  #roots = [];

  /** `changed()` is called when the page has something else to say. */
  constructor(uploads, changed) {
    this.#uploads = uploads;
    this.#notes = new Notes(uploads, changed);
    this.#changed = changed;
  }

  /** What the forms have to say of a slot. */
  of(name) {
    return this.#notes.of(name);
  }

  /** Bring the looks of the forms up to date. */
  update(roots) {
    this.#roots = roots;
    this.#notes.update();
    for (const form of formsOf(roots)) {
      const names = slotsOf(form);
      const empty = !this.#all(names).some(({ live }) => live);
      if (empty && isForUploadsOnly(form)) form.dataset.uploadState = "empty";
      else delete form.dataset.uploadState;
    }
  }

  /** A form whose files are not there yet is submitted when they are. */
  submitted(event) {
    const form = event.target;
    const names = slotsOf(form);
    if (!names.length) return;
    const released = this.#released.delete(form);
    const uploads = this.#all(names);
    // The user may have taken some away while the form waited.
    if (this.#tooFew(names)) stop(event);
    else if (released) return;
    else if (uploads.some(({ ended }) => !ended)) this.#hold(event, names, uploads);
    else if (!uploads.some(({ live }) => live)) this.#notes.nothing(form, names);
    this.#changed();
  }

  /** Whether a slot needs more files. The page says which, and how many. */
  #tooFew(names) {
    const few = names.map((name) => [name, this.#missing(name)]).filter(([, missing]) => missing);
    for (const [name, missing] of few) this.#notes.set(name, missing, "problem");
    return few.length > 0;
  }

  #missing(name) {
    const live = this.#uploads.of(name).filter((upload) => upload.live);
    return missingFrom(this.#uploads.slots[name], live.length);
  }

  async #hold(event, names, uploads) {
    const { target: form, submitter } = event;
    stop(event);
    if (this.#waiting.has(form)) return;
    this.#waiting.add(form);
    form.setAttribute("aria-busy", "true");
    for (const { ref } of uploads.filter(isPaused)) this.#uploads.resume(ref);
    this.#notes.wait(names);
    const arrived = await this.#uploads.settle(names);
    this.#waiting.delete(form);
    form.removeAttribute("aria-busy");
    // Where a file failed, its card says why, and the user decides what to do without it.
    if (arrived) this.#notes.arrived(names);
    else this.#notes.failed(names);
    const present = arrived && this.#present(form, names);
    if (present) this.#submit(present, submitter);
  }

  /** The form, or the one that a patch of the page has put in its place. */
  #present(form, names) {
    if (form.isConnected) return form;
    const isSame = (other) => isAlike(form, other) && String(slotsOf(other)) === String(names);
    const others = formsOf(this.#roots).filter(isSame);
    return others.length === 1 && !this.#waiting.has(others[0]) ? others[0] : null;
  }

  #submit(form, submitter) {
    this.#released.add(form);
    // A patch of the page may have taken the button away.
    form.requestSubmit(submitter?.form === form ? submitter : null);
    // Where the form is not valid, there was no submit event.
    this.#released.delete(form);
  }

  #all(names) {
    return names.flatMap((name) => this.#uploads.of(name));
  }
}

/** What the forms say of each slot: {text, kind}. `kind` is "waiting", "saved" or "problem". */
class Notes {
  #uploads;
  #changed;
  #notes = new Map();
  #waiting = new Set();
  #complete = new Map();

  constructor(uploads, changed) {
    this.#uploads = uploads;
    this.#changed = changed;
  }

  of(name) {
    return this.#notes.get(name) ?? {};
  }

  set(name, text, kind) {
    this.#notes.set(name, { text, kind, chosen: this.#count(name) });
  }

  wait(names) {
    for (const name of names) this.#waiting.add(name);
  }

  arrived(names) {
    for (const name of names) this.#clear(name);
  }

  failed(names) {
    const [name] = names.filter((name) => this.#uploads.of(name).some(({ error }) => error));
    this.arrived(names);
    const failed = this.#uploads.of(name ?? names[0]).filter(({ error }) => error).length;
    const sentence = ngettext(
      "Not saved, because {count} file failed. Remove it or try it again, and save again.",
      "Not saved, because {count} files failed. Remove them or try them again, and save again.",
      failed,
    );
    if (failed) this.set(name, fill(sentence, { count: number(failed) }), "problem");
  }

  nothing(form, names) {
    if (!isForUploadsOnly(form)) return;
    this.set(names[0], gettext("There is nothing to save yet. Choose a file first."), "problem");
  }

  update() {
    const left = (name) => this.#uploads.of(name).filter(({ ended }) => !ended).length;
    for (const name of this.#waiting) {
      const count = left(name);
      const sentence = ngettext(
        "Saves when {count} file is there.", "Saves when {count} files are there.", count,
      );
      if (count) this.set(name, fill(sentence, { count: number(count) }), "waiting");
      else this.#notes.delete(name);
    }
    for (const name of Object.keys(this.#uploads.slots)) this.#look(name);
  }

  /** See whether the application took files since the last look, or the user chose some. */
  #look(name) {
    const before = this.#complete.get(name) ?? [];
    const consumed = before.filter(({ status }) => status === "consumed").length;
    this.#complete.set(name, this.#uploads.of(name).filter((upload) => upload.live));
    if (consumed) this.#saved(name, consumed);
    const note = this.#notes.get(name);
    if (note && note.kind !== "waiting" && this.#count(name) > note.chosen) this.#clear(name);
  }

  #saved(name, count) {
    // What failed before was seen.
    for (const { ref, error } of this.#uploads.of(name)) if (error) this.#uploads.cancel(ref);
    const sentence = ngettext("Saved.", "Saved {count} files.", count);
    this.set(name, fill(sentence, { count: number(count) }), "saved");
    const note = this.#notes.get(name);
    setTimeout(() => {
      if (this.#notes.get(name) === note) this.#clear(name);
    }, SHOWN);
  }

  #count(name) {
    return this.#uploads.of(name).length;
  }

  #clear(name) {
    this.#waiting.delete(name);
    this.#notes.delete(name);
    this.#changed();
  }
}

/** The slots of a form's inputs, those that belong to it by their form attribute included. */
export function slotsOf(form) {
  const bound = Array.from(form.elements).filter((element) => element.matches("input[dj-upload]"));
  const zones = Array.from(form.querySelectorAll("[dj-upload-drop]"));
  return [...new Set([
    ...bound.map((input) => input.getAttribute("dj-upload")),
    ...zones.map((zone) => zone.getAttribute("dj-upload-drop")),
  ])];
}

/** Whether two forms do the same when they are submitted. */
function isAlike(form, other) {
  const same = (name) => form.getAttribute(name) === other.getAttribute(name);
  return ["id", "action", "dj-submit"].every(same);
}

function formsOf(roots) {
  return roots.flatMap((root) => {
    const inputs = Array.from(root.querySelectorAll("input[dj-upload]"));
    return [...new Set(inputs.map(({ form }) => form).filter(Boolean))];
  });
}

function isForUploadsOnly(form) {
  return Array.from(form.elements).every((element) => element.matches(VALUELESS));
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
