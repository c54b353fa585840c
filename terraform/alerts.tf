resource "google_monitoring_notification_channel" "email" {
  display_name = "threadlake"
  type         = "email"
  labels       = { email_address = var.alert_email }

  depends_on = [google_project_service.apis]
}

locals {
  containers = "resource.type=\"gce_instance\" log_id(\"cos_containers\")"
  metrics = {
    failures = { filter = "${local.containers} jsonPayload.message=~\" - RUN_FAILURE - \"", description = "Runs that failed." }
    launches = { filter = "${local.containers} jsonPayload.message=~\"Completed scheduled launch of run\"", description = "Runs that a schedule began." }
    refused  = { filter = "severity>=ERROR (resource.type=\"bigquery_resource\" OR resource.type=\"gcs_bucket\" OR resource.type=\"cloud_run_job\")", description = "What BigQuery, the lake or Cloud Run refused." }
  }
}

resource "google_logging_metric" "main" {
  for_each = local.metrics

  name        = "threadlake/${each.key}"
  description = each.value.description
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "more_than_none" {
  for_each = {
    failures = "threadlake: a run failed"
    refused  = "threadlake: Google refused something"
  }

  display_name          = each.value
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = local.metrics[each.key].description
    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.main[each.key].name}\" resource.type=\"${each.key == "failures" ? "gce_instance" : "global"}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "600s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    content = "What to do stands in the runbook: docs/runbook.md, \"When something is wrong\"."
  }
}

resource "google_monitoring_alert_policy" "silence" {
  display_name          = "threadlake: no schedule began a run for three hours"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  severity              = "CRITICAL"

  conditions {
    display_name = "Hours are read hourly"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.main["launches"].name}\" resource.type=\"gce_instance\""
      duration = "10800s"
      aggregations {
        alignment_period   = "600s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  documentation {
    content = "The machine, its containers or Dagster's daemon stand still: docs/runbook.md, \"When something is wrong\"."
  }
}

resource "google_billing_budget" "main" {
  count = var.billing_account == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = "threadlake"

  budget_filter {
    projects = ["projects/${data.google_project.main.number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.email.id]
  }

  depends_on = [google_project_service.apis]
}
