#!/bin/sh
# nginx and HAProxy for the tests behind real proxies: there already, or Debian's packages, unpacked into .venv/proxies.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
into=$root/.venv/proxies
PATH=$PATH:/usr/sbin:/usr/local/sbin

missing=
for program in nginx haproxy; do
    command -v "$program" >/dev/null || [ -x "$into/bin/$program" ] || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "the tests behind proxies need nginx and HAProxy:$missing is missing; install it (Debian: sudo apt install$missing)" >&2
    exit 1
fi

echo "Unpacking$missing from Debian's packages"
# shellcheck source=scripts/unpack.sh
. "$root/scripts/unpack.sh"
# shellcheck disable=SC2086 # a list of words
unpack "$into" $missing
mkdir -p "$into/bin"
for program in $missing; do
    cat >"$into/bin/$program" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$(echo "$into"/usr/lib/*-linux-*) exec "$into/usr/sbin/$program" "\$@"
WRAPPER
    chmod +x "$into/bin/$program"
    "$into/bin/$program" -v >/dev/null 2>&1
done
