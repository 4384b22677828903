# Special: only a child interpreter imports wandb.
import subprocess
import sys

done = subprocess.run([sys.executable, "child.py", *sys.argv[1:]], check=False)
print("parent", done.returncode)
sys.exit(done.returncode)
