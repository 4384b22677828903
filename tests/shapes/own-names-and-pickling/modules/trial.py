NAME = "user trial"
