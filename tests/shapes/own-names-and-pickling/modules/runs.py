NAME = "user runs"
