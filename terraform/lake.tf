locals {
  lake_bucket = coalesce(var.lake_bucket, "${var.project}-lake")
  # what is deleted by age: rows. Commits, states, pasts and who is tracked stay.
  rows = [for table in keys(local.raw_tables) : replace(table, "/^(.+)_(threads|posts|authors)$/", "$1/$2/") if table != "observations"]
}

resource "google_storage_bucket" "lake" {
  # checkov:skip=CKV_GCP_62: access logs cost more than they tell: who reads and writes is a matter of three accounts
  # checkov:skip=CKV_GCP_78: a file of the lake is never written twice, and soft delete brings back what was deleted
  name                        = local.lake_bucket
  location                    = local.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  soft_delete_policy {
    retention_duration_seconds = var.lake_undelete_days * 86400
  }

  dynamic "lifecycle_rule" {
    for_each = var.lake_cold_after_days
    content {
      action {
        type          = "SetStorageClass"
        storage_class = lifecycle_rule.key
      }
      condition {
        age            = lifecycle_rule.value
        matches_suffix = [".parquet"] # commits are listed and read daily
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.lake_delete_after_days[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = local.rows
        matches_suffix = [".parquet"]
      }
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 2
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.users]
}

resource "google_storage_bucket_iam_member" "crawler" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = google_service_account.roles["crawler"].member
}

resource "google_storage_bucket_iam_member" "warehouse" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.roles["warehouse"].member
}
