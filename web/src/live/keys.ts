/**
 * A new idempotency key: a UUID of version 7, which says when it was made, so that a gateway needs no store to know it is new.
 * `crypto.randomUUID` is missing on plain-http addresses of a local network; `getRandomValues` is not.
 */
export function newKey(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const made = now.toString(16).padStart(12, "0");
  return `${made.slice(0, 8)}-${made.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`;
}
