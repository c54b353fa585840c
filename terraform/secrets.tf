# Places for secrets. Values are never in Terraform, whose state would hold them: `gcloud secrets versions add`.

locals {
  # the database's password is read by whoever runs Dagster, the others by crawls alone
  secrets = setunion(var.secrets, ["POSTGRES_PASSWORD"])
}

resource "google_secret_manager_secret" "main" {
  for_each = local.secrets

  secret_id           = each.key
  deletion_protection = true

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.apis]
}

resource "google_secret_manager_secret_iam_member" "crawler" {
  for_each = google_secret_manager_secret.main

  secret_id = each.value.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.roles["crawler"].member
}

resource "google_secret_manager_secret_iam_member" "warehouse" {
  secret_id = google_secret_manager_secret.main["POSTGRES_PASSWORD"].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.roles["warehouse"].member
}
