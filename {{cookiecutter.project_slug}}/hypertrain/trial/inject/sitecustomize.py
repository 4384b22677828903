"""Records what a trial logs when its command is not a plain Python program.

Python imports this by itself at start, because the trial's PYTHONPATH begins with this folder.
"""

import os
import sys

sys.path.append(os.environ["HYPERTRAIN_ROOT"])
from hypertrain.trial import record

sys.path.remove(os.environ["HYPERTRAIN_ROOT"])
record.record()
