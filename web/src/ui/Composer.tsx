import { useRef, useState } from "react";

import * as api from "../live/api";
import { reply, say, useWatching } from "../live/store";

const LONGEST = 500;

/** The box to post. The name is asked for once, when it is first needed. */
export function Composer() {
  const ended = useWatching((now) => now.ended);
  const replaying = useWatching((now) => now.replaying);
  const replyTo = useWatching((now) => now.replyTo);
  const [text, setText] = useState("");
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const length = [...text.trim()].length;
  if (replaying) return <p className="composer muted">This is a recording: its comments play along with it.</p>;
  if (ended) return <p className="composer muted">Comments are closed: the stream has ended.</p>;
  const submit = () => {
    if (length === 0 || length > LONGEST) return;
    if (api.session() === null) {
      setNaming(true);
      return;
    }
    void say(text.trim());
    setText("");
    box.current?.focus();
  };
  const introduce = async () => {
    try {
      await api.signIn(name);
      setNaming(false);
      setProblem("");
      submit();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "That did not work.");
    }
  };
  if (naming) {
    return (
      <form
        className="composer"
        onSubmit={(event) => {
          event.preventDefault();
          void introduce();
        }}
      >
        <label className="grow">
          <span className="muted">What should people call you?</span>
          <input data-testid="name" value={name} maxLength={40} required autoFocus onChange={(event) => setName(event.target.value)} />
          {problem && <span role="alert">{problem}</span>}
        </label>
        <button className="primary" data-testid="introduce">
          Join
        </button>
      </form>
    );
  }
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {replyTo && (
        <p className="replying">
          Replying to <b>{replyTo.name}</b>
          <button type="button" className="link" onClick={() => reply(null)} aria-label="Do not reply">
            ✕
          </button>
        </p>
      )}
      <div className="row">
        <textarea
          ref={box}
          data-testid="composer"
          aria-label="Say something"
          placeholder="Say something…"
          rows={1}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              submit();
            }
          }}
        />
        <button className="primary" data-testid="send" disabled={length === 0 || length > LONGEST} aria-label="Send">
          ➤
        </button>
      </div>
      {length > LONGEST - 100 && (
        <p className={length > LONGEST ? "over-limit" : "muted"} aria-live="polite">
          {LONGEST - length} left
        </p>
      )}
    </form>
  );
}
