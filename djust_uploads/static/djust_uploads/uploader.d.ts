/** Where a file stands. */
export type UploadStatus =
  | "waiting" // for the connection
  | "chosen" // waits for start()
  | "preparing" // is made smaller
  | "queued"
  | "uploading"
  | "paused"
  | "resuming" // the server was asked where it stands
  | "finalizing" // the server has all of it, and stores it
  | "complete"
  | "error"
  | "cancelled"
  | "consumed"; // the application has it

/** One file of a slot. */
export interface Upload {
  /** Its name, a UUID; another one after a retry. */
  readonly ref: string;
  readonly uploadName: string;
  readonly file: File;
  readonly name: string;
  /** Bytes of the file, 0 until they are known, and how many of them the server has. */
  readonly size: number;
  readonly loaded: number;
  /** Percent. */
  readonly progress: number;
  readonly status: UploadStatus;
  /** Whether it is over, in whatever way. */
  readonly ended: boolean;
  readonly paused: boolean;
  /** Whether the server keeps what it has when the connection is lost. */
  readonly resumable: boolean;
  /** Why it failed: a sentence for the user, and a stable code. */
  readonly error: string | null;
  readonly code: string | null;
  /** Bytes a second, smoothed; 0 if it is not known. */
  readonly rate: number;
  readonly secondsLeft: number | null;
}

/** What a slot has altogether; failed files count only in `failed`. */
export interface Total {
  readonly files: number;
  readonly complete: number;
  readonly failed: number;
  readonly size: number;
  readonly loaded: number;
  readonly rate: number;
  readonly secondsLeft: number | null;
}

/** The options that `allow_upload()` declared. */
export interface Slot {
  readonly name: string;
  readonly accept: string;
  readonly max_entries: number;
  readonly max_file_size: number;
  readonly chunk_size: number;
  readonly auto_upload: boolean;
  readonly resumable: boolean;
}

export interface UploaderEventMap {
  /** Something was added, removed or moved on: draw again. `onlyBytes`: no status has changed. */
  change: CustomEvent<{ onlyBytes: boolean }>;
  progress: CustomEvent<{
    ref: string;
    progress: number;
    status: UploadStatus;
    uploadName: string;
  }>;
  /** A file failed, or was refused. */
  error: CustomEvent<{
    file: string;
    error: string;
    code: string;
    ref: string;
    uploadName: string;
  }>;
  /** The consumer has declared its slots: after the start, and after each reconnect. */
  mounted: CustomEvent<null>;
  /** The connection is lost. It comes back by itself. */
  lost: CustomEvent<null>;
  /** What the consumer's push_event() sent. */
  push: CustomEvent<{ event: string; payload: Record<string, unknown> }>;
}

/** Uploads files over the WebSocket of a consumer. */
export class Uploader extends EventTarget {
  constructor(url: string | URL);
  readonly slots: Readonly<Record<string, Slot>>;
  readonly connected: boolean;
  files(slot: string): Upload[];
  total(slot: string): Total;
  add(slot: string, files: Iterable<File>): Upload[];
  start(slot: string): void;
  cancel(ref: string): void;
  pause(ref: string): void;
  resume(ref: string): void;
  retry(ref: string): void;
  settle(...slots: string[]): Promise<boolean>;
  send(event: string, params?: Record<string, unknown>): Promise<void>;
  close(): void;

  addEventListener<Type extends keyof UploaderEventMap>(
    type: Type,
    listener: (event: UploaderEventMap[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
