"""What the recipes of the justfile run when it is more than two lines. The standard library only: set-up starts here.

setup.py     the lock file into .venv, the page into web/dist; a no-op when nothing changed
node.py      which Node builds the page: the machine's, or the one of a wheel
web.py       npm in web/: install, build, and the scripts of package.json
chromium.sh  Chromium for the browser tests, from Debian, where it is missing
"""
