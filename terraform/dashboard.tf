# The place of the web application: on Cloud Run, behind IAP, reading the marts.

resource "google_cloud_run_v2_service" "dashboard" {
  count = var.dashboard ? 1 : 0

  name                = "threadlake-dashboard"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL" # IAP stands before it
  iap_enabled         = true
  deletion_protection = false # it holds nothing

  template {
    service_account                  = google_service_account.roles["dashboard"].email
    max_instance_request_concurrency = 40

    scaling {
      min_instance_count = 0
      max_instance_count = 3
    }

    containers {
      image = local.image
      args  = ["threadlake", "dashboard", "--port", "8080"]

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = "1", memory = "1Gi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      env {
        name  = "THREADLAKE_WAREHOUSE"
        value = local.settings.THREADLAKE_WAREHOUSE
      }

      env {
        name  = "THREADLAKE_DASHBOARD_HOST"
        value = "0.0.0.0" # of the container
      }

      env {
        name  = "THREADLAKE_HOME"
        value = "/tmp/threadlake"
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].containers[0].image, client, client_version]
  }

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  count = var.dashboard ? 1 : 0

  name     = google_cloud_run_v2_service.dashboard[0].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.main.number}@gcp-sa-iap.iam.gserviceaccount.com"
}

resource "google_iap_web_cloud_run_service_iam_member" "readers" {
  for_each = var.dashboard ? var.dashboard_readers : toset([])

  cloud_run_service_name = google_cloud_run_v2_service.dashboard[0].name
  location               = var.region
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.key
}
