"""What `mnncompat dev` writes: a row of the table and a rewrite, with TODO where only the author knows."""

from __future__ import annotations

import re
from pathlib import Path

from mnncompat.errors import UsageError
from mnncompat.support import rule_files

_CODE = re.compile(r"\bMNN[0-9]{3}\b")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_REWRITES = ("8", "9")
"""First digits of the codes of rewrites."""
_OTHERS = "6"
"""First digit of the codes of rows about operators that have none yet."""


def checkout() -> Path:
    """The folder of the checkout that mnncompat runs from.

    Raises:
        UsageError: It runs from a wheel, where there is nothing to edit.
    """
    package = Path(__file__).resolve().parent.parent
    if rule_files.root().parent != package.parent or not (package.parent / "pyproject.toml").is_file():
        raise UsageError(
            "`mnncompat dev` edits a checkout, and this mnncompat is installed without one",
            hint="clone the repository, and install it there: pip install -e .",
        )
    return package.parent


def next_row_code(op: str = "") -> str:
    """The next free code for a row, in the hundred that most rows of an operator have.

    Args:
        op: The operator; one without rows, or none, gets the hundred of what is in no other.
    """
    file = rule_files.root() / "ops" / f"{op}.toml"
    own = [code[3] for code in _CODE.findall(file.read_text())] if op and file.is_file() else []
    digits = [digit for digit in own if digit not in ("0", *_REWRITES)]
    return _free((max(sorted(set(digits)), key=digits.count) if digits else _OTHERS,))


def next_rewrite_code() -> str:
    """The next free code for a rewrite."""
    return _free(_REWRITES)


def write_row(op: str) -> tuple[Path, str]:
    """Append a row to the file of an operator; returns the file and the row's code.

    Raises:
        UsageError: ONNX has no such operator, or this is no checkout.
    """
    import onnx

    root = checkout()
    if not onnx.defs.has(op):
        raise UsageError(f"ONNX has no operator '{op}'", hint="names are spelled as in ONNX: Gemm, HardSigmoid")
    file, code = root / "rules" / "ops" / f"{op}.toml", next_row_code(op)
    before = file.read_text() if file.is_file() else ""
    file.write_text(f"{before}\n{_ROW}".lstrip("\n").replace("CODE", code).replace("OP", op.lower()))
    return file, code


def write_rewrite(name: str, family: str, op: str) -> tuple[Path, str]:
    """Write the file of a rewrite; returns the file and the rewrite's code.

    Raises:
        UsageError: The name is no name or taken, there is no such family or operator, or this is no checkout.
    """
    import onnx

    from mnncompat.rewrites.index import rewrite_named

    rewrites = checkout() / "mnncompat" / "rewrites"
    families = sorted(each.parent.name for each in rewrites.glob("*/__init__.py") if each.parent.name != "core")
    if family not in families:
        raise UsageError(f"there is no family '{family}'", hint=f"there are: {', '.join(families)}")
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name of a rewrite", hint="words in lower case, with hyphens: reduce-axes")
    if rewrite_named(name) is not None:
        raise UsageError(f"there is a rewrite '{name}'", hint=f"`mnncompat rule {name}` shows it")
    if not onnx.defs.has(op):
        raise UsageError(f"ONNX has no operator '{op}'", hint="names are spelled as in ONNX: Gemm, HardSigmoid")
    file, code = rewrites / family / f"{name.replace('-', '_')}.py", next_rewrite_code()
    words = {"CODE": code, "NAME": name, "CLASS": "".join(map(str.capitalize, name.split("-"))), "OPERATOR": op}
    text = _REWRITE
    for word, value in words.items():
        text = text.replace(word, value)
    file.write_text(text)
    return file, code


def _free(digits: tuple[str, ...]) -> str:
    """A code that nothing has, or ever had, beginning with one of the digits."""
    used = _used()
    codes = [f"MNN{digit}{number:02}" for digit in digits for number in range(100)]
    behind = max((position for position, code in enumerate(codes) if code in used), default=-1) + 1
    free = [code for code in [*codes[behind:], *codes[:behind]] if code not in used]
    if not free:
        raise UsageError(f"no code is left that begins with {' or '.join(digits)}", hint="take another hundred")
    return free[0]


def _used() -> set[str]:
    """Every code that rules, rewrites and results mention, those that are retired included."""
    root = rule_files.root()
    files = [*root.glob("ops/*.toml"), *root.glob("*.toml"), *Path(__file__).resolve().parent.parent.rglob("*.py")]
    return {code for file in files for code in _CODE.findall(file.read_text())}


_ROW = """[[support]]
code = "CODE"
name = "OP-todo"
mnn = ">=3.0"
when = {}
status = "wrong"
reason = "TODO: the cause and what MNN does, such as: {op} without strides divides by zero when it runs"
advice = "TODO: what to do, or remedy = the name of a rewrite"
evidence = ["measured: TODO: the models on both sides of the condition, and what MNN made of them"]
"""

_REWRITE = '''"""TODO: what this makes of OPERATOR, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CLASS(NodeRewrite):
    """TODO: what it does to OPERATOR, in one line.

    **What.** TODO: which nodes.

    **Why.** TODO: what MNN does with them.

    **Before and after**::

        y = OPERATOR(x)
        y = TODO

    **Algebra.** TODO: why both are equal.

    **Refuses** TODO: preconditions that may not hold.

    **Source.** https://onnx.ai/onnx/operators/onnx__OPERATOR.html
    """

    code = "CODE"
    name = "NAME"
    summary = "TODO: reads after `OPERATOR: ` in a report"
    op_types = ("OPERATOR",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit TODO."""
        if not new.input(0).is_float:
            raise NotApplicable("TODO: the precondition, with the actual values")
        return new.op("OPERATOR", new.input(0))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """TODO: which forms, and which look-alikes."""
        return (
            rewritten("TODO: a form", "(float[2,3] x) => (float[2,3] y) { y = OPERATOR(x) }", opset=17),
            unchanged("TODO: without the hazard", "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }", opset=17),
            refused(
                "TODO: no precondition",
                "TODO: the precondition",
                "(int64[2,3] x) => (int64[2,3] y) { y = OPERATOR(x) }",
                opset=17,
            ),
        )
'''
