resource "google_compute_network" "main" {
  name                    = "threadlake"
  auto_create_subnetworks = false

  depends_on = [google_project_service.apis]
}

resource "google_compute_subnetwork" "main" {
  name                     = "threadlake"
  network                  = google_compute_network.main.id
  region                   = var.region
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "EXCLUDE_ALL_METADATA"
  }
}

# The machine has no address of its own: crawls go out this way, and nothing comes in.
resource "google_compute_router" "main" {
  name    = "threadlake"
  network = google_compute_network.main.id
  region  = var.region
}

resource "google_compute_router_nat" "main" {
  name                               = "threadlake"
  router                             = google_compute_router.main.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_compute_firewall" "iap" {
  name          = "threadlake-iap"
  description   = "Dagster's UI and SSH, from Google's proxy, which asks who it is."
  network       = google_compute_network.main.id
  direction     = "INGRESS"
  source_ranges = ["35.235.240.0/20"]
  target_tags   = ["threadlake"]

  allow {
    protocol = "tcp"
    ports    = ["22", "3000"]
  }
}

resource "google_compute_firewall" "database" {
  name          = "threadlake-database"
  description   = "Dagster's database, from runs on Cloud Run, which have addresses of this network."
  network       = google_compute_network.main.id
  direction     = "INGRESS"
  source_ranges = [google_compute_subnetwork.main.ip_cidr_range]
  target_tags   = ["threadlake"]

  allow {
    protocol = "tcp"
    ports    = ["5432"]
  }
}
