// Numbers, sizes, durations and lists as the language of the page writes them.

import { fill, gettext, language } from "./catalogue.js";

/** 43 as "43%". */
export function percent(progress) {
  return numberFormat({ style: "percent" }).format(progress / 100);
}

export function number(value, digits = 0) {
  return numberFormat({ maximumFractionDigits: digits }).format(value);
}

/** 1234567 as "1.2 MB". */
export function readableSize(bytes) {
  const unit = unitOf(bytes);
  return fill(sizes()[unit], { number: number(bytes / 1000 ** unit, 1) });
}

/** 4 and 9 million as "4 of 9 MB". */
export function sizeOf(bytes, all) {
  const sent = number(bytes / 1000 ** unitOf(all), 1);
  return fill(gettext("{sent} of {size}"), { sent, size: readableSize(all) });
}

function sizes() {
  return [
    gettext("{number} bytes"), gettext("{number} kB"), gettext("{number} MB"),
    gettext("{number} GB"), gettext("{number} TB"),
  ];
}

function unitOf(bytes) {
  return Math.max(0, Math.min(4, Math.floor(Math.log10(bytes || 1) / 3)));
}

/** Seconds as "12 s", "3 min" or "2 h 5 min". */
export function readableTime(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 60) return fill(gettext("{number} s"), { number: number(seconds) });
  if (minutes < 60) return fill(gettext("{number} min"), { number: number(minutes) });
  return fill(gettext("{hours} h {minutes} min"), {
    hours: number(Math.floor(minutes / 60)),
    minutes: number(minutes % 60),
  });
}

/** "JPEG, PNG or WebP". */
export function anyOf(items) {
  return listFormat("disjunction").format(items);
}

/** "a.png, b.png and c.png". */
export function allOf(items) {
  return listFormat("conjunction").format(items);
}

function numberFormat(options) {
  return made("NumberFormat", options);
}

function listFormat(type) {
  return made("ListFormat", { type });
}

const formats = new Map();

/** Making one takes longer than using it. */
function made(name, options) {
  const key = [name, language(), JSON.stringify(options)].join();
  if (!formats.has(key)) formats.set(key, create(name, options));
  return formats.get(key);
}

function create(name, options) {
  try {
    return new Intl[name](language(), options);
  } catch {
    return new Intl[name]("en", options); // the browser does not know the language
  }
}
