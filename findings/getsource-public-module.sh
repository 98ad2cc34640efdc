#!/usr/bin/env bash
# inspect.getsource on a class whose `__module__` was set to the public package (Python 3.13).
#
# httpx sets `__module__ = "httpx"` on its exports. Since Python 3.13, assigning `__module__` to a
# class removes its `__firstlineno__`, so getsource raises OSError instead of looking at the wrong
# file. But that happens in `type`'s own setter, which a metaclass written in Python hides with its
# own `__module__`: for enums and for classes of abc.ABCMeta, the line number stays, and getsource
# reads that line of the package's __init__.py. What comes back has nothing to do with the class.
set -euo pipefail

# Set PYTHON to a Python 3.13, unless python3.13 is one.
python=${PYTHON:-python3.13}
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || { echo "needs Python 3.13"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1

cat > "$folder/look.py" <<'PY'
import inspect
import sys
from importlib.metadata import version

import httpx

print("Python", sys.version.split()[0], "httpx", version("httpx"))
print("httpx.Timeout (metaclass type):", "__firstlineno__" in vars(httpx.Timeout))
print("httpx.codes (metaclass EnumType):", "__firstlineno__" in vars(httpx.codes))
for cls in (httpx.Timeout, httpx.Headers, httpx.codes):
    try:
        text = inspect.getsource(cls)
    except Exception as error:
        print(f"getsource({cls.__name__}): {type(error).__name__}: {error}")
    else:
        print(f"getsource({cls.__name__}): {text.strip()[:60]!r}")
PY
out=$("$folder/venv/bin/python" "$folder/look.py")
echo "$out"
grep -q "httpx.Timeout (metaclass type): False" <<< "$out" || { echo "changed"; exit 1; }
grep -q "httpx.codes (metaclass EnumType): True" <<< "$out" || { echo "changed"; exit 1; }
grep -q "getsource(Timeout): OSError: source code not available" <<< "$out" || { echo "changed"; exit 1; }
grep -q "getsource(codes): 'from ._" <<< "$out" || { echo "changed"; exit 1; }
echo "As found: no source for a plain class, unrelated source for an enum."
