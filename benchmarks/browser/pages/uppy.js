// Uppy's Dashboard with XHR, with its defaults.

const uppy = new Uppy.Uppy({ autoProceed: true })
  .use(Uppy.Dashboard, { inline: true, target: "#place" })
  .use(Uppy.XHRUpload, { endpoint: "/post/", fieldName: "file" });

addEventListener("change", ({ target }) => begin(target.files.length), true);
uppy.on("upload-success", () => done());
uppy.on("upload-error", (_file, error) => failed(error));
