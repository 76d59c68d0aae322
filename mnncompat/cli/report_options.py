"""Options that say how results are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mnncompat.cli.declared import option

Format = Annotated[
    str,
    option(
        "--output-format",
        metavar="FORMAT",
        help="text, concise, json, sarif, github, gitlab (code quality), junit or markdown.",
    ),
]
OutputFile = Annotated[
    Path | None, option("--output-file", metavar="FILE", help="Write the report there, not to standard output.")
]
Statistics = Annotated[
    bool, option("--statistics", help="Begin with the verdict over all models, and with totals by rule.")
]
Verbose = Annotated[bool, option("-v", "--verbose", help="Show every place and all evidence; text only.")]
Quiet = Annotated[bool, option("-q", "--quiet", help="No progress and notes on stderr; errors stay.")]
