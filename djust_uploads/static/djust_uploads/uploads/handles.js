// Handles of dropped files, with which a page that was loaded again reads them without asking. Only
// Chromium has them, on secure pages; elsewhere nothing here does anything.
// https://developer.mozilla.org/docs/Web/API/DataTransferItem/getAsFileSystemHandle

const DATABASE = "djust_uploads";
const STORE = "handles";

const handles = new WeakMap();

/** Note the handles of dropped files. They can be had only while the event is dispatched. */
export function noteHandles(items, files) {
  const dropped = Array.from(items ?? []).filter(({ kind }) => kind === "file");
  dropped.forEach((item, position) => {
    const handle = item.getAsFileSystemHandle?.();
    // A file that the system has no path of has no handle.
    if (handle) handles.set(files[position], handle.catch(() => null));
  });
}

/** Keep the file's handle over a reload, if it has one. */
export async function keepHandle(ref, file) {
  const handle = await handles.get(file);
  if (handle?.kind === "file") await request("readwrite", (store) => store.put(handle, ref));
}

export async function forgetHandle(ref) {
  if (supported()) await request("readwrite", (store) => store.delete(ref));
}

/** The file, if its handle was kept and may be read without asking the user; or null. */
export async function heldFile(ref) {
  const handle = supported() && await request("readonly", (store) => store.get(ref));
  if (!handle) return null;
  try {
    const granted = await handle.queryPermission({ mode: "read" }) === "granted";
    const file = granted ? await handle.getFile() : null;
    if (file) handles.set(file, Promise.resolve(handle));
    return file;
  } catch {
    return null; // it was moved or deleted
  }
}

function supported() {
  return "getAsFileSystemHandle" in (globalThis.DataTransferItem?.prototype ?? {});
}

/** Resolves to the result, or to undefined where the browser keeps no databases. */
async function request(mode, call) {
  try {
    const database = await opened();
    const store = database.transaction(STORE, mode).objectStore(STORE);
    return await settled(call(store)).finally(() => database.close());
  } catch {
    return undefined;
  }
}

function opened() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  return settled(opening);
}

function settled(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}
