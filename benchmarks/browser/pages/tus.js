// tus-js-client with its defaults; five files at once, as Uppy does.

document.querySelector("input").addEventListener("change", async ({ target }) => {
  const files = Array.from(target.files);
  begin(files.length);
  const next = async () => {
    for (let file = files.shift(); file; file = files.shift()) await upload(file);
  };
  await Promise.all(Array.from({ length: 5 }, next));
});

function upload(file) {
  return new Promise((resolve) => {
    new tus.Upload(file, {
      endpoint: "/files/",
      storeFingerprintForResuming: false,
      metadata: { filename: file.name },
      onSuccess: () => { done(); resolve(); },
      onError: failed,
    }).start();
  });
}
