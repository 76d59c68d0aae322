"""What MNN printed, without the lines that it prints for every model."""

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
      | Fuse\w+\ as\ .*
      | gen\ Static\ Model.*
      | Save\ Weight\ to\ .*
      | Use\ While\ to\ compute\ .*
      | Insert\ Extra\ graph:.*
      | Rebuild\ subgraph\ for\ .*
      | MNN\ use\ (?:high|low|normal)\ precision.*
      | \s*
    )$""",
    re.VERBOSE,
)

SUCCESS = "Converted Success!"
"""Printed by the converter when it reports success."""


def relevant_lines(output: str) -> str:
    """Keep the lines about this model, once each, without time stamps and source lines.

    Args:
        output: What was printed on both descriptors.

    Returns:
        Lines joined by newlines; empty if it printed nothing about this model.
    """
    lines = (_STAMP.sub("", line.rstrip()) for line in output.splitlines())
    return "\n".join(dict.fromkeys(line.strip() for line in lines if not _ROUTINE.match(line)))


def last_line(words: str) -> str:
    """The last line of what `relevant_lines` returned; empty if there is none."""
    return words.rpartition("\n")[2]
