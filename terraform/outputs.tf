output "lake" {
  description = "THREADLAKE_LAKE of every process."
  value       = local.settings.THREADLAKE_LAKE
}

output "warehouse" {
  description = "THREADLAKE_WAREHOUSE of every process."
  value       = local.settings.THREADLAKE_WAREHOUSE
}

output "image" {
  description = "The image without its tag; CI pushes to it."
  value       = trimsuffix(local.image, ":latest")
}

output "accounts" {
  description = "The account of each role."
  value       = { for role, account in google_service_account.roles : role => account.email }
}

output "dashboard" {
  description = "Where the web application is."
  value       = one(google_cloud_run_v2_service.dashboard[*].uri)
}

output "github" {
  description = "What the repository's variables must say, so that its workflows can deploy."
  value = var.github_repository == null ? null : {
    GCP_PROJECT                    = var.project
    GCP_REGION                     = var.region
    GCP_ZONE                       = local.zone
    GCP_IMAGE                      = trimsuffix(local.image, ":latest")
    GCP_DEPLOYER                   = google_service_account.roles["deployer"].email
    GCP_PLANNER                    = google_service_account.roles["planner"].email
    GCP_STATE_BUCKET               = var.state_bucket
    GCP_DASHBOARD                  = var.dashboard ? google_cloud_run_v2_service.dashboard[0].name : ""
    GCP_WORKLOAD_IDENTITY_PROVIDER = google_iam_workload_identity_pool_provider.github["main"].name
  }
}

output "next" {
  description = "What to do now."
  value       = <<-EOT
    1. Give each secret its value; it is asked for and not shown:
    %{for name in sort(local.secrets)~}
       read -rs VALUE && printf %s "$VALUE" | gcloud secrets versions add ${name} --project ${var.project} --data-file=-
    %{endfor~}
    2. Build the image and push it:
       gcloud auth configure-docker ${google_artifact_registry_repository.main.location}-docker.pkg.dev
       docker build -t ${local.image} . && docker push ${local.image}
    3. Start the machine anew, which pulls it:
       gcloud compute instances stop ${google_compute_instance.main.name} --zone ${local.zone} --project ${var.project}
       gcloud compute instances start ${google_compute_instance.main.name} --zone ${local.zone} --project ${var.project}
    4. Look at Dagster on http://localhost:3000:
       gcloud compute start-iap-tunnel ${google_compute_instance.main.name} 3000 --local-host-port=localhost:3000 --zone ${local.zone} --project ${var.project}
  EOT
}
