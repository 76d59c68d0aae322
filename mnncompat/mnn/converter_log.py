"""What MNN printed, without what it prints every time."""

from __future__ import annotations

import re

_STAMP = re.compile(r"^\[\d\d:\d\d:\d\d\] \S*:\d+:\s*")
_ROUTINE = re.compile(
    r"""^(?:
        The\ device\ supports?:.*
      | Start\ to\ (?:Convert|Optimize)\b.*
      | TargetVersion\ is\ .*
      | ONNX\ Model\ (?:ir|opset)\ version:.*
      | Check\ it\ out\ ==>.*
      | inputTensors\ ?:.*
      | outputTensors\ ?:.*
      | Converted\ (?:Success!|Failed!)
      | Don't\ has\ bizCode.*
      | MNNModel\ .*\ has\ convert\ to\ JsonFile\ .*
      | Fuse\w+\ as\ .*
      | gen\ Static\ Model.*
      | Use\ While\ to\ compute\ .*
      | Insert\ Extra\ graph:.*
      | Rebuild\ subgraph\ for\ .*
      | The\ model\ has\ subgraphs,.*
      | \s*
    )$""",
    re.VERBOSE,
)

SUCCESS = "Converted Success!"
"""What the converter prints when it believes that it wrote the file."""


def relevant_lines(output: str) -> str:
    """Keep the lines that say something about this model, once each, without time stamps and source lines.

    Args:
        output: What was printed on both descriptors.

    Returns:
        Lines joined by newlines; empty when there was nothing but routine.
    """
    lines = (_STAMP.sub("", line.rstrip()) for line in output.splitlines())
    return "\n".join(dict.fromkeys(line.strip() for line in lines if not _ROUTINE.match(line)))


def last_line(words: str) -> str:
    """The last line of `relevant_lines` words: what was said just before it was over. Empty for no words."""
    return words.rpartition("\n")[2]
