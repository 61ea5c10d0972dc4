// What is taken of the files that a user chose.

// What systems leave in folders, and nobody means to upload.
const LITTER = new Set([".ds_store", ".localized", "thumbs.db", "ehthumbs.db", "desktop.ini"]);

/** The files without what systems have left in the folders among them. */
export function chosenFiles(files) {
  return Array.from(files).filter((file) => !isLitter(file));
}

function isLitter(file) {
  const path = file.webkitRelativePath || file.relativePath || "";
  const [name, ...folders] = path.toLowerCase().split("/").reverse();
  // A file that was chosen by itself is meant.
  if (!folders.length) return false;
  // macOS writes a file beside each one on a disk that can't hold all that it knows of them.
  return LITTER.has(name) || name.startsWith("._") || folders.includes("__macosx");
}
