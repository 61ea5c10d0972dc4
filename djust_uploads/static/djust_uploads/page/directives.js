// The dj-upload… attributes of a page. Listens on the window, so nothing has to be bound again when
// the page is patched, and before any listener of an element, so a submit can be held back.

import { noteHandles } from "../uploads/handles.js";
import { Rows } from "./rows.js";

export class Directives {
  #uploads;
  #rows;
  #scheduled = false;
  #released = new WeakSet();

  constructor(uploads) {
    this.#uploads = uploads;
    this.#rows = new Rows(uploads);
  }

  start() {
    const on = (type, handler) => window.addEventListener(type, handler.bind(this), true);
    on("change", this.#chosen);
    on("dragenter", this.#dragged);
    on("dragover", this.#dragged);
    on("dragleave", this.#dragLeft);
    on("drop", this.#dropped);
    on("submit", this.#submitted);
    this.#uploads.addEventListener("change", () => this.schedule());
    const observer = new MutationObserver(() => this.schedule());
    observer.observe(document.documentElement, { childList: true, subtree: true });
    this.schedule();
  }

  /** Render soon, once for any number of calls. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A hidden tab draws no frames, but it should be right when it is looked at.
    const soon = document.hidden ? setTimeout : requestAnimationFrame;
    soon(() => {
      this.#scheduled = false;
      this.#render();
    });
  }

  #render() {
    for (const input of inputs()) {
      const slot = this.#uploads.slots[input.getAttribute("dj-upload")];
      if (slot) setUp(input, slot);
      hold(input, this.#uploads.of(input.getAttribute("dj-upload")));
    }
    this.#rows.render();
  }

  #chosen(event) {
    const input = event.target.closest?.("input[dj-upload]");
    if (!input) return;
    this.#uploads.add(input.getAttribute("dj-upload"), input.files);
  }

  #dragged(event) {
    const zone = dropZone(event);
    if (!zone) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    zone.classList.add("upload-dragover");
  }

  #dragLeft(event) {
    const zone = dropZone(event);
    // Moving over a child leaves the parent too; relatedTarget tells where to.
    if (!zone || zone.contains(event.relatedTarget)) return;
    zone.classList.remove("upload-dragover");
  }

  async #dropped(event) {
    const zone = dropZone(event);
    if (!zone) return;
    event.preventDefault();
    // All of them: a zone may lie in another one.
    for (const lit of document.querySelectorAll(".upload-dragover")) {
      lit.classList.remove("upload-dragover");
    }
    const name = zone.getAttribute("dj-upload-drop");
    this.#uploads.add(name, await droppedFiles(event.dataTransfer));
  }

  /** A form whose files are not there yet is submitted when they are. */
  async #submitted(event) {
    const form = event.target;
    if (this.#released.delete(form)) return;
    const names = slotsOf(form);
    const waiting = names.flatMap((name) => this.#uploads.of(name)).some((upload) => !upload.ended);
    if (!waiting) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (form.hasAttribute("aria-busy")) return;
    form.setAttribute("aria-busy", "true");
    const arrived = await this.#uploads.settle(names);
    form.removeAttribute("aria-busy");
    // Where a file failed, its row says why, and the user decides what to do without it.
    if (arrived && form.isConnected) this.#submit(form, event.submitter);
  }

  #submit(form, submitter) {
    this.#released.add(form);
    // A patch of the page may have taken the button away.
    form.requestSubmit(submitter?.form === form ? submitter : null);
    // Where the form is not valid, there was no submit event.
    this.#released.delete(form);
  }
}

/** The slots of a form's inputs, those that belong to it by their form attribute included. */
function slotsOf(form) {
  const bound = Array.from(form.elements).filter((element) => element.matches("input[dj-upload]"));
  const zones = Array.from(form.querySelectorAll("[dj-upload-drop]"));
  return [...new Set([
    ...bound.map((input) => input.getAttribute("dj-upload")),
    ...zones.map((zone) => zone.getAttribute("dj-upload-drop")),
  ])];
}

/**
 * Have the input hold what its slot holds: what was dropped counts for `required`, what was taken
 * away can be chosen again, and the number of files beside the button is right.
 */
function hold(input, uploads) {
  const files = uploads.filter((upload) => upload.live).map((upload) => upload.file);
  const held = Array.from(input.files);
  if (files.length === held.length && files.every((file, at) => file === held[at])) return;
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  input.files = transfer.files;
}

function inputs(root = document) {
  return Array.from(root.querySelectorAll("input[dj-upload]"));
}

/** What the slot says, unless the page's author said otherwise. */
function setUp(input, slot) {
  if (slot.accept && !input.hasAttribute("accept")) input.accept = slot.accept;
  if (slot.max_entries > 1 && !input.multiple) input.multiple = true;
  if (!document.querySelector(`[dj-upload-progress="${CSS.escape(slot.name)}"]`)) {
    // Errors must be seen, also on a page that has no place for them. djust finds what it patches
    // by position, so nothing may be put between its own elements.
    const progress = document.createElement("div");
    progress.setAttribute("dj-upload-progress", slot.name);
    (input.closest("[dj-root]") ?? input).after(progress);
  }
}

function dropZone(event) {
  if (!event.dataTransfer?.types.includes("Files")) return null;
  return event.target.closest?.("[dj-upload-drop]") ?? null;
}

/** Files, and those in folders, with `relativePath` set. */
async function droppedFiles(dataTransfer) {
  const files = Array.from(dataTransfer.files);
  noteHandles(dataTransfer.items, files);
  const items = Array.from(dataTransfer.items ?? [], (item) => item.webkitGetAsEntry?.());
  // A synthetic event, and a browser without entries, have files only.
  if (!items.length || items.some((entry) => !entry)) return files;
  if (items.every((entry) => entry.isFile)) return files;
  return (await Promise.all(items.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    file.relativePath = entry.fullPath.replace(/^\//, "");
    return [file];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives its entries in batches, and an empty one at the end.
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) break;
    found.push(...batch);
  }
  return (await Promise.all(found.map(filesIn))).flat();
}
