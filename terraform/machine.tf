# The machine on which Dagster runs: database, code server, web server and daemon, each a container.

locals {
  settings = merge({
    THREADLAKE_HOME      = "/data/home"
    THREADLAKE_LAKE      = "gs://${google_storage_bucket.lake.name}"
    THREADLAKE_WAREHOUSE = "bigquery://${var.project}/${local.location}"
    THREADLAKE_START     = var.start
  }, var.kms_key == null ? {} : { THREADLAKE_BIGQUERY_KEY = var.kms_key }, var.settings)
}

resource "google_compute_disk" "data" {
  name                           = "threadlake-data"
  type                           = "pd-balanced"
  zone                           = local.zone
  size                           = var.disk_gb
  create_snapshot_before_destroy = true

  dynamic "disk_encryption_key" {
    for_each = var.kms_key[*]
    content {
      kms_key_self_link = disk_encryption_key.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.users]
}

resource "google_compute_resource_policy" "snapshots" {
  name   = "threadlake-daily"
  region = var.region

  snapshot_schedule_policy {
    schedule {
      daily_schedule {
        days_in_cycle = 1
        start_time    = "05:00"
      }
    }
    retention_policy {
      max_retention_days    = var.snapshots_kept_days
      on_source_disk_delete = "KEEP_AUTO_SNAPSHOTS"
    }
    snapshot_properties {
      storage_locations = [var.region]
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_compute_disk_resource_policy_attachment" "snapshots" {
  name = google_compute_resource_policy.snapshots.name
  disk = google_compute_disk.data.name
  zone = local.zone
}

resource "google_compute_instance" "main" {
  # checkov:skip=CKV_GCP_38: the boot disk holds an image of Google's and no data; the data's disk may have a key of one's own
  name                      = "threadlake"
  machine_type              = var.machine_type
  zone                      = local.zone
  tags                      = ["threadlake"]
  allow_stopping_for_update = true
  deletion_protection       = true

  boot_disk {
    initialize_params {
      image = "cos-cloud/cos-stable"
      size  = 20
      type  = "pd-balanced"
    }
  }

  attached_disk {
    source      = google_compute_disk.data.id
    device_name = "data"
  }

  network_interface {
    subnetwork = google_compute_subnetwork.main.id
  }

  service_account {
    email  = google_service_account.roles["crawler"].email
    scopes = ["cloud-platform"] # what it may do is decided by its roles
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    user-data = templatefile("${path.module}/cloud-init.yaml.tftpl", {
      project  = var.project
      registry = "${google_artifact_registry_repository.main.location}-docker.pkg.dev"
      secrets  = sort(local.secrets)
      settings = merge(local.settings, { THREADLAKE_CLOUD_RUN_JOB = google_cloud_run_v2_job.warehouse.id })
    })
    image                  = local.image
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    google-logging-enabled = "true"
  }

  lifecycle {
    # a new image of the system comes with a machine made anew; which image of threadlake runs, deployments say
    ignore_changes = [boot_disk[0].initialize_params[0].image, metadata["image"]]
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.readers,
    google_secret_manager_secret_iam_member.crawler,
  ]
}

resource "google_iap_tunnel_instance_iam_member" "operators" {
  for_each = var.operators

  instance = google_compute_instance.main.name
  zone     = local.zone
  role     = "roles/iap.tunnelResourceAccessor"
  member   = each.key
}

resource "google_compute_instance_iam_member" "operators" {
  for_each = var.operators

  instance_name = google_compute_instance.main.name
  zone          = local.zone
  role          = "roles/compute.osAdminLogin"
  member        = each.key
}

resource "google_project_iam_member" "operators" {
  for_each = var.operators # gcloud looks for the machine before it logs in

  project = var.project
  role    = "roles/compute.viewer"
  member  = each.key
}

resource "google_service_account_iam_member" "operators" {
  for_each = var.operators # who logs in to a machine acts as its account

  service_account_id = google_service_account.roles["crawler"].name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key
}
