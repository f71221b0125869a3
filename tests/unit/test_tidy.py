"""The tree keeps its own rules: who imports whom, what is said, what is never said.

Method: every tracked file is read as text or as a syntax tree; nothing is imported but in fresh
processes. A rule that a tool enforces by itself (ruff, mypy) is not repeated here.
"""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("host/tickwire", "hw/tickwire_hw", "sim/tickwire_sim")
LINES_MAX = 400
LONGER = {"host/tickwire/kernels/memory.py": 500}    # one short intrinsic after another

# What a module below the first path may import of ours; the longest path that fits decides.
ALLOWED = {
    "host/tickwire": ("tickwire",),
    "host/tickwire/errors.py": (),
    "host/tickwire/spec": ("tickwire.spec",),
    "host/tickwire/kernels": ("tickwire.spec", "tickwire.kernels", "tickwire.errors"),
    "hw/tickwire_hw": ("tickwire.spec", "tickwire_hw"),
    "hw/tickwire_hw/platform/placement": ("tickwire.kernels.jit", "tickwire_hw.platform"),
    "hw/tickwire_hw/platform/routing": ("tickwire.kernels.jit", "tickwire_hw.platform"),
    "sim/tickwire_sim": ("tickwire", "tickwire_hw", "tickwire_sim"),
}
COMPILE = ("host/tickwire/kernels/jit.py", "host/tickwire/kernels/memory.py")
OURS = ("tickwire", "tickwire_hw", "tickwire_sim")


@functools.cache
def tracked() -> tuple[str, ...]:
    """Return every file that is or would be tracked, by its path below the root."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("the tracked files are known only in a git work tree")
    return tuple(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


def python(*folders: str) -> list[str]:
    """Return the Python files below ``folders``."""
    return [path for path in tracked() if path.endswith(".py")
            and path.startswith(tuple(f"{folder}/" for folder in folders))]


@functools.cache
def content(path: str) -> str:
    """Return the text of a tracked file, empty for one that is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@functools.cache
def tree(path: str) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(content(path), path)


@functools.cache
def generated() -> frozenset[str]:
    """Return the paths that are derived from the tables."""
    from tickwire.spec import generate
    return frozenset(generate.files())


def imports(path: str) -> Iterator[tuple[str, int, bool]]:
    """Yield each module that a file imports, the line, and whether that waits for a call.

    What is imported for annotations alone counts as waiting.
    """
    package = path.split("/")[1:-1]
    inside = {id(node) for outer in ast.walk(tree(path))
              if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
              or (isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING")
              for node in ast.walk(outer)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node.lineno, id(node) in inside


def definitions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the public functions, classes and methods of a file."""
    def walk(body: list[ast.stmt]):
        for node in body:
            if (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                    and not node.name.startswith("_")):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body)
    yield from walk(tree(path).body)


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """Return the names of the decorators of ``node``, without modules and arguments."""
    calls = [entry.func if isinstance(entry, ast.Call) else entry for entry in node.decorator_list]
    return {ast.unparse(entry).rpartition(".")[2] for entry in calls}


# Who imports whom


@pytest.mark.parametrize("package", PACKAGES)
def test_dependencies_point_one_way(package):
    wrong = []
    for path in python(package):
        rule = max((prefix for prefix in ALLOWED if f"{path}/".startswith(f"{prefix}/")), key=len)
        for name, line, is_inside in imports(path):
            if name.split(".")[0] not in OURS:
                continue
            is_venue = path == "host/tickwire/commands/venue.py" and is_inside
            if is_venue and name.startswith("tickwire_sim"):
                continue
            if not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED[rule]):
                wrong.append(f"{path}:{line} imports {name}; {rule} may import "
                             f"{', '.join(ALLOWED[rule]) or 'nothing'} of ours")
    assert not wrong, "\n".join(wrong)


def test_the_tables_load_without_a_compiler_or_a_hardware_language():
    modules = [path.removeprefix("host/").removesuffix(".py").replace("/", ".")
               for path in python("host/tickwire/spec")]
    names = [name.removesuffix(".__init__") for name in modules]
    script = (f"import sys, importlib\n"
              f"for name in {names!r}: importlib.import_module(name)\n"
              f"found = {{'numba', 'llvmlite', 'amaranth'}} & set(sys.modules)\n"
              f"sys.exit(f'tickwire.spec loads {{found}}' if found else 0)")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_only_the_two_modules_beneath_all_kernels_call_the_compiler():
    wrong = []
    for path in python(*PACKAGES, "bench"):
        if path in COMPILE:
            continue
        for node in ast.walk(tree(path)):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if isinstance(node, ast.Attribute | ast.Name) and name in ("njit", "jit", "cfunc",
                                                                       "jitclass", "vectorize"):
                wrong.append(f"{path}:{node.lineno} uses {name}; use tickwire.kernels.jit")
    assert not wrong, "\n".join(wrong)


# What is said


def test_every_public_thing_says_its_contract():
    wrong = []
    for path in python(*PACKAGES):
        if not ast.get_docstring(tree(path)):
            wrong.append(f"{path}:1 module")
        wrong += [f"{path}:{node.lineno} {node.name}" for node in definitions(path)
                  if not ast.get_docstring(node)
                  # A decorator of the module's own may hand the docstring over.
                  and not any(name.startswith("_") for name in decorators(node))
                  and not decorators(node) & {"overload", "setter"}]
    assert not wrong, "without a docstring:\n" + "\n".join(wrong)


def test_every_test_module_says_its_goal_and_method():
    wrong = [path for path in python("tests")
             if Path(path).name.startswith("test_") and not ast.get_docstring(tree(path))]
    assert not wrong, "without a docstring: " + ", ".join(wrong)


def test_every_function_that_is_not_a_kernel_says_its_types():
    wrong = []
    for path in python("host/tickwire"):
        if path.startswith("host/tickwire/kernels/") or path in generated():
            continue
        for node in definitions(path):
            if isinstance(node, ast.ClassDef) or decorators(node) & {"kernel", "handler"}:
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if arguments and arguments[0].arg in ("self", "cls"):
                arguments = arguments[1:]
            if node.returns is None or any(entry.annotation is None for entry in arguments):
                wrong.append(f"{path}:{node.lineno} {node.name}")
    assert not wrong, "without types:\n" + "\n".join(wrong)


def test_a_module_is_short_enough_to_be_read():
    wrong = []
    for path in python(*PACKAGES, "bench"):
        lines = content(path).count("\n")
        if path.startswith("host/tickwire/spec/") or path in generated():
            continue
        if lines > LONGER.get(path, LINES_MAX):
            wrong.append(f"{path} has {lines} lines, more than {LONGER.get(path, LINES_MAX)}")
    assert not wrong, "\n".join(wrong)


def test_generated_files_are_what_their_tables_say():
    found = subprocess.run([sys.executable, "-m", "tickwire.spec.generate", "--check"],
                           cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_links_between_pages_lead_somewhere():
    wrong = []
    for path in tracked():
        if not path.endswith(".md"):
            continue
        text = re.sub(r"^```.*?^```|`[^`\n]*`", "", content(path), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            linked = (ROOT / path).parent / name if name else ROOT / path
            if not linked.exists():
                wrong.append(f"{path} links to {target}, which is not there")
            elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
                wrong.append(f"{path} links to {target}, which has no such heading")
    assert not wrong, "\n".join(wrong)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of ``page``."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"),
                  flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# What is never said


def test_no_file_names_a_place_that_only_one_machine_has():
    # Spelled in pieces, so that this file passes its own test.
    places = re.compile(r"(?<![\w.$}])/(?:home|Users|root|work|builds?|workspace)" + r"/[\w.]")
    here = [str(path) for path in (ROOT, Path.home()) if len(path.parts) > 2]
    hosts = re.compile("py" + r"pi\.org|pythonhosted" + r"\.org|--(?:extra-)?index" + "-url"
                       + r"|find" + r"-links|index" + r"_url|/simple" + r"/")
    wrong = []
    for path in tracked():
        for number, line in enumerate(content(path).splitlines(), 1):
            if (places.search(line) or hosts.search(line)
                    or any(place in line for place in here)):
                wrong.append(f"{path}:{number}: {line.strip()[:80]}")
    assert not wrong, "a path of one machine, or a package registry:\n" + "\n".join(wrong)


def test_constraints_pin_every_line_to_one_version():
    lines = content("constraints.txt").splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    wrong = [line for line in entries
             if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*", line)]
    assert not wrong, f"not of the form name==version: {wrong}"
    names = [line.partition("==")[0] for line in entries]
    assert names == sorted(set(names)), "constraints.txt is sorted, each package once"


def test_every_dependency_is_pinned():
    import tomllib
    project = tomllib.loads(content("pyproject.toml"))["project"]
    wanted = [*project["dependencies"],
              *(entry for extra in project["optional-dependencies"].values() for entry in extra)]
    pinned = {line.partition("==")[0] for line in content("constraints.txt").splitlines()}
    names = {re.split(r"[\[=><~! ]", entry)[0] for entry in wanted}
    assert names <= pinned, f"not in constraints.txt: {sorted(names - pinned)}"


def test_the_makefile_explains_every_target():
    text = content("Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert phony and set(phony[1].split()) == explained
