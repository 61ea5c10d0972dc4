// One line for all files of a slot: how many are there, how much of them, and how long it takes.

import { fill, gettext, ngettext } from "../texts/catalogue.js";
import { number, readableSize, readableTime, sizeOf } from "../texts/format.js";
import { bar, updateBar } from "./card.js";
import { element, setText, setTextButton, textButton } from "./elements.js";
import { inputBeside } from "./focus.js";
import { Pace } from "./pace.js";
import { isPaused } from "./states.js";

// More files than this have one bar together: theirs would be thinner than a pixel.
const MOST_BARS = 60;

// Seconds. What takes less is over before it is read.
const WORTH_SAYING = 2;

export class Total {
  #uploads;
  #pace = new Pace();
  #bars = new Map();
  #all = null;
  #text = element("span", "upload-total-text");
  #pause = textButton("upload-pause-all", "pause", "");
  #cancel = textButton("upload-cancel-all", "cancel", "");
  #strip = element("div", "upload-bars");
  #shown = [];

  /** `withBars` where the files' cards are in another container than their progress. */
  constructor(uploads, { withBars }) {
    this.#uploads = uploads;
    const actions = element("div", "upload-total-actions", this.#pause, this.#cancel);
    this.element = element("div", "upload-total", this.#text, actions);
    if (withBars) this.element.append(this.#strip);
    this.#pause.addEventListener("click", () => this.#pauseOrGoOn());
    this.#cancel.addEventListener("click", () => this.#cancelAll());
  }

  update(uploads) {
    const counted = uploads.filter((upload) => upload.live);
    this.#shown = uploads;
    const sums = summed(counted);
    const left = this.#pace.left(sums);
    setText(this.#text, said(sums, left));
    this.#hide(!counted.length || !(this.#text.textContent || this.#strip.parentNode));
    if (counted.length) this.#updateButtons(counted);
    this.#updateBars(counted, sums);
  }

  #hide(hidden) {
    if (hidden && this.element.querySelector(":focus")) inputBeside(this.element)?.focus();
    this.element.hidden = hidden;
  }

  #updateButtons(counted) {
    const several = counted.length > 1;
    const running = counted.some(isRunning);
    const paused = counted.some(isPaused);
    hide(this.#pause, !several || !(running || paused), this.#cancel);
    hide(this.#cancel, !several, this.#pause);
    const label = running ? gettext("Pause all") : gettext("Go on with all");
    setTextButton(this.#pause, running ? "pause" : "resume", label);
    const over = counted.every(({ ended }) => ended);
    setTextButton(this.#cancel, "cancel", over ? gettext("Remove all") : gettext("Cancel all"));
  }

  #pauseOrGoOn() {
    const running = this.#shown.filter(isRunning);
    for (const { ref } of running) this.#uploads.pause(ref);
    if (running.length) return;
    for (const { ref } of this.#shown.filter(isPaused)) this.#uploads.resume(ref);
  }

  #cancelAll() {
    for (const { ref } of this.#shown) this.#uploads.cancel(ref);
  }

  #updateBars(counted, sums) {
    if (!this.#strip.parentNode) return;
    const one = counted.length > MOST_BARS;
    const wanted = one ? [this.#together(sums)] : counted;
    for (const [upload, segment] of this.#bars) {
      if (wanted.includes(upload)) continue;
      segment.remove();
      this.#bars.delete(upload);
    }
    for (const upload of wanted) {
      if (!this.#bars.has(upload)) this.#bars.set(upload, this.#segment(upload));
      const segment = this.#bars.get(upload);
      segment.dataset.state = upload.status;
      segment.style.flexGrow = Math.max(1, upload.size);
      updateBar(segment.firstChild, upload);
    }
  }

  #segment(upload) {
    const segment = element("div", "upload-progress-track", bar(upload));
    this.#strip.append(segment);
    return segment;
  }

  /** All files as if they were one. */
  #together({ sent, size, done, count }) {
    this.#all ??= { name: gettext("All files") };
    const status = done === count ? "complete" : "uploading";
    return Object.assign(this.#all, { size, status, progress: Math.floor(100 * sent / size || 0) });
  }
}

function isRunning(upload) {
  return ["queued", "uploading"].includes(upload.status) && !isPaused(upload);
}

/** A button that goes takes the focus with it. */
function hide(node, hidden, other) {
  if (hidden && node.matches(":focus") && !other.hidden) other.focus();
  node.hidden = hidden;
}

function summed(uploads) {
  const sums = { count: uploads.length, done: 0, size: 0, sent: 0, moving: false };
  for (const upload of uploads) {
    const { status, size, progress } = upload;
    sums.done += status === "complete";
    sums.size += size;
    sums.sent += status === "complete" ? size : size * progress / 100;
    sums.moving ||= upload.active && !isPaused(upload);
  }
  return sums;
}

/** "3 of 5 · 4 of 9 MB · 12 s left". */
function said({ count, done, size, sent }, left) {
  const parts = [];
  if (count > 1) parts.push(filesSaid(count, done));
  if (done < count) parts.push(sizeOf(sent, size));
  else if (count > 1) parts.push(readableSize(size));
  if (left !== null && left >= WORTH_SAYING) {
    parts.push(fill(gettext("{time} left"), { time: readableTime(left) }));
  }
  return count > 1 || left !== null ? parts.join(" · ") : "";
}

function filesSaid(count, done) {
  if (done < count) {
    return fill(gettext("{done} of {count}"), { done: number(done), count: number(count) });
  }
  return fill(ngettext("{count} file", "{count} files", count), { count: number(count) });
}

