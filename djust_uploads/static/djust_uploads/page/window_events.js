// Tells the page's window of its uploads, and the uploads when the page is left.

/** `djust:upload:progress` and `djust:upload:error`, with the details that djust's script has. */
export function tellWindow(uploads) {
  for (const type of ["progress", "error"]) {
    uploads.addEventListener(type, ({ detail }) => {
      window.dispatchEvent(new CustomEvent(`djust:upload:${type}`, { detail }));
    });
  }
  window.addEventListener("pagehide", () => uploads.leave());
}
