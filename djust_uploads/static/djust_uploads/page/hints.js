// What a slot takes, in words, before anything is chosen.

import { fill, gettext, language, ngettext } from "../texts/catalogue.js";
import { anyOf, number, readableSize } from "../texts/format.js";

/** Names that people use, for extensions and types that they may not know. */
const NAMES = {
  jpg: "JPEG", jpeg: "JPEG", webp: "WebP", docx: "Word (DOCX)", doc: "Word (DOC)",
  xlsx: "Excel (XLSX)", xls: "Excel (XLS)", pptx: "PowerPoint (PPTX)", ppt: "PowerPoint (PPT)",
  plain: "TXT", quicktime: "MOV", mpeg: "MPEG", "svg+xml": "SVG",
};

/** "JPEG or PNG, up to 5 files, 10 MB each". */
export function hintOf(slot) {
  const parts = [typesOf(slot.accept ?? ""), countOf(slot), sizeOf(slot), totalOf(slot)];
  return capitalized(parts.filter(Boolean).join(gettext(", ")));
}

function capitalized(text) {
  return text.charAt(0).toLocaleUpperCase(language()) + text.slice(1);
}

/** "JPEG, PNG or WebP", or "" where anything is taken. */
export function typesOf(accept) {
  const tokens = accept.toLowerCase().split(",").map((token) => token.trim()).filter(Boolean);
  if (tokens.includes("*/*")) return "";
  return tokens.length ? anyOf([...new Set(tokens.map(typeOf))]) : "";
}

function typeOf(token) {
  if (token === "image/*") return gettext("pictures");
  if (token === "video/*") return gettext("videos");
  if (token === "audio/*") return gettext("sound files");
  if (token === "text/*") return gettext("texts");
  const short = token.startsWith(".") ? token.slice(1) : token.split("/")[1];
  return NAMES[short] ?? short.toUpperCase();
}

function countOf({ max_entries: most, min_entries: least = 0 }) {
  if (most === 1) return "";
  const count = number(most);
  if (least > 1 && least === most) return fill(gettext("exactly {count} files"), { count });
  if (least > 1) return fill(gettext("{least} to {count} files"), { least: number(least), count });
  return fill(gettext("up to {count} files"), { count });
}

function sizeOf({ max_entries: most, max_file_size: bytes }) {
  const sentence = most === 1 ? gettext("up to {size}") : gettext("{size} each");
  return fill(sentence, { size: readableSize(bytes) });
}

function totalOf({ max_total_size: bytes }) {
  return bytes ? fill(gettext("{size} in all"), { size: readableSize(bytes) }) : "";
}

/** What a slot still needs: "Add 2 more files.", or "" where it has enough. */
export function missingFrom({ min_entries: least = 0 } = {}, count) {
  const more = least - count;
  if (more < 1) return "";
  const sentence = ngettext("Add {count} more file.", "Add {count} more files.", more);
  return fill(sentence, { count: number(more) });
}
