# The way in: people and CI run these recipes, through ./just, and nothing else.

set positional-arguments

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export UV_PROJECT_ENVIRONMENT := justfile_directory() / ".venv"

alone := "tests/e2e/test_page.py tests/e2e/test_page_recording.py tests/e2e/test_nodes.py"

_default:
    @just --list --unsorted

[group("run")]
[doc("install everything and build the page; does nothing when nothing changed")]
setup:
    @python -m scripts.setup

[group("run")]
[doc("run Ovation on this machine with a demo stream; prints the address")]
up *args: setup
    @exec ovation up --demo "$@"

[group("run")]
[doc("any other command of Ovation: status, doctor, token, topology ...")]
ovation *args: setup
    @exec ovation "$@"

[group("check")]
[doc("everything CI runs: the checks, the page's tests, then all of pytest")]
test: setup _cassandra_meanwhile chromium proxies _gstreamer check web
    # Alone what is timed by people, and three databases, which take both cores; the rest mostly waits: two files at a time.
    pytest {{ alone }} && pytest -n 2 --dist loadfile --no-loadscope-reorder {{ prepend("--ignore=", alone) }}

[group("check")]
[doc("format, lint, types, import rules; no test")]
check: setup
    ruff format --check --quiet .
    ruff check --quiet .
    mypy
    lint-imports --no-logo

[group("check")]
[doc("tests without sockets, and those of the tree itself: seconds")]
unit *args: setup
    pytest tests/unit tests/architecture "$@"

[group("check")]
[doc("tests against a real nats-server, SQLite and FFmpeg")]
integration *args: setup proxies _cassandra
    pytest tests/contract tests/integration "$@"

[group("check")]
[doc("tests of whole processes, killed and restarted, and of the page in Chromium")]
e2e *args: setup chromium _gstreamer
    pytest tests/e2e "$@"

[group("check")]
[doc("the page: types and tests")]
web: setup
    python -m scripts.web check
    python -m scripts.web test

[group("check")]
[doc("a benchmark by its name: writes, path, storm ...; see bench/README.md")]
bench name *args: setup
    @[ "$1" != report ] || uv sync --frozen --inexact --quiet --group bench
    @name="bench.$1"; shift; exec python -m "$name" "$@"

[group("change")]
[doc("format, and mend what the linter can mend")]
fmt: setup
    ruff format --quiet .
    ruff check --quiet --fix .

[group("change")]
[doc("regenerate what is written from the code: schemas, API documents, page types, reference pages")]
schemas: setup
    python -m schemas.generate
    python -m scripts.reference

[group("tidy")]
[doc("install Chromium for the browser tests where it is missing")]
chromium:
    @sh scripts/chromium.sh

[group("tidy")]
[doc("unpack nginx and HAProxy for the tests behind them where they are missing")]
proxies:
    @sh scripts/proxies.sh

_cassandra:
    @python -m scripts.cassandra

# Half a minute of waiting for a registry, which the checks need not wait for; a test that needs it does.
_cassandra_meanwhile:
    @nohup python -m scripts.cassandra </dev/null >.venv/cassandra.log 2>&1 &

_gstreamer:
    @sh scripts/gstreamer.sh

[group("tidy")]
[doc("remove what set-up and tests made; Ovation's data in .ovation stays")]
clean:
    rm -rf .venv web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
