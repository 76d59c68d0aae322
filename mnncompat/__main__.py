"""`python -m mnncompat`."""

import sys

from mnncompat.cli import main

sys.exit(main())
