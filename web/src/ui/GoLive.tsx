import { useEffect, useRef, useState } from "react";

import * as api from "../live/api";
import type { Privacy, StartedStream } from "../live/contract";
import { copy } from "../live/copy";
import type { Go } from "./App";

/** Start a stream, and show what OBS needs. The key is shown here once and kept nowhere. */
export function GoLive({ close, go }: { close: () => void; go: Go }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [started, setStarted] = useState<StartedStream | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => dialog.current?.showModal(), []);
  const begin = async (form: FormData) => {
    try {
      if (api.session() === null) await api.signIn(String(form.get("name") || "Broadcaster"));
      setStarted(await api.start(String(form.get("title")), form.get("privacy") as Privacy));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "It could not be started.");
    }
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="go-live">
      <h2 id="go-live">Go live</h2>
      {started === null ? (
        <form action={begin}>
          <label>
            Title
            <input name="title" required maxLength={500} placeholder="What is it about?" autoFocus />
          </label>
          <label>
            Who may watch
            <select name="privacy" defaultValue="public">
              <option value="public">Everyone</option>
              <option value="followers">People who follow you</option>
              <option value="private">People you invite</option>
            </select>
          </label>
          {api.session() === null && (
            <label>
              Your name
              <input name="name" required maxLength={40} placeholder="Shown to everyone" />
            </label>
          )}
          {problem && <p role="alert">{problem}</p>}
          <div className="row">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button className="primary">Start</button>
          </div>
        </form>
      ) : (
        <>
          <p>In OBS, open Settings › Stream, choose “Custom…”, and paste these. Set the keyframe interval to 1 s.</p>
          <Copied label="Server" value={started.rtmp_url} />
          {started.rtmps_url && <Copied label="Server, encrypted" value={started.rtmps_url} />}
          <Copied label="Stream key" value={started.stream_key} secret />
          <p className="muted">The key is shown only now. Whoever has it can broadcast as you.</p>
          <div className="row">
            <button className="primary" onClick={() => go(`/watch/${started.stream_id}`)}>
              Open the stream
            </button>
          </div>
        </>
      )}
    </dialog>
  );
}

function Copied({ label, value, secret = false }: { label: string; value: string; secret?: boolean }) {
  const [copied, setCopied] = useState(false);
  return (
    <label>
      {label}
      <span className="row">
        <input readOnly type={secret ? "password" : "text"} value={value} />
        <button
          type="button"
          onClick={() => {
            void copy(value).then(setCopied);
          }}
        >
          {copied ? "Copied" : "Copy"}
        </button>
      </span>
    </label>
  );
}
