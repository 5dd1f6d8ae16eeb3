# Sourced, not run: `unpack FOLDER PACKAGE...` puts Debian's packages, and what they depend on and is not installed, into FOLDER.
# They are unpacked and not installed, so that no service starts on this machine and nobody has to be root.
# shellcheck shell=sh

unpack() {
    into=$1
    shift
    cache=$(mktemp -d)
    trap 'rm -rf "$cache"' EXIT
    mkdir -p "$cache/archives/partial"
    if ! download "$@" 2>"$cache/why"; then
        if [ "$(id -u)" -ne 0 ]; then
            cat "$cache/why" >&2
            echo "if it cannot find the packages, run: sudo apt-get update" >&2
            exit 1
        fi
        apt-get update -qq
        download "$@"
    fi
    for package in "$cache"/archives/*.deb; do
        dpkg -x "$package" "$into"
    done
}

download() {
    # With a cache of our own and no locks this works for everybody.
    apt-get install -qq -y --download-only --no-install-recommends \
        -o Debug::NoLocking=1 -o Dir::Cache="$cache" -o APT::Sandbox::User="$(id -un)" "$@" </dev/null >/dev/null
}
