locals {
  # the first image that a machine or a service starts with; afterwards each deployment says which
  image = "${google_artifact_registry_repository.main.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.main.repository_id}/threadlake:latest"
}

resource "google_artifact_registry_repository" "main" {
  # checkov:skip=CKV_GCP_84: the images hold the code of a repository and no data; Google's keys encrypt them
  repository_id = "threadlake"
  description   = "Images of threadlake."
  location      = var.region
  format        = "DOCKER"

  # the last ones stay, whatever their age, so that one can always go back
  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"
    condition {
      older_than = "7776000s" # 90 days
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = toset(["crawler"]) # Cloud Run pulls with an account of its own

  repository = google_artifact_registry_repository.main.name
  location   = google_artifact_registry_repository.main.location
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.roles[each.key].member
}
