// A page of ours: begins with the choice, and ends when the last file is complete.

addEventListener("change", ({ target }) => begin(target.files.length), true);
addEventListener("djust:upload:progress", ({ detail }) => detail.status === "complete" && done());
addEventListener("djust:upload:error", ({ detail }) => failed(`${detail.code}: ${detail.error}`));

/** An event of the page, and the milliseconds until its handler has returned. */
window.ask = async () => {
  if (!window.djust?.sendEvent) return;
  const start = performance.now();
  await djust.sendEvent("ping");
  measured.answers?.push(performance.now() - start);
};
