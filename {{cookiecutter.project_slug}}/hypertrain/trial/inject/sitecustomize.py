"""Python imports this at the start of every interpreter of a trial: PYTHONPATH begins with its folder.

Nothing of ours is left on the stack, nor this folder on the path, when the program then begins.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
sys.path[:] = [entry for entry in sys.path if entry != _HERE]
if sys.version_info >= (3, 11):  # a program may call another, older Python
    sys.path.insert(0, _ROOT)
    if "HYPERTRAIN_WARM" in os.environ:
        from hypertrain.warm import preload

        preload.serve()
    from hypertrain.trial import record

    record.record()
    sys.path.remove(_ROOT)
# The user's own module of this name, if there is one.
del sys.modules["sitecustomize"]
import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
