"""A trainer's child that starts a process of its own, whose id it writes to the file that its input names."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.stdin.buffer.readline()
    body = json.loads(sys.stdin.buffer.read())
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(body["model"]).write_text(str(grandchild.pid))
    time.sleep(600)
