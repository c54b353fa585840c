# A team's first set-up: a handful of communities, some thousand posts a day. `threadlake cost` says about what it costs.
project     = "example-threadlake"
start       = "2026-11-01"
region      = "europe-west1"
alert_email = "data@example.org"
operators   = ["user:somebody@example.org"]
settings    = { THREADLAKE_CONTACT = "data@example.org" }
