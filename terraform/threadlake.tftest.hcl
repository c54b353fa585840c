# What must hold whatever else changes. `terraform test` needs no account: the provider is mocked.

mock_provider "google" {
  override_during = plan # nothing is applied: what is protected could not be taken away again

  mock_resource "google_service_account" {
    defaults = {
      email  = "role@example-threadlake.iam.gserviceaccount.com"
      member = "serviceAccount:role@example-threadlake.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_cloud_run_v2_job" {
    defaults = { id = "projects/example-threadlake/locations/europe-west1/jobs/threadlake-warehouse" }
  }
  mock_resource "google_iam_workload_identity_pool" {
    defaults = { name = "projects/123456789012/locations/global/workloadIdentityPools/github" }
  }
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project     = "example-threadlake"
  start       = "2026-11-01"
  alert_email = "data@example.org"
}

run "small" {
  command = plan

  assert {
    condition     = google_storage_bucket.lake.uniform_bucket_level_access && google_storage_bucket.lake.public_access_prevention == "enforced"
    error_message = "The lake must be closed to the public, whatever an object says."
  }
  assert {
    condition     = length([for rule in google_storage_bucket.lake.lifecycle_rule : rule if one(rule.action).type == "Delete"]) == 0
    error_message = "By itself, nothing may delete the lake, which is the truth."
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.lake.lifecycle_rule : one(rule.condition).matches_suffix == tolist([".parquet"]) if one(rule.action).type == "SetStorageClass"])
    error_message = "Commits and states are read daily and must stay in the standard class."
  }
  assert {
    condition     = toset(keys(google_bigquery_dataset.main)) == toset(["raw", "staging", "clean", "marts"])
    error_message = "The datasets are those of the dbt project."
  }
  assert {
    condition = alltrue([
      for dataset in google_bigquery_dataset.main :
      dataset.default_table_expiration_ms == null && dataset.default_partition_expiration_ms == null && !dataset.delete_contents_on_destroy
    ])
    error_message = "An expiration goes by a partition's hour: a backfilled hour would be deleted at once."
  }
  assert {
    condition = alltrue([
      for table in google_bigquery_table.raw :
      table.require_partition_filter && table.deletion_protection && table.time_partitioning[0].type == "HOUR"
      && table.time_partitioning[0].field == "hour" && table.time_partitioning[0].expiration_ms == null
    ])
    error_message = "Raw tables are partitioned by the hour, ask for a filter, and keep backfilled hours."
  }
  assert {
    condition     = length(google_bigquery_table.raw) == length(jsondecode(file("raw_tables.json")))
    error_message = "Each raw table that the platforms declare is made."
  }
  assert {
    condition     = length(google_compute_instance.main.network_interface[0].access_config) == 0
    error_message = "The machine has no address of its own."
  }
  assert {
    condition     = google_compute_firewall.iap.source_ranges == toset(["35.235.240.0/20"])
    error_message = "Only Google's proxy reaches the machine from outside."
  }
  assert {
    condition     = google_compute_instance.main.deletion_protection && google_compute_instance.main.attached_disk[0].device_name == "data"
    error_message = "The machine is protected, and its data stand on a disk of their own."
  }
  assert {
    condition     = toset(keys(google_service_account.roles)) == toset(["crawler", "warehouse", "dashboard", "deployer", "planner"])
    error_message = "One account a role."
  }
  assert {
    condition     = google_storage_bucket_iam_member.warehouse.role == "roles/storage.objectViewer" && google_bigquery_dataset_iam_member.dashboard.role == "roles/bigquery.dataViewer"
    error_message = "Loads read the lake; the web application reads the marts."
  }
  assert {
    condition     = toset(keys(google_secret_manager_secret.main)) == toset(["POSTGRES_PASSWORD"])
    error_message = "Without more, there is one secret."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.dashboard) == 0 && length(google_billing_budget.main) == 0 && length(google_iam_workload_identity_pool.github) == 0
    error_message = "What nobody asked for is not made."
  }
}

run "everything" {
  command = plan

  variables {
    kms_key                = "projects/keys/locations/europe-west1/keyRings/data/cryptoKeys/threadlake"
    lake_delete_after_days = 400
    secrets                = ["DISCORD_TOKEN"]
    operators              = ["group:data@example.org"]
    dashboard              = true
    dashboard_readers      = ["domain:example.org"]
    billing_account        = "012345-6789AB-CDEF01"
    github_repository      = "example/threadlake"
    state_bucket           = "example-state"
  }

  assert {
    condition = alltrue([
      for rule in google_storage_bucket.lake.lifecycle_rule :
      contains(one(rule.condition).matches_prefix, "fourchan/posts/") && one(rule.condition).matches_suffix == tolist([".parquet"])
      if one(rule.action).type == "Delete"
    ])
    error_message = "By age, only rows are deleted: without commits, everything would be crawled again."
  }
  assert {
    condition     = length([for rule in google_storage_bucket.lake.lifecycle_rule : rule if one(rule.action).type == "Delete"]) == 1
    error_message = "Deletion after some days is settable."
  }
  assert {
    condition     = google_bigquery_dataset.main["raw"].default_encryption_configuration[0].kms_key_name == var.kms_key && google_storage_bucket.lake.encryption[0].default_kms_key_name == var.kms_key
    error_message = "A key of one's own encrypts lake and warehouse."
  }
  assert {
    condition     = google_cloud_run_v2_service.dashboard[0].iap_enabled && keys(google_iap_web_cloud_run_service_iam_member.readers) == ["domain:example.org"]
    error_message = "The web application stands behind IAP."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.github["main"].attribute_condition == "assertion.repository == 'example/threadlake'"
    error_message = "Only the repository's own workflows come in."
  }
  assert {
    condition     = endswith(google_service_account_iam_member.github["deployer"].member, "/attribute.ref/refs/heads/main")
    error_message = "Only main deploys."
  }
  assert {
    condition     = strcontains(output.next, "gcloud secrets versions add DISCORD_TOKEN") && strcontains(output.next, "gcloud secrets versions add POSTGRES_PASSWORD")
    error_message = "Outputs say what to do next."
  }
  assert {
    condition     = strcontains(google_compute_instance.main.metadata["user-data"], "THREADLAKE_LAKE=gs://example-threadlake-lake")
    error_message = "The machine knows its lake."
  }
}

run "refuses_a_public_reader" {
  command = plan
  variables {
    dashboard_readers = ["allUsers"]
  }
  expect_failures = [var.dashboard_readers]
}

run "refuses_to_delete_what_is_still_read" {
  command = plan
  variables {
    lake_delete_after_days = 7
  }
  expect_failures = [var.lake_delete_after_days]
}

run "refuses_a_secret_among_the_settings" {
  command = plan
  variables {
    settings = { DISCORD_TOKEN = "x" }
  }
  expect_failures = [var.settings]
}
