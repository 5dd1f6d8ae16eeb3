/**
 * The chat of a recording: an item shows when the picture is of its moment. The server plays it at the recorded pace, a little
 * ahead of the picture; what comes too early is held back here, so that neither the network nor a timer decides when it shows.
 */

import { Connection, type ConnectionState, type Surroundings } from "./connection";
import type { Item, RemovedItem } from "./contract";

/** How far ahead of the picture items are asked for. */
export const LEAD_MS = 3_000;
/** So much ahead, and the connection rests: the picture stands still, or is loading. */
export const REST_MS = 20_000;
/** A jump of the moments beyond this is the viewer's: an encoder that was away for longer has not come back to the same stream. */
export const JUMP_MS = 60_000;
/** Items before the moment where it begins; those of the lead are among them. */
export const BACKFILL = 150;

/** What is on the screen. */
export interface Screen {
  /** The moment of the picture, in ms since the epoch; null while that is not known. */
  date(): number | null;
  rate(): number;
  paused(): boolean;
}

export interface Stage {
  show(items: Item[]): void;
  /** Something else will be shown: forget what was. */
  clear(): void;
  /** What was removed just now may be shown already. */
  hide(item: Item): void;
  state(state: ConnectionState, retryAt: number | null): void;
}

export class Replay {
  private connection: Connection | null = null;
  private last: number | null = null;
  private held: Item[] = [];
  /** The server's clock: at `from` when the page's was `since`, and `speed` times as fast; it stands while not connected. */
  private from = 0;
  private since = 0;
  private speed = 1;
  private over = false;
  private shown: number | null = null;

  constructor(
    private readonly url: string,
    private readonly screen: Screen,
    private readonly around: Surroundings,
    private readonly stage: Stage,
  ) {}

  /** Once per picture: show what is due, and keep the server in step. */
  tick(): void {
    const date = this.screen.date();
    if (date === null) return;
    if (this.shown !== null && (date < this.shown - 500 || date > this.shown + JUMP_MS)) this.seek();
    this.shown = date;
    this.release(date);
    if (this.over) return;
    const reached = this.reached();
    if (this.connection !== null && reached > date + REST_MS) this.rest(reached);
    // A jump of the moments (the encoder was away), a jump of the viewer's, or the end of a rest.
    else if (reached < date + LEAD_MS / 2) this.connect();
    else if (this.connection !== null && !this.screen.paused() && this.rate() !== this.speed) this.connect();
  }

  /** The picture is of another moment now: what was said up to then, and then what follows. */
  seek(): void {
    this.rest(0);
    [this.held, this.last, this.shown, this.over] = [[], null, null, false];
    this.stage.clear();
  }

  close(): void {
    this.rest(0);
  }

  hurry(): void {
    this.connection?.hurry();
  }

  private release(date: number): void {
    let due = 0;
    while (due < this.held.length && Date.parse(this.held[due]!.at) <= date) due += 1;
    if (due > 0) this.stage.show(this.held.splice(0, due));
  }

  private reached(): number {
    return this.connection === null ? this.from : this.from + (this.around.now() - this.since) * this.speed;
  }

  private rest(reached: number): void {
    this.from = reached;
    this.connection?.close();
    this.connection = null;
  }

  private rate(): number {
    return Math.min(16, Math.max(0.25, this.screen.rate()));
  }

  private connect(): void {
    this.connection?.close();
    const connection = new Connection((last) => this.address(last), this.around, {
      state: (state, retryAt) => this.stage.state(state, retryAt),
      delivery: (delivery) => {
        this.last = delivery.to;
        this.held.push(...delivery.items);
      },
      caughtUp: () => {},
      gap: (gap) => (this.last = gap.to),
      event: (name, data) => {
        if (name === "end") [this.over, this.connection] = [true, null];
        else if (name === "removed") this.removed(data as Item);
      },
    });
    connection.chain.last = this.last;
    this.connection = connection;
    connection.start();
  }

  private address(last: number | null): string {
    [this.since, this.speed] = [this.around.now(), this.rate()];
    this.from = (this.screen.date() ?? this.from - LEAD_MS) + LEAD_MS;
    const asked = new URLSearchParams({
      from: new Date(this.from).toISOString(),
      speed: String(this.speed),
      ...(last === null ? { backfill: String(BACKFILL) } : { last_event_id: String(last) }),
    });
    return `${this.url}?${asked}`;
  }

  private removed(item: Item): void {
    this.held = this.held.map((each) => {
      if (each.type !== "comment") return each;
      const gone =
        (item.type === "removed" && each.comment_id === item.comment_id) ||
        (item.type === "purged" && each.user.id === item.user_id);
      return gone ? placeholder(each.seq, each.at, each.comment_id) : each;
    });
    this.stage.hide(item);
  }
}

const placeholder = (seq: number, at: string, comment_id: string): RemovedItem => ({
  type: "removed",
  seq,
  at,
  comment_id,
  reason: "moderator",
});
