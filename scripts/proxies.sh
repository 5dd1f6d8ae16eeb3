#!/bin/sh
# nginx and HAProxy for the tests behind real proxies: there already, or Debian's packages, unpacked into .venv/proxies. They
# are unpacked and not installed, so that no service starts on this machine and nobody has to be root.
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
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
mkdir -p "$cache/archives/partial"
download() {
    # With a cache of our own and no locks this works for everybody; what they depend on and is not installed comes along.
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --download-only --no-install-recommends \
        -o Debug::NoLocking=1 -o Dir::Cache="$cache" -o APT::Sandbox::User="$(id -un)" $missing </dev/null >/dev/null
}
if ! download 2>"$cache/why"; then
    if [ "$(id -u)" -ne 0 ]; then
        cat "$cache/why" >&2
        echo "if it cannot find the packages, run: sudo apt-get update" >&2
        exit 1
    fi
    apt-get update -qq
    download
fi
for package in "$cache"/archives/*.deb; do
    dpkg -x "$package" "$into"
done
mkdir -p "$into/bin"
for program in $missing; do
    cat >"$into/bin/$program" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$(echo "$into"/usr/lib/*-linux-*) exec "$into/usr/sbin/$program" "\$@"
WRAPPER
    chmod +x "$into/bin/$program"
    "$into/bin/$program" -v >/dev/null 2>&1
done
