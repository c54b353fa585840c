terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
  }

  # The bucket is named at init: terraform init -backend-config=bucket=NAME. It is made by hand, once; see docs/runbook.md.
  backend "gcs" {
    prefix = "threadlake"
  }
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project # the budget's API asks on whose behalf it is called
  user_project_override = true
  default_labels        = local.labels
}

locals {
  labels   = { app = "threadlake" }
  location = coalesce(var.location, var.region)
  zone     = "${var.region}-${var.zone}"
}

data "google_project" "main" {
  project_id = var.project
}
