#!/bin/sh
# Special: the command is a shell script that sets up things and starts Python.
set -e
mkdir -p out
export STEPS=3
python train.py "$@" 2>&1 | tee "out/log$1.txt"
echo "done: $1"
