import type { Source, Surroundings } from "../src/live/connection";

/** A source and a clock that do what the test says. */
export class World implements Surroundings {
  time = 0;
  sources: Fake[] = [];
  timers: { at: number; run: () => void }[] = [];
  open(url: string): Source {
    const fake = new Fake(url);
    this.sources.push(fake);
    return fake;
  }
  now() {
    return this.time;
  }
  random() {
    return 1;
  }
  later(ms: number, run: () => void) {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((each) => each !== timer);
    };
  }
  advance(ms: number) {
    const until = this.time + ms;
    for (;;) {
      const next = this.timers.filter((each) => each.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((each) => each !== next);
      this.time = next.at;
      next.run();
    }
    this.time = until;
  }
  get source() {
    return this.sources.at(-1)!;
  }
}

export class Fake implements Source {
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  private listeners: Record<string, (event: { data: string }) => void> = {};
  constructor(readonly url: string) {}
  addEventListener(name: string, listener: (event: { data: string }) => void) {
    this.listeners[name] = listener;
  }
  close() {
    this.closed = true;
  }
  send(name: string, data: unknown) {
    this.listeners[name]?.({ data: JSON.stringify(data) });
  }
}
