"""A short campaign whose workers are killed, with a model that kills its worker; `make campaigns` runs long ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_campaign_with_faults_gives_what_one_process_gives() -> None:
    program = Path(__file__).with_name("campaigns.py")
    words = ["--campaigns", "1", "--models", "40", "--kills", "2", "--pause", "1"]
    done = subprocess.run([sys.executable, program, *words], check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 campaigns of 40 models: 0 not right" in done.stdout
