# Hundreds of communities, a million posts a day; deployed by the workflows of a repository, with a key of one's own.
project             = "example-threadlake-large"
start               = "2026-11-01"
region              = "europe-west1"
kms_key             = "projects/example-keys/locations/europe-west1/keyRings/data/cryptoKeys/threadlake"
machine_type        = "e2-standard-8"
disk_gb             = 200
snapshots_kept_days = 30
cloud_run_cpu       = 8
lake_undelete_days  = 30
lake_cold_after_days = {
  NEARLINE = 60
  COLDLINE = 180
  ARCHIVE  = 730
}
operators         = ["group:data-engineers@example.org"]
dashboard         = true
dashboard_readers = ["domain:example.org"]
secrets           = ["DISCORD_TOKEN", "THREADLAKE_WEBHOOK", "DISCOURSE_KEY_FORUM_EXAMPLE_ORG"]
settings          = { THREADLAKE_CONTACT = "data@example.org" }
alert_email       = "data@example.org"
billing_account   = "012345-6789AB-CDEF01"
budget            = 1500
github_repository = "example/threadlake"
state_bucket      = "example-threadlake-large-state"
