# Google's own accounts that encrypt with a key of yours, where there is one.

data "google_storage_project_service_account" "main" {
  count = var.kms_key == null ? 0 : 1
}

data "google_bigquery_default_service_account" "main" {
  count = var.kms_key == null ? 0 : 1
}

resource "google_kms_crypto_key_iam_member" "users" {
  for_each = var.kms_key == null ? {} : {
    lake      = data.google_storage_project_service_account.main[0].email_address
    warehouse = data.google_bigquery_default_service_account.main[0].email
    disk      = "service-${data.google_project.main.number}@compute-system.iam.gserviceaccount.com"
  }

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}
