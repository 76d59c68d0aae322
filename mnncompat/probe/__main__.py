"""`python -m mnncompat.probe ...` is `mnncompat probe ...`."""

import sys

from mnncompat.cli import main

sys.exit(main(["probe", *sys.argv[1:]]))
