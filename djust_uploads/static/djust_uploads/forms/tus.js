// Sends one file by tus 1.0 to the HTTP endpoint, and goes on after interruptions.
// https://tus.io/protocols/resumable-upload

const TUS = {"Tus-Resumable": "1.0.0"};

// Seconds between the attempts to go on after an interruption.
const PAUSES = [0.5, 1, 2, 4, 8, 15, 30, 30, 30];

// Bytes of one request to a server that buffers whole requests. It refuses longer ones.
const PIECE = 8 * 1024 * 1024;

/** The server refuses the file. `message` is a sentence for the user. */
export class Refused extends Error {}

/** The file was deleted or changed after it was chosen. */
export class Unreadable extends Error {}

/** There is no endpoint at the URL, so the file must be posted with its form. */
export class Unreachable extends Error {}

/** One file on its way. `progress` is called with the bytes that were sent. */
export class Sending {
  #url;
  #file;
  #progress;
  #record;
  #request = null;
  #cancelled = false;
  #location = null;
  #piece = Infinity;

  /** `record` remembers the URL of an interrupted upload, or is null. */
  constructor(url, file, progress, record) {
    this.#url = url;
    this.#file = file;
    this.#progress = progress;
    this.#record = record;
  }

  /** Send the file, and return its receipt. Throws `Refused`, `Unreadable` and `Unreachable`. */
  async run() {
    this.#location = this.#record?.get() ?? null;
    let receipt = this.#location ? await this.#tried(() => this.#goOn()) : null;
    if (!this.#location) receipt = await this.#tried(() => this.#create());
    while (!receipt) receipt = await this.#tried((offset) => this.#append(offset));
    this.#record?.clear();
    return receipt;
  }

  /** Stop sending, and delete at the server what has arrived. */
  cancel() {
    this.#cancelled = true;
    this.#request?.abort();
    this.#record?.clear();
    if (this.#location) {
      fetch(this.#location, {method: "DELETE", headers: TUS}).catch(() => {});
    }
  }

  #offset = 0;

  async #create() {
    const names = {name: this.#file.name, type: this.#file.type};
    const metadata = Object.entries(names)
      .filter(([, value]) => value)
      .map(([key, value]) => `${key} ${base64(value)}`);
    const headers = {"Upload-Length": String(this.#file.size)};
    if (metadata.length) headers["Upload-Metadata"] = metadata.join(",");
    const answer = await this.#ask("POST", this.#url, headers);
    if (!answer.header("Tus-Resumable")) throw new Unreachable(this.#url);
    if (answer.status !== 201) throw answer.refusal();
    this.#location = new URL(answer.header("Location"), new URL(this.#url, location)).href;
    this.#record?.set(this.#location);
    return answer.header("Upload-Receipt");
  }

  /** Ask where the upload stands. Returns its receipt if it is complete. */
  async #goOn() {
    const answer = await this.#ask("HEAD", this.#location, {});
    if (answer.status >= 500 || answer.status === 423) throw new Interruption();
    if (answer.status !== 200) {
      this.#location = null;
      this.#record?.clear();
      return null;
    }
    this.#offset = Number(answer.header("Upload-Offset"));
    this.#progress(this.#offset);
    return answer.header("Upload-Receipt");
  }

  async #append() {
    const end = Math.min(this.#offset + this.#piece, this.#file.size);
    const headers = {
      "Content-Type": "application/offset+octet-stream",
      "Upload-Offset": String(this.#offset),
    };
    const body = this.#file.slice(this.#offset, end);
    await readable(body);
    if (this.#cancelled) throw new Cancelled();
    const answer = await this.#ask("PATCH", this.#location, headers, body);
    if (answer.status === 413 && this.#piece > PIECE) {
      this.#piece = PIECE;
      throw new Interruption();
    }
    if (answer.status === 409 || answer.status === 423 || answer.status >= 500) {
      throw new Interruption();
    }
    if (answer.status !== 204 && answer.status !== 200) throw answer.refusal();
    this.#offset = Number(answer.header("Upload-Offset"));
    return answer.header("Upload-Receipt");
  }

  /** Call `step`. After an interruption, ask where the upload stands and call it again. */
  async #tried(step) {
    for (let attempt = 0, before = this.#offset; ; attempt++) {
      try {
        if (this.#cancelled) throw new Cancelled();
        if (attempt && this.#location) {
          const receipt = await this.#goOn();
          if (receipt) return receipt;
          if (!this.#location) throw new Refused();
        }
        return await step();
      } catch (error) {
        if (!(error instanceof Interruption) || this.#cancelled) throw error;
        if (this.#offset > before) attempt = 0;
        before = this.#offset;
        if (attempt >= PAUSES.length) throw new Refused();
        await new Promise((resolve) => setTimeout(resolve, PAUSES[attempt] * 1000));
      }
    }
  }

  #ask(method, url, headers, body = null) {
    return new Promise((resolve, reject) => {
      // fetch() does not tell how much of a body was sent.
      const request = (this.#request = new XMLHttpRequest());
      request.open(method, url);
      for (const [name, value] of Object.entries({...TUS, ...headers})) {
        request.setRequestHeader(name, value);
      }
      const start = this.#offset;
      if (body) request.upload.onprogress = ({loaded}) => this.#progress(start + loaded);
      request.onload = () => resolve(new Answer(request));
      request.onerror = () => reject(new Interruption());
      request.onabort = () => reject(new Cancelled());
      request.send(body);
    });
  }
}

/** The user has removed the file. */
export class Cancelled extends Error {}

class Interruption extends Error {}

class Answer {
  #request;

  constructor(request) {
    this.#request = request;
  }

  get status() {
    return this.#request.status;
  }

  header(name) {
    return this.#request.getResponseHeader(name);
  }

  refusal() {
    try {
      return new Refused(JSON.parse(this.#request.responseText).title);
    } catch {
      return new Refused();
    }
  }
}

/** Resolves if a part of a file can be read. To a request, the network would seem to be lost. */
async function readable(part) {
  try {
    await part.slice(0, 1).arrayBuffer();
  } catch {
    throw new Unreadable();
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
