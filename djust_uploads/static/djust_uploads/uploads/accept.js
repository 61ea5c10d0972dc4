// What is refused before a byte is sent. The server decides; this only saves the user the wait.

import { fill, gettext, ngettext } from "../texts/catalogue.js";
import { number, readableSize } from "../texts/format.js";
import { isToShrink } from "./pictures.js";
import { sizeOf } from "./sizes.js";

// A dropped folder may hold thousands of files that a slot can't take. So many are told of for each
// reason, and the last of them stands for the others.
const MOST_REFUSALS = 100;

/**
 * Which of `files` the slot takes beside the uploads that it `holds`, and why not the others:
 * {file, code, message, others}. A slot that is not known yet takes anything. Without `bySize`, only
 * names, types and numbers count.
 */
export function sort(files, slot, holds, { bySize = true } = {}) {
  if (!slot) return { taken: files, refused: [] };
  const taken = [];
  const left = [];
  const refused = [];
  let free = slot.max_entries - holds.length;
  let room = (slot.max_total_size ?? Infinity) - together(holds);
  for (const file of files) {
    // How large a picture will be is not known before it was made smaller.
    const ready = bySize && !isToShrink(file, slot);
    const size = ready ? sizeOf(file) : 0;
    const why = refusal(file, slot, ready) ?? (free > 0 && size > room ? noRoom(slot) : null);
    if (why) {
      refused.push({ file, ...why });
    } else if (free < 1) {
      left.push(file);
    } else {
      taken.push(file);
      free -= 1;
      room -= size;
    }
  }
  if (left.length) refused.push({ file: left[0], ...tooMany(slot, left.length) });
  return { taken, refused: summedUp(refused) };
}

/** Why a slot that has so many bytes does not take some of these uploads: {upload, code, message}. */
export function tooLarge(uploads, slot, bytes) {
  const refused = [];
  let room = (slot.max_total_size ?? Infinity) - bytes;
  for (const upload of uploads) {
    if (isToShrink(upload.file, slot)) continue;
    const why = refusal(upload.file, slot) ?? (upload.size > room ? noRoom(slot) : null);
    if (why) refused.push({ upload, ...why });
    else room -= upload.size;
  }
  return refused;
}

/** Why a file fails that was deleted, or changed, or locked away, after it was chosen. */
export function unreadable() {
  const message = gettext("The file can't be read any more. Please choose it again.");
  return { code: "unreadable", message };
}

export function together(uploads) {
  return uploads.reduce((sum, { size }) => sum + size, 0);
}

/** The first refusals for each reason. The last of them stands for the `others`. */
export function summedUp(refused) {
  const told = new Map();
  return refused.filter((one) => {
    const same = told.get(one.code) ?? { count: 0 };
    told.set(one.code, same);
    same.count += 1;
    if (same.count > MOST_REFUSALS) same.last.others = same.count - MOST_REFUSALS;
    else same.last = one;
    return same.count <= MOST_REFUSALS;
  });
}

function noRoom({ max_total_size: bytes }) {
  const sentence = gettext("There is no room for this file: all files together may have {size}.");
  return { code: "total_too_large", message: fill(sentence, { size: readableSize(bytes) }) };
}

function tooMany({ max_entries: places }, count) {
  const message = ngettext(
    "Only {count} file can be added here. Remove one to add another.",
    "Only {count} files can be added here. Remove one to add another.",
    places,
  );
  const others = ngettext("{count} was left out.", "{count} were left out.", count);
  const sentences = [fill(message, { count: number(places) })];
  if (count > 1) sentences.push(fill(others, { count: number(count) }));
  return { code: "too_many_files", message: sentences.join(" ") };
}

/** Why `file` can't go into the slot, as {code, message}, or null. `ready` says that it is sent so. */
export function refusal(file, slot, ready = !isToShrink(file, slot)) {
  if (file.isUnreadable) return unreadable();
  if (ready && sizeOf(file) > slot.max_file_size) {
    const sentence = gettext("The file is too large: at most {size} are accepted.");
    const message = fill(sentence, { size: readableSize(slot.max_file_size) });
    return { code: "file_too_large", message };
  }
  if (!accepts(slot.accept, file)) {
    const types = slot.accept.split(",").map((token) => token.trim()).join(", ");
    const sentence = gettext("Files of this type are not accepted here. Accepted: {types}.");
    return { code: "type_not_accepted", message: fill(sentence, { types }) };
  }
  return null;
}

/** As in HTML: a list of extensions and MIME types; an empty one accepts anything. */
function accepts(accept, file) {
  const tokens = accept.toLowerCase().split(",").map((token) => token.trim()).filter(Boolean);
  const name = file.name.toLowerCase();
  const type = file.type.toLowerCase();
  return !tokens.length || tokens.some((token) => {
    if (token.startsWith(".")) return name.endsWith(token);
    // Browsers know no type for many files; of those only the server can tell.
    if (type === "" || token === "*/*") return true;
    return token.endsWith("/*") ? type.startsWith(token.slice(0, -1)) : type === token;
  });
}
