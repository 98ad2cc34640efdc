#!/usr/bin/env bash
# attrs: `Attribute` is generic for type checkers, and not at run time.
#
# A validator annotated with `attrs.Attribute[int]` passes mypy --strict, but the module that
# defines it cannot be imported (from Python 3.14 on: its annotations cannot be evaluated), unless
# annotations are strings. The stubs declare the class as
# Generic; the class itself has no __class_getitem__. So the annotation has to be quoted in modules
# that evaluate their annotations.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check attrs==26.1.0 mypy==2.4.1

cat > "$folder/validator.py" <<'PY'
import attrs


def positive(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value <= 0:
        raise ValueError(attribute.name)


@attrs.frozen
class Limit:
    seconds: int = attrs.field(validator=positive)
PY

cd "$folder"
checked=$("$folder/venv/bin/mypy" --strict validator.py)
raised=$("$folder/venv/bin/python" -c 'import typing, validator; typing.get_type_hints(validator.positive)' 2>&1 | tail -n 1 || true)
echo "attrs $("$folder/venv/bin/python" -c 'import importlib.metadata as m; print(m.version("attrs"))')"
echo "mypy --strict: $checked"
echo "import:        $raised"

[[ $checked == Success* ]] || { echo "changed: mypy no longer accepts attrs.Attribute[int]"; exit 1; }
[[ $raised == "TypeError: "*"is not subscriptable" ]] || { echo "changed: the import no longer fails this way"; exit 1; }
echo "As found: accepted by the type checker, refused at run time."
