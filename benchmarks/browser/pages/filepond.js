// FilePond with its defaults.

const pond = FilePond.create(document.querySelector("input"), {
  allowMultiple: true,
  name: "file",
  server: { process: "/post/", revert: null },
});

addEventListener("change", ({ target }) => begin(target.files.length), true);
pond.on("processfile", (error) => {
  if (error) failed(JSON.stringify(error));
  else done();
});
