NAME = "user summary"
