// Remembers interrupted uploads of a tab, so that the same file goes on when it is chosen again.
// Another tab does not share them: two tabs with the same form have files of their own.

/** The record of a file's upload at a URL. */
export function recordOf(url, file) {
  const key = `djust-upload:${url}:${file.name}:${file.size}:${file.lastModified}`;
  const guarded = (action) => {
    // A browser may forbid the storage.
    try {
      return action();
    } catch {
      return null;
    }
  };
  return {
    get: () => guarded(() => sessionStorage.getItem(key)),
    set: (location) => guarded(() => sessionStorage.setItem(key, location)),
    clear: () => guarded(() => sessionStorage.removeItem(key)),
  };
}
