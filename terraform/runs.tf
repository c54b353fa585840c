# Runs that are too big for the machine: loads and dbt, whose run has the tag threadlake/cloud-run. Crawls stay on the
# machine, where the hosts' limits are kept and one reading of a community goes on at a time.

resource "google_cloud_run_v2_job" "warehouse" {
  name                = "threadlake-warehouse"
  location            = var.region
  deletion_protection = false # it holds nothing

  template {
    task_count = 1
    template {
      service_account = google_service_account.roles["warehouse"].email
      timeout         = "21600s" # as long as Dagster lets a run go on
      max_retries     = 0        # Dagster begins it again

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.main.id
          subnetwork = google_compute_subnetwork.main.id
        }
      }

      containers {
        image = local.image

        resources {
          limits = {
            cpu    = tostring(var.cloud_run_cpu)
            memory = "${var.cloud_run_cpu * 2}Gi"
          }
        }

        dynamic "env" {
          for_each = merge(local.settings, { THREADLAKE_HOME = "/tmp/threadlake", POSTGRES_HOST = "threadlake.${local.zone}.c.${var.project}.internal" })
          content {
            name  = env.key
            value = env.value
          }
        }

        env {
          name = "POSTGRES_PASSWORD"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.main["POSTGRES_PASSWORD"].secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].template[0].containers[0].image, client, client_version]
  }

  depends_on = [google_project_service.apis, google_secret_manager_secret_iam_member.warehouse]
}

resource "google_cloud_run_v2_job_iam_member" "crawler" {
  name     = google_cloud_run_v2_job.warehouse.name
  location = var.region
  role     = "roles/run.jobsExecutorWithOverrides" # the override says which run
  member   = google_service_account.roles["crawler"].member
}

resource "google_cloud_run_v2_job_iam_member" "crawler_sees" {
  name     = google_cloud_run_v2_job.warehouse.name
  location = var.region
  role     = "roles/run.viewer"
  member   = google_service_account.roles["crawler"].member
}
