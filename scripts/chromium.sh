#!/bin/sh
# Chromium for the browser tests: there already, or from Debian's packages, or a message that says what to do.
set -eu

if command -v "${CHROMIUM:-chromium}" >/dev/null; then
    exit 0
fi
if [ -n "${CHROMIUM:-}" ]; then
    echo "CHROMIUM=$CHROMIUM is no program on this machine; name one, or leave it unset to have Debian's installed" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "the browser tests need Chromium: install it (Debian: sudo apt install chromium), or name one: CHROMIUM=/path/to/it" >&2
    exit 1
fi
echo "Installing Chromium from Debian's packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The fonts carry what the page shows; without them reactions are empty boxes in every picture taken of it.
apt-get install -qq --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji </dev/null >/dev/null
command -v chromium >/dev/null
