"""What the recipes of the justfile run when it is more than two lines.

Set-up starts in here, so setup.py, node.py and web.py use the standard library only.

setup.py     the lock file into .venv, the page into web/dist; a no-op when nothing changed
node.py      which Node builds the page: the machine's, or the one of a wheel
web.py       npm in web/: install, build, and the scripts of package.json
reference.py docs/settings.md and docs/metrics.md, written from the code
plant.py     bugs planted one at a time, to see that a test catches each
bugs/        which bugs, where, and the test that has to catch each, a file for each subject
cassandra.py Apache Cassandra for the tests of the CQL store, into a cache outside the checkout
chromium.sh  Chromium for the browser tests, from Debian, where it is missing
proxies.sh   nginx and HAProxy for the tests behind them, likewise, unpacked into .venv
emulator.sh  QEMU and a kernel for benchmarks in an emulated machine, likewise
emulator-init.sh  what that machine does first
gstreamer.sh GStreamer for the tests of encoders, likewise
unpack.sh    how Debian's packages are unpacked, for the others
"""
