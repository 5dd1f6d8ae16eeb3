"""How well a recording's chat follows its picture: when a comment shows, the clock that is burnt into the picture is read.

The source burns in the wall clock (`tests.glass`), a comment's `at` is the log's: on one machine the same clock. What is read
is the picture on the screen in the moment in which the comment's element appears.
"""

from collections.abc import Collection, Mapping, Sequence

from playwright.async_api import Page

#: Notes, for each comment that appears, what the picture's clock says (-1: unreadable). `window.showed` keeps
#: [id, clock, the player's time].
WATCH = """() => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [40, 1];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  window.burnt = () => {
    const video = document.querySelector("video");
    if (!video || video.readyState < 2 || !video.videoWidth) return -1;
    const block = video.videoWidth / 40;
    for (let n = 0; n < 40; n += 1) pen.drawImage(video, n * block + block / 2, 8, 2, 2, n, 0, 1, 1);
    const pixels = pen.getImageData(0, 0, 40, 1).data;
    let stamp = 0, sum = 0, check = 0;
    for (let n = 0; n < 40; n += 1) {
      const bit = pixels[4 * n] > 127 ? 1 : 0;
      if (n < 32) { stamp = stamp * 2 + bit; sum = (sum + bit * (n + 1)) % 256; } else check = check * 2 + bit;
    }
    return sum === check ? stamp : -1;
  };
  window.showed = [];
  const seen = new Set();
  const look = () => {
    const fresh = [...document.querySelectorAll("[data-comment-id]")].filter((each) => !seen.has(each.dataset.commentId));
    if (!fresh.length) return;
    const clock = window.burnt(), time = (document.querySelector("video") || { currentTime: -1 }).currentTime;
    for (const each of fresh) { seen.add(each.dataset.commentId); window.showed.push([each.dataset.commentId, clock, time]); }
  };
  look();
  window.showed = [];
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}"""
WRAP = 2**32


def apart(clock: int, at_ms: int) -> int:
    """Milliseconds from *at_ms* to what the picture's clock says, which wraps every 50 days."""
    return (clock - at_ms + WRAP // 2) % WRAP - WRAP // 2


class Alignment:
    """Milliseconds by which comments showed after (or, negative, before) the picture of their moment."""

    def __init__(self, showed: Sequence[tuple[str, int]], said: Mapping[str, int], leave_out: Collection[str] = ()) -> None:
        """*said* is when the log took each comment; those that nobody could have filmed are left out."""
        self.errors = [
            apart(clock, said[each]) for each, clock in showed if each in said and each not in leave_out and clock >= 0
        ]
        self.unread = sum(clock < 0 for _, clock in showed)

    def at(self, share: float) -> float:
        """A percentile of the distance, whichever way."""
        ordered = sorted(abs(each) for each in self.errors)
        return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) if ordered else float("inf")


async def showed(page: Page) -> list[tuple[str, int]]:
    """What has appeared since the page is watched."""
    found: list[tuple[str, int]] = await page.evaluate("() => window.showed")
    return [(each[0], each[1]) for each in found]
