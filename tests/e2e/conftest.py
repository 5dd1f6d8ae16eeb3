"""What all tests in a browser share: how long they wait for what a page shows."""

from playwright.async_api import expect

from tests.waits import PATIENCE_S

# Playwright's own is 5 s, which two busy cores take now and then.
expect.set_options(timeout=PATIENCE_S * 1000)
