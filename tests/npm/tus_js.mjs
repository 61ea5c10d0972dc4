// Uploads a file with tus-js-client: tus_js.mjs NODE_MODULES OPTIONS
//
// OPTIONS is JSON: "path" and what tus-js-client calls options; "storage" is a file in which it
// remembers uploads, so that it resumes them. Each event is a line of JSON on stdout.
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, json] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/any.js`));
const { FileUrlStorage, Upload } = require("tus-js-client");
const { path, storage, ...options } = JSON.parse(json);

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const upload = new Upload(createReadStream(path), {
  retryDelays: null,
  urlStorage: storage ? new FileUrlStorage(storage) : undefined,
  storeFingerprintForResuming: Boolean(storage),
  ...options,
  onProgress: (sent) => say({ event: "progress", sent }),
  onUploadUrlAvailable: () => say({ event: "url", url: upload.url }),
  onSuccess: ({ lastResponse }) => {
    say({
      event: "success",
      url: upload.url,
      status: lastResponse.getStatus(),
      receipt: lastResponse.getHeader("upload-receipt"),
    });
  },
  onError: (error) => {
    const response = error.originalResponse;
    say({
      event: "error",
      message: error.message,
      status: response?.getStatus() ?? 0,
      body: response?.getBody() ?? "",
    });
    process.exitCode = 1;
  },
});
if (storage) {
  const [previous] = await upload.findPreviousUploads();
  if (previous) {
    upload.resumeFromPreviousUpload(previous);
  }
}
upload.start();
