locals {
  # made by `python -m orchestration.terraform_tables` from what the platforms declare; a test compares
  raw_tables = jsondecode(file("${path.module}/raw_tables.json"))
  datasets = {
    raw     = "What was loaded from the lake, as it was observed; dropped some days after it was merged."
    staging = "Views of the raw tables: renamed and cast, nothing else."
    clean   = "Threads, posts, authors and their history, deduped."
    marts   = "What people ask."
  }
}

resource "google_bigquery_dataset" "main" {
  for_each = local.datasets

  dataset_id                 = each.key
  description                = each.value
  location                   = local.location
  delete_contents_on_destroy = false
  # No default expiration of tables or partitions: it goes by a partition's hour, so a backfilled hour would be gone at once.

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key[*]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.users]
}

resource "google_bigquery_table" "raw" {
  # checkov:skip=CKV_GCP_80: it has the dataset's key
  for_each = local.raw_tables

  dataset_id               = google_bigquery_dataset.main["raw"].dataset_id
  table_id                 = each.key
  description              = each.value.description
  schema                   = jsonencode(each.value.schema)
  clustering               = each.value.clustering
  require_partition_filter = true
  deletion_protection      = true

  time_partitioning {
    type  = "HOUR"
    field = "hour"
  }

  lifecycle {
    prevent_destroy = true
    # the loader adds a column that a platform declares anew; an older checkout would take it away with its table
    ignore_changes = [schema]
  }
}

resource "google_bigquery_dataset_iam_member" "writers" {
  # A process of the machine loads, merges and purges, too, unless a run was sent to Cloud Run.
  for_each = { for pair in setproduct(["crawler", "warehouse"], keys(local.datasets)) : join("-", pair) => pair }

  dataset_id = google_bigquery_dataset.main[each.value[1]].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.roles[each.value[0]].member
}

resource "google_bigquery_dataset_iam_member" "dashboard" {
  dataset_id = google_bigquery_dataset.main["marts"].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.roles["dashboard"].member
}
