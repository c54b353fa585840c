resource "google_monitoring_notification_channel" "email" {
  display_name = "threadlake"
  type         = "email"
  labels       = { email_address = var.alert_email }

  depends_on = [google_project_service.apis]
}

locals {
  containers = "resource.type=\"gce_instance\" AND log_id(\"cos_containers\")"
  alerts = {
    failures = {
      title  = "threadlake: a run failed"
      filter = "${local.containers} AND jsonPayload.message=~\" - RUN_FAILURE - \""
    }
    refused = {
      title  = "threadlake: Google refused something"
      filter = "severity>=ERROR AND resource.type=(\"bigquery_resource\" OR \"bigquery_project\" OR \"bigquery_dataset\" OR \"cloud_run_job\" OR \"cloud_run_revision\")"
    }
  }
}

resource "google_monitoring_alert_policy" "logs" {
  for_each = local.alerts

  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "What to do stands in docs/runbook.md, \"When something is wrong\"."
  }
}

resource "google_logging_metric" "launches" {
  name        = "threadlake/launches"
  description = "Runs that a schedule began."
  filter      = "${local.containers} AND jsonPayload.message=~\"Completed scheduled launch of run\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "silence" {
  display_name          = "threadlake: no schedule began a run for three hours"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  severity              = "CRITICAL"

  conditions {
    display_name = "Hours are read hourly"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.launches.name}\" resource.type=\"gce_instance\""
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
