NAME = "user metrics"
