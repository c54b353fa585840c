# GitHub's workflows are known by the token that GitHub signs for each of them: there is no key that could be lost.

locals {
  ci = var.github_repository == null ? toset([]) : toset(["main"])
}

resource "google_iam_workload_identity_pool" "github" {
  for_each = local.ci

  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  depends_on = [google_project_service.apis]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125: the condition names one repository, from a variable, which the check cannot follow
  for_each = local.ci

  workload_identity_pool_id          = google_iam_workload_identity_pool.github[each.key].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"
  attribute_condition                = "assertion.repository == '${var.github_repository}'"
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.ref"        = "assertion.ref"
    "attribute.event_name" = "assertion.event_name"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

# whoever may write to main deploys; whoever opens a pull request in the repository itself sees its plan
resource "google_service_account_iam_member" "github" {
  for_each = var.github_repository == null ? {} : { deployer = "attribute.ref/refs/heads/main", planner = "attribute.event_name/pull_request" }

  service_account_id = google_service_account.roles[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github["main"].name}/${each.value}"
}

resource "google_storage_bucket_iam_member" "planner" {
  for_each = toset(var.state_bucket[*])

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = google_service_account.roles["planner"].member
}

resource "google_artifact_registry_repository_iam_member" "deployer" {
  repository = google_artifact_registry_repository.main.name
  location   = google_artifact_registry_repository.main.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.roles["deployer"].member
}

# which image runs is metadata of the machine, which then starts again
resource "google_project_iam_custom_role" "deployer" {
  role_id     = "threadlakeDeployer"
  title       = "threadlake: start an image on a machine"
  description = "Name the image in a machine's metadata, stop the machine and start it."
  permissions = [
    "compute.instances.get",
    "compute.instances.setMetadata",
    "compute.instances.start",
    "compute.instances.stop",
  ]

  depends_on = [google_project_service.apis]
}

# what was asked of a machine is asked about in the project
resource "google_project_iam_custom_role" "operations" {
  role_id     = "threadlakeOperations"
  title       = "threadlake: whether an operation is done"
  permissions = ["compute.zoneOperations.get"]

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "deployer" {
  project = var.project
  role    = google_project_iam_custom_role.operations.id
  member  = google_service_account.roles["deployer"].member
}

resource "google_compute_instance_iam_member" "deployer" {
  instance_name = google_compute_instance.main.name
  zone          = local.zone
  role          = google_project_iam_custom_role.deployer.id
  member        = google_service_account.roles["deployer"].member
}

resource "google_cloud_run_v2_job_iam_member" "deployer" {
  name     = google_cloud_run_v2_job.warehouse.name
  location = var.region
  role     = "roles/run.developer"
  member   = google_service_account.roles["deployer"].member
}

resource "google_cloud_run_v2_service_iam_member" "deployer" {
  count = var.dashboard ? 1 : 0

  name     = google_cloud_run_v2_service.dashboard[0].name
  location = var.region
  role     = "roles/run.developer"
  member   = google_service_account.roles["deployer"].member
}

# whoever starts something that runs as an account must be allowed to act as it
resource "google_service_account_iam_member" "deployer" {
  for_each = toset(["crawler", "warehouse", "dashboard"])

  service_account_id = google_service_account.roles[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.roles["deployer"].member
}
