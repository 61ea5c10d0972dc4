// Which files of a slot are the same as one before them.

const twice = new WeakSet();
const looked = new Map();

/** Whether the slot had the same file when this one was added. */
export function isTwice(upload) {
  return twice.has(upload);
}

/** Look at the uploads of a slot, if there are others than at the last look. */
export function findTwice(uploadName, uploads) {
  const last = `${uploads.length} ${uploads.at(-1)?.number}`;
  if (looked.get(uploadName) === last) return;
  looked.set(uploadName, last);
  const known = new Set();
  for (const upload of uploads) {
    twice.delete(upload);
    const { name, size, lastModified, webkitRelativePath, relativePath } = upload.file;
    const print = [name, size, lastModified, webkitRelativePath || relativePath].join("/");
    if (upload.live && known.has(print)) twice.add(upload);
    if (upload.live) known.add(print);
  }
}
