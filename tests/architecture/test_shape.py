"""The shape of the code: sizes, names and the prose that has to be there."""

import ast
from pathlib import Path

from tests.architecture.tree import PACKAGES, ROOT, functions, python, text, tree

MODULE_LINES = 350
FUNCTION_LINES = 60
#: Suffixes that say nothing about what a class is.
EMPTY_WORDS = ("Base", "Helper", "Helpers", "Manager", "Service", "Util", "Utils")


def test_modules_fit_a_reader() -> None:
    """A module is one noun; past 350 lines it is two."""
    sizes = {str(path): len(text(path).splitlines()) for path in python()}

    assert {} == {path: size for path, size in sizes.items() if size > MODULE_LINES}


def test_functions_fit_a_screen() -> None:
    """What does not fit a screen is read twice."""
    sizes = {
        f"{path}:{each.name}": (each.end_lineno or each.lineno) - each.lineno + 1
        for path in python()
        for each in functions(path)
    }

    assert {} == {name: size for name, size in sizes.items() if size > FUNCTION_LINES}


def test_class_names_say_what_they_are() -> None:
    """No Manager, Helper, Util, Service or Base."""
    names = [f"{path}:{node.name}" for path in python() for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]

    assert [] == [name for name in names if name.endswith(EMPTY_WORDS)]


def test_a_package_docstring_is_its_map() -> None:
    """It names every file and folder of the package, so that a reader finds the place from there."""
    missing = []
    for path in python(*PACKAGES, "scripts", "tests"):
        folder = path.parent
        if path.name != "__init__.py":
            within, name = folder, path.name
            if path.parts[0] == "tests" and name.startswith("test_"):
                # Its own name and its own docstring say what it is about.
                continue
        elif len(folder.parts) > 1:
            within, name = folder.parent, f"{folder.name}/"
        else:
            continue
        if name not in (ast.get_docstring(tree(within / "__init__.py")) or ""):
            missing.append(f"{within}/__init__.py does not tell of {name}")

    assert [] == missing


def test_a_map_names_nothing_that_is_gone() -> None:
    """Every file a package docstring lists is there."""
    gone = []
    for path in python(*PACKAGES, "scripts", "tests"):
        if path.name == "__init__.py":
            lines = (ast.get_docstring(tree(path)) or "").splitlines()
            first = [line.split()[0] for line in lines[1:] if line.split()]
            listed = [word for word in first if word.endswith((".py", "/"))]
            gone += [f"{path}: {word}" for word in listed if not (ROOT / path.parent / word).exists()]

    assert [] == gone


def test_every_test_says_what_it_promises() -> None:
    """A test's docstring is the promise it keeps; whoever breaks it reads that first."""
    tests = [(path, each) for path in python("tests") for each in functions(path) if each.name.startswith("test_")]

    assert tests
    assert [] == [f"{path}:{each.name}" for path, each in tests if not ast.get_docstring(each)]


def test_no_test_sleeps() -> None:
    """Tests wait for conditions with tests.waits; sleep(0), which only lets others run, is none."""
    sleeps = [
        f"{path}:{node.lineno}"
        for path in python("tests")
        if path.name not in {"waits.py", "faults.py"}
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]

    assert [] == sleeps


def test_a_missing_backend_never_skips_a_test() -> None:
    """One that did not run proves nothing. Mounting a small disk alone may be skipped: no set-up can get that right."""
    skips = [
        f"{path}:{node.lineno}"
        for path in python("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"skip", "skipif", "importorskip", "xfail"}
        and "mount" not in ast.unparse(node)
    ]

    assert [] == skips


def test_nobody_takes_anything_from_a_shared_log() -> None:
    """Who makes a log forget has a broker of its own: whichever test shared it next would be told of a loss."""
    takers = [
        f"{path}:{each.name}"
        for path in python("tests")
        for each in functions(path)
        if each.name.startswith("test_")
        and path.name != Path(__file__).name
        and any(word in ast.unparse(each) for word in ("STREAM.PURGE", "STREAM.DELETE", "purge_live_log"))
        and "nats_server" in {argument.arg for argument in each.args.args}
    ]

    assert [] == takers


def test_no_event_loop_is_handed_a_pipe() -> None:
    """A socket it is: a pipe is closed twice by uvloop, in between it may be another thread's file (MagicStack/uvloop#763)."""
    pipes = {"connect_read_pipe", "connect_write_pipe"}
    calls = [
        f"{path}:{node.lineno}"
        for path in python(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in pipes
    ]

    assert [] == calls
