// Files that are dragged onto the page, or pasted.

import { noteHandles } from "../uploads/handles.js";

/** The first of the elements under an event that matches, in shadow roots too. */
export function under(event, selector) {
  return event.composedPath().find((node) => node.matches?.(selector)) ?? null;
}

export class Drops {
  #roots;
  #choose;

  /** `choose(name, files)` takes files for a slot. */
  constructor(roots, choose) {
    this.#roots = roots;
    this.#choose = choose;
  }

  start() {
    const on = (type, handler, capture) => {
      window.addEventListener(type, handler.bind(this), capture);
    };
    on("dragenter", this.#dragged, true);
    on("dragover", this.#dragged, true);
    on("dragleave", this.#dragLeft, true);
    on("drop", this.#dropped, true);
    // Behind all others, so that a zone of somebody else goes first.
    on("dragover", this.#strayed, false);
    on("drop", this.#strayed, false);
    on("paste", this.#pasted, false);
  }

  #dragged(event) {
    const zone = zoneOf(event);
    // Nobody is told that files have left an element of a shadow root, or one that was taken away.
    this.#darken((lit) => lit !== zone);
    if (!zone) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    zone.classList.add("upload-dragover");
  }

  #dragLeft(event) {
    // Moving over a child leaves the parent too; relatedTarget tells where to.
    this.#darken((lit) => !lit.contains(event.relatedTarget));
  }

  #darken(isLeft) {
    for (const lit of this.#roots.queryAll(".upload-dragover").filter(isLeft)) {
      lit.classList.remove("upload-dragover");
    }
  }

  async #dropped(event) {
    const zone = zoneOf(event);
    this.#darken(() => true);
    if (!zone) return;
    event.preventDefault();
    const name = zone.getAttribute("dj-upload-drop");
    this.#choose(name, await droppedFiles(event.dataTransfer));
  }

  /** A file that misses its zone would be opened, and the page with all that it has would be gone. */
  #strayed(event) {
    if (event.defaultPrevented || !hasFiles(event) || under(event, "input[type=file]")) return;
    if (!this.#roots.queryAll("[dj-upload], [dj-upload-drop]").length) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  }

  #pasted(event) {
    const files = Array.from(event.clipboardData?.files ?? []);
    const name = files.length && !event.defaultPrevented && this.#slotFor(event);
    if (!name) return;
    event.preventDefault();
    this.#choose(name, files);
  }

  /** The slot around what has the focus, or the only one of the page. */
  #slotFor(event) {
    // An editor takes pictures itself, and text comes with the picture of it.
    if (under(event, "[contenteditable], [dj-paste]")) return null;
    const isText = event.clipboardData.types.includes("text/plain");
    if (isText && under(event, "input, textarea")) return null;
    const zone = under(event, "[dj-upload-drop]")?.getAttribute("dj-upload-drop");
    const inputs = under(event, "form")?.querySelectorAll("input[dj-upload]") ?? [];
    const all = inputs.length ? Array.from(inputs) : this.#roots.queryAll("input[dj-upload]");
    const names = new Set(all.map((input) => input.getAttribute("dj-upload")));
    return zone ?? (names.size === 1 ? [...names][0] : null);
  }
}

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

function zoneOf(event) {
  return hasFiles(event) ? under(event, "[dj-upload-drop]") : null;
}

/** Files, and those in folders, with `relativePath` set. */
async function droppedFiles(dataTransfer) {
  const files = Array.from(dataTransfer.files);
  noteHandles(dataTransfer.items, files);
  // File managers give the folder's path as a text, too.
  const items = Array.from(dataTransfer.items ?? []).filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  // A synthetic event, and a browser without entries, have files only.
  if (!entries.length || entries.some((entry) => !entry)) return files;
  if (entries.every((entry) => entry.isFile)) return files;
  return (await Promise.all(entries.map(filesIn))).flat();
}

/** One that can't be read is among them, too: it is refused, and the others are not lost with it. */
async function filesIn(entry) {
  const relativePath = entry.fullPath.replace(/^\//, "");
  try {
    return await readIn(entry, relativePath);
  } catch {
    return [Object.assign(new File([], entry.name), { relativePath, isUnreadable: true })];
  }
}

async function readIn(entry, relativePath) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [Object.assign(file, { relativePath })];
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
