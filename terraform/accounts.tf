# One account a role. What each may do with one bucket, dataset, secret or machine stands beside that.

locals {
  roles = {
    crawler   = "The machine: reads platforms into the lake, and whatever runs there"
    warehouse = "Loads and dbt that were sent to Cloud Run"
    dashboard = "The web application"
    deployer  = "Continuous integration on main: pushes an image and starts it"
    planner   = "Continuous integration on pull requests: reads, to show a plan"
  }
  # in the whole project, because these have no smaller place
  project_roles = {
    crawler   = ["roles/bigquery.jobUser", "roles/logging.logWriter", "roles/monitoring.metricWriter"]
    warehouse = ["roles/bigquery.jobUser"]
    dashboard = ["roles/bigquery.jobUser"]
    deployer  = []
    planner   = ["roles/viewer", "roles/iam.securityReviewer", "roles/serviceusage.serviceUsageConsumer"]
  }
  project_grants = merge([
    for account, roles in local.project_roles : { for role in roles : "${account}-${role}" => { account = account, role = role } }
  ]...)
}

resource "google_service_account" "roles" {
  for_each = local.roles

  account_id   = "threadlake-${each.key}"
  display_name = "threadlake: ${each.key}"
  description  = each.value

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "roles" {
  for_each = local.project_grants

  project = var.project
  role    = each.value.role
  member  = google_service_account.roles[each.value.account].member
}
