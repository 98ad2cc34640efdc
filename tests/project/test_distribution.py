"""What users install: the built wheel and sdist, in an environment that has nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = {"anyio", "attrs", "cattrs", "httpx", "tenacity"}


def run(*command: str | Path, cwd: Path, python: Path | None = None, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python is not None:
        environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(  # noqa: S603 - commands of this file
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # By way of the sdist, so that the wheel proves that nothing is missing in it.
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel alone."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wheel = next(dist.glob("*.whl"))
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel, cwd=folder)
    return python


def test_the_wheel_holds_the_package_with_its_plugin_and_nothing_else(dist: Path) -> None:
    names = zipfile.ZipFile(next(dist.glob("*.whl"))).namelist()
    assert "webhooks_sdk/py.typed" in names
    in_tree = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    # Data as well as code.
    assert {"webhooks_sdk/sandbox/openapi.json", "pytest_webhooks_sdk.py"} <= in_tree
    assert {name for name in names if ".dist-info" not in name} == in_tree
    assert "webhooks_sdk/sandbox/inspector/templates/list.html" in names


def test_the_sdist_holds_what_its_tests_need(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt"}
    # The sdist can run every target of its Makefile.
    needed |= set(re.findall(r"[\w-]+\.(?:txt|toml)", (ROOT / "Makefile").read_text("utf-8")))
    assert "constraints-lowest.txt" in needed
    assert needed - {"others.txt"} <= names  # written by the Makefile itself
    assert "tests/typing/api.py" in names


def test_it_imports_without_extras_and_says_which_one_is_missing(installed: Path) -> None:
    assert run(installed, "-c", "import webhooks_sdk as w; print(w.Client)", cwd=installed.parent)
    said = run(
        installed,
        "-c",
        "try:\n import webhooks_sdk.sandbox\nexcept ImportError as error:\n print(error)",
        cwd=installed.parent,
    )
    assert "webhooks-sdk[sandbox]" in said


def test_its_dependencies_are_those_of_the_core(installed: Path) -> None:
    script = (
        "from importlib.metadata import requires\n"
        "print(*(r for r in requires('webhooks-sdk') if 'extra' not in r), sep='\\n')"
    )
    lines = run(installed, "-c", script, cwd=installed.parent).split("\n")
    names = {"".join(c if c.isalpha() else " " for c in line).split()[0] for line in lines if line}
    assert names == CORE


def test_the_pytest_plugin_comes_along_and_says_which_extra_is_missing(
    dist: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = (python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
    wheel = next(dist.glob("*.whl"))
    run(*install, wheel, "pytest", cwd=tmp_path)
    (tmp_path / "test_plugin.py").write_text(
        "def test(webhooks_sandbox, webhooks_subscriber):\n"
        "    assert webhooks_sandbox.publish('application_form', {}) == ()\n"
    )
    tests = (python, "-m", "pytest", "-q", "-W", "error", "test_plugin.py")
    said = run(*tests, cwd=tmp_path, status=1)
    assert "pip install 'webhooks-sdk[sandbox]'" in said
    assert "Traceback" not in said
    run(*install, f"{wheel}[sandbox]", cwd=tmp_path)
    assert "1 passed" in run(*tests, cwd=tmp_path)


@pytest.fixture(scope="module")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    source = ROOT / "tests" / "typing" / "api.py"
    target = folder / "integration.py"
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def test_mypy_understands_a_users_file(installed: Path, users_file: Path) -> None:
    said = run(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        f"--python-executable={installed}",
        users_file.name,
        cwd=users_file.parent,
    )
    assert "Success" in said


def test_pyright_understands_a_users_file(installed: Path, users_file: Path) -> None:
    config = users_file.parent / "pyrightconfig.json"
    config.write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    pyright = Path(sys.executable).with_name("pyright")
    said = run(pyright, "--pythonpath", installed, users_file.name, cwd=users_file.parent)
    assert "0 errors" in said


def test_every_public_type_is_known(installed: Path, tmp_path: Path) -> None:
    pyright = Path(sys.executable).with_name("pyright")
    # With --verifytypes pyright knows no --pythonpath: it asks the first python in the PATH.
    command = (pyright, "--verifytypes", "webhooks_sdk", "--ignoreexternal")
    said = run(*command, cwd=tmp_path, python=installed)
    assert "Type completeness score: 100%" in said
