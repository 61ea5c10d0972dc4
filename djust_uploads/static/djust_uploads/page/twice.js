// Which files of a slot are the same as one before them.

import { sizeOf } from "../uploads/sizes.js";

const twice = new WeakSet();
const looked = new Map();

/** Whether the slot had the same file when this one was added. */
export function isTwice(upload) {
  return twice.has(upload);
}

/** Look at the uploads of a slot, if there are others than at the last look. */
export function findTwice(uploadName, uploads) {
  const measured = uploads.filter((upload) => upload.measured);
  const last = `${measured.length} ${measured.at(-1)?.number}`;
  if (looked.get(uploadName) === last) return;
  looked.set(uploadName, last);
  const known = new Set();
  for (const upload of measured) {
    twice.delete(upload);
    const { name, lastModified, webkitRelativePath, relativePath } = upload.file;
    const path = webkitRelativePath || relativePath;
    const print = [name, sizeOf(upload.file), lastModified, path].join("/");
    if (upload.live && known.has(print)) twice.add(upload);
    if (upload.live) known.add(print);
  }
}
