// The dj-upload… attributes of a page. Listens on the window, so nothing has to be bound again when
// the page is patched, and before any listener of an element, so a submit can be held back.

import { readCatalogue } from "../texts/catalogue.js";
import { chosenFiles } from "./choosing.js";
import { Containers } from "./containers.js";
import { Drops, under } from "./drops.js";
import { Focus } from "./focus.js";
import { Forms } from "./forms.js";
import { leaveOut, updateInput } from "./inputs.js";
import { Roots } from "./roots.js";

// Milliseconds between two looks at how far uploads are. On a fast link they move on in each of the
// screen's frames, and drawing that would take a fifth of the processor from the sending.
const INTERVAL = 100;

export class Directives {
  #uploads;
  #containers;
  #forms;
  #roots = new Roots((root) => this.#listen(root), () => this.#patchedPage());
  #focus = new Focus();
  #scheduled = false;
  #patched = true;
  #renderedAt = -Infinity;
  #timer = null;

  constructor(uploads) {
    this.#uploads = uploads;
    this.#containers = new Containers(uploads);
    this.#forms = new Forms(uploads, () => this.schedule());
  }

  start() {
    readCatalogue();
    this.#listen(window);
    this.#roots.start();
    this.#focus.start();
    new Drops(this.#roots, (name, files) => this.#choose(name, files)).start();
    this.#uploads.addEventListener("change", ({ detail }) => {
      if (detail.onlyBytes) this.#scheduleLater();
      else this.schedule();
    });
    addEventListener("beforeunload", (event) => {
      if (this.#uploads.endangered) event.preventDefault();
    });
    this.schedule();
  }

  /** These events do not leave a shadow root. */
  #listen(target) {
    const on = (type, handler) => target.addEventListener(type, handler, true);
    on("change", (event) => this.#changed(event));
    on("submit", (event) => this.#forms.submitted(event));
    on("formdata", ({ target: form, formData }) => leaveOut(formData, form, this.#uploads));
    this.schedule();
  }

  #patchedPage() {
    this.#patched = true;
    this.schedule();
  }

  #scheduleLater() {
    if (this.#scheduled) return;
    const left = this.#renderedAt + INTERVAL - performance.now();
    if (left <= 0) this.schedule();
    else this.#timer ??= setTimeout(() => this.schedule(), left);
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
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#renderedAt = performance.now();
    const inputs = this.#roots.queryAll("input[dj-upload]");
    const roots = this.#roots.all();
    const { lost } = this.#focus;
    this.#forms.update(roots);
    if (this.#containers.render(roots, this.#forms, this.#patched)) this.schedule();
    this.#patched = false;
    for (const input of inputs) updateInput(input, this.#uploads);
    if (lost) this.#focus.restore(roots);
  }

  #changed(event) {
    const input = under(event, "input[dj-upload]");
    if (input) this.#choose(input.getAttribute("dj-upload"), input.files);
  }

  #choose(name, files) {
    this.#uploads.add(name, chosenFiles(files));
  }
}
