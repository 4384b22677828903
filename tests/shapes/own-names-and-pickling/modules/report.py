NAME = "user report"
