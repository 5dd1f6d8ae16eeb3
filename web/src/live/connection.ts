/**
 * One stream's events, for as long as the page is open. The page owns reconnection: the browser's own would come back
 * at one fixed pace, and gives up for good on some answers.
 */

import { Backoff } from "./backoff";
import { Chain } from "./chain";
import type { Delivery, Gap } from "./contract";

export type ConnectionState = "connecting" | "live" | "catching-up" | "offline";

/** What a browser's EventSource is to us. */
export interface Source {
  addEventListener(name: string, listener: (event: { data: string }) => void): void;
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  close(): void;
}

export interface Surroundings {
  open(url: string): Source;
  now(): number;
  random(): number;
  later(ms: number, run: () => void): () => void;
}

export interface Listener {
  state(state: ConnectionState, retryAt: number | null): void;
  delivery(delivery: Delivery): void;
  /** Back after a loss: for how long it was away, and how many comments came since. */
  caughtUp(awayMs: number, comments: number): void;
  gap(gap: Gap): void;
  /** Something without an id; `end` is a replay's last: nothing follows, and nobody connects again. */
  event(name: "reactions" | "viewers" | "removed" | "end", data: unknown): void;
}

/** The server is never silent for more than 15 s; events of any kind come at least once a second while it is watched. */
export const OPEN_WITHIN_MS = 15_000;

export class Connection {
  readonly chain = new Chain();
  readonly backoff: Backoff;
  repeats = 0;
  private source: Source | null = null;
  private cancel: (() => void) | null = null;
  private lostAt: number | null = null;
  private missed = 0;
  private closed = false;

  constructor(
    /** Of a connection that goes on after a position (null: there is none yet). */
    private readonly address: (last: number | null) => string,
    private readonly around: Surroundings,
    private readonly listener: Listener,
  ) {
    this.backoff = new Backoff(() => around.now(), () => around.random());
  }

  start(): void {
    this.connect();
  }

  close(): void {
    this.closed = true;
    this.drop();
  }

  /** The network is back (or the page visible again): do not wait for the timer. */
  hurry(): void {
    if (this.source === null && !this.closed) {
      this.backoff.reset();
      this.connect();
    }
  }

  /** The browser says that the network is gone. */
  networkLost(): void {
    if (this.source !== null) this.lost();
  }

  private connect(): void {
    this.cancel?.();
    this.cancel = null;
    if (this.closed) return;
    this.listener.state("connecting", null);
    const source = this.around.open(this.address(this.chain.last));
    this.source = source;
    const mine = (run: () => void) => () => {
      if (this.source === source) run();
    };
    source.onopen = mine(() => this.opened());
    source.onerror = mine(() => this.lost());
    source.addEventListener("busy", mine(() => this.lost(this.around.random() * 4_000 + 1_000)));
    const on = (name: string, take: (data: unknown) => void) =>
      source.addEventListener(name, (event) => {
        if (this.source === source) take(JSON.parse(event.data));
      });
    on("comments", (data) => this.take(data as Delivery));
    on("gap", (data) => this.skip(data as Gap));
    on("reactions", (data) => this.listener.event("reactions", data));
    on("viewers", (data) => this.listener.event("viewers", data));
    on("removed", (data) => this.listener.event("removed", data));
    on("end", (data) => {
      this.close();
      this.listener.event("end", data);
    });
    this.cancel = this.around.later(OPEN_WITHIN_MS, mine(() => this.lost()));
  }

  private opened(): void {
    this.cancel?.();
    this.cancel = null;
    this.backoff.opened();
    this.missed = 0;
    this.listener.state(this.lostAt === null ? "live" : "catching-up", null);
    // With nothing missed there may be no delivery to tell that all is well.
    if (this.lostAt !== null) this.cancel = this.around.later(1_500, () => this.settle());
  }

  private take(delivery: Delivery): void {
    switch (this.chain.take(delivery)) {
      case "repeats":
        this.repeats += 1;
        return;
      case "breaks":
        // Proven, not guessed: ask again from the last position that is certain.
        this.lost();
        return;
      case "follows":
        this.missed += delivery.items.filter((item) => item.type === "comment").length;
        this.listener.delivery(delivery);
        if (this.lostAt !== null) {
          this.cancel?.();
          this.cancel = this.around.later(300, () => this.settle());
        }
    }
  }

  private settle(): void {
    this.cancel = null;
    if (this.lostAt === null || this.source === null) return;
    const away = this.around.now() - this.lostAt;
    this.lostAt = null;
    this.listener.state("live", null);
    this.listener.caughtUp(away, this.missed);
  }

  private skip(gap: Gap): void {
    this.chain.skip(gap);
    this.listener.gap(gap);
  }

  private lost(atLeast = 0): void {
    this.drop();
    this.lostAt ??= this.around.now();
    const wait = this.backoff.lost(atLeast);
    this.listener.state("offline", this.around.now() + wait);
    this.cancel = this.around.later(wait, () => this.connect());
  }

  private drop(): void {
    this.cancel?.();
    this.cancel = null;
    const source = this.source;
    this.source = null;
    source?.close();
  }
}
