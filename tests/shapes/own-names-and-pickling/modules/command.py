NAME = "user command"
