// The binary frames of the wire; frames.py has the same layout and is tested with the same vectors.

import { crc32c } from "./crc32c.js";

const CHUNK = 1;
const COMPLETE = 2;
const CANCEL = 3;
const CHECKED_CHUNK = 4;

export const HEADER_SIZE = 21;
const CHECKED_HEADER_SIZE = 25;

/** A new random ref (a UUID, version 4), as text. */
export function newRef() {
  // crypto.randomUUID() is missing on pages served over plain HTTP; getRandomValues() is not.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// Frames are ArrayBuffers or Blobs, and not views: djust's debug panel turns every outgoing message
// into a string, which costs nothing for these and a second for every ten megabytes of views.

export function chunkFrame(ref, index, data) {
  const frame = frameOf(HEADER_SIZE + data.length, CHUNK, ref);
  new DataView(frame.buffer).setUint32(17, index);
  frame.set(data, HEADER_SIZE);
  return frame.buffer;
}

/** The server refuses the bytes if they do not have this checksum when they arrive. */
export function checkedFrame(ref, index, data) {
  const frame = frameOf(CHECKED_HEADER_SIZE + data.length, CHECKED_CHUNK, ref);
  const header = new DataView(frame.buffer);
  header.setUint32(17, index);
  header.setUint32(21, crc32c(data));
  frame.set(data, CHECKED_HEADER_SIZE);
  return frame.buffer;
}

/** The browser reads and masks the file's part when it sends the frame, outside of the page. */
export function blobFrame(ref, index, slice) {
  return new Blob([chunkFrame(ref, index, []), slice]);
}

export function completeFrame(ref) {
  return frameOf(17, COMPLETE, ref).buffer;
}

export function cancelFrame(ref) {
  return frameOf(17, CANCEL, ref).buffer;
}

function frameOf(size, type, ref) {
  const frame = new Uint8Array(size);
  const hex = ref.replaceAll("-", "");
  frame[0] = type;
  for (let i = 0; i < 16; i++) frame[i + 1] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return frame;
}
