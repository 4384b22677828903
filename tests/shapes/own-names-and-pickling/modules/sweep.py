NAME = "user sweep"
