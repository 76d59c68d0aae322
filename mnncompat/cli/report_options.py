"""Options that say how results are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from mnncompat.cli.console import Reporting, be_quiet
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
Html = Annotated[
    Path | None,
    option("--html", metavar="FILE", help="Write a page for the browser as well: results and graphs, in one file."),
]
Chart = Annotated[
    bool,
    option(
        "--chart",
        help="Draw after the report: agreement by draw and distributions of each output, the error along the graph; "
        "text only.",
    ),
]
Statistics = Annotated[
    bool, option("--statistics", help="Begin with the verdict over all models, and with totals by rule.")
]
Verbose = Annotated[bool, option("-v", "--verbose", help="Show every place and all evidence; text only.")]
Quiet = Annotated[bool, option("-q", "--quiet", help="No progress and notes on stderr; errors stay.")]


class ReportOptions(NamedTuple):
    """How a command reports."""

    output_format: Format = "text"
    output_file: OutputFile = None
    html: Html = None
    chart: Chart = False
    quiet: Quiet = False

    def begin(self) -> Reporting:
        """How results are reported, if that can be done; progress is quiet from now on if it is to be.

        Raises:
            UsageError: There is no such format.
            OutputError: The file cannot be written.
        """
        be_quiet(quiet=self.quiet)
        return Reporting(self.output_format, self.output_file, html=self.html, chart=self.chart).checked()


class ManyReportOptions(NamedTuple):
    """How a command reports on several models."""

    output_format: Format = "text"
    output_file: OutputFile = None
    html: Html = None
    chart: Chart = False
    statistics: Statistics = False
    verbose: Verbose = False
    quiet: Quiet = False

    def begin(self) -> Reporting:
        """As `ReportOptions.begin`."""
        be_quiet(quiet=self.quiet)
        return Reporting(
            self.output_format, self.output_file, self.statistics, self.verbose, self.html, self.chart
        ).checked()


REPORTS, MANY_REPORTS = ReportOptions(), ManyReportOptions()
"""As they are by default."""
